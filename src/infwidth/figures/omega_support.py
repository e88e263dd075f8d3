"""Distributions of the frozen features: test loss against width, and against training time at the largest width."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.over_width import draw_over_width, log_values, looks, width_axis
from infwidth.figures.parts.style import GREY, MARKERS, SERIES, Shade, entry, legend_below, new_figure
from infwidth.io.rows import at_last_time, widest
from infwidth.io.tables import select

SUPPORT_NAMES = {
    "gaussian": "Gaussian ω",
    "half_space": "half-space, ω₁ ≥ 0",
    "rank_deficient": "half of the coordinates",
}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows: a column a target, of several optimisers the first.

    Dashed is infinite width, dotted the least loss of any function of what the features see, where that isn't 0.

    Args:
        table: the experiments' tables, one below the other.
    """
    optimiser, (name, _) = next(iter(looks(table["optimiser"]).items()))
    points = mean_over_seeds(table[table["metric"].isin(["test_loss", "least_loss"])])
    points = points[(points["optimiser"] == optimiser) | points["optimiser"].isna()]
    losses, least = select(points, metric="test_loss"), select(points, metric="least_loss")
    targets = sorted(points["dataset"].unique(), reverse=True)
    figure, grid = new_figure(2, len(targets))
    for target, panels in zip(targets, grid.T, strict=True):
        chosen = select(losses, dataset=target)
        over_width = at_last_time(chosen)
        width_axis(panels[0], over_width["width"])
        for support, *look in zip(SUPPORT_NAMES, SERIES, MARKERS, strict=False):
            colour, curve = Shade(*look), select(over_width, condition=support)
            if curve.empty:
                continue
            draw_over_width(panels[0], curve, colour, label=SUPPORT_NAMES[support])
            _draw_times(panels[1], select(widest(chosen), condition=support), colour)
            floor = select(least, dataset=target, condition=support)["mean"].max()
            for axes in panels if floor > 0 else []:
                axes.axhline(floor, color=colour, linestyle=":", linewidth=1.4)
        dimension = chosen["dimension"].max()
        panels[0].set_title(f"{target}, d = {dimension:g}\n{name}")
        panels[1].set_xlabel("training steps")
        panels[1].set_title(f"H = {chosen.loc[chosen['kind'] == 'network', 'width'].max():g}")
        for axes in panels:
            log_values(axes)
            axes.set_ylabel("test loss")
    handles = [*grid[0, 0].get_legend_handles_labels()[0], entry(GREY, "H = ∞", linestyle="--", marker="")]
    legend_below(figure, [*handles, entry(GREY, "least loss of any readout", linestyle=":", marker="")])
    return figure, points


def _draw_times(axes: Axes, points: pd.DataFrame, colour: Shade) -> None:
    for kind, curve in points.sort_values("time").groupby("kind"):
        style = {"linestyle": "--"} if kind == "theory" else {"marker": colour.marker, "markersize": 3.5, "capsize": 2}
        axes.errorbar(curve["time"], curve["mean"], curve["stderr"].fillna(0.0), color=colour, linewidth=0.9, **style)
    times = sorted(points["time"].unique())
    axes.set_xscale("log")
    axes.set_xticks(times, [f"{time:g}" for time in times])
    axes.minorticks_off()
