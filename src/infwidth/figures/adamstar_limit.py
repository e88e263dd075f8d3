"""Explicit frozen features against their dual: distance of the functions, and the loss, as the width grows."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.over_width import draw_over_width, fitted_power, legend_under, log_values, looks, width_axis
from infwidth.figures.parts.style import GREY, entry, legend_below, new_figure
from infwidth.io.rows import at_last_time
from infwidth.io.tables import select

LOSS_NAMES = {"squared": "squared error", "cross_entropy": "cross-entropy"}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Above, the relative distance from the dual with fitted powers of the width, a panel a loss; below, the test loss
    beside the dual's (dashed), a panel for everything in the tables that has both, a study of a language model too.

    Args:
        table: the experiments' tables, one below the other.
    """
    rows = at_last_time(table)
    distance, losses = select(rows, metric="distance_to_dual"), select(rows, metric="test_loss")
    limits = losses[losses["kind"] == "theory"]
    pairs = set(map(tuple, limits[["dataset", "condition"]].fillna("").to_numpy()))
    groups = {"distance_to_dual": _panels(distance), "test_loss": [one for one in _panels(losses) if one[0] in pairs]}
    columns = max(len(panels) for panels in groups.values())
    figure, grid = new_figure(2, columns)
    plotted = []
    for (metric, panels), line in zip(groups.items(), grid, strict=True):
        for axes in line[len(panels) :]:
            axes.set_axis_off()
        for ((dataset, condition), chosen), axes in zip(panels, line, strict=False):
            plotted.append(_draw_panel(axes, chosen, metric))
            name = LOSS_NAMES.get(condition, condition.replace("_", " "))
            axes.set_title(f"{dataset}, {name}" if name else dataset)
    _name_colours(figure, rows["optimiser"])
    return figure, pd.concat(plotted, ignore_index=True)


def _name_colours(figure: Figure, optimisers: pd.Series) -> None:
    handles = [entry(colour, f"{name}, ± standard error") for name, colour in looks(optimisers).values()]
    handles.append(entry(GREY, "H = ∞", linestyle="--", marker=""))
    legend_below(figure, handles)


def _panels(rows: pd.DataFrame) -> list[tuple[tuple[str, str], pd.DataFrame]]:
    named = rows.assign(dataset=rows["dataset"].fillna(""), condition=rows["condition"].fillna(""))
    return sorted(named.groupby(["dataset", "condition"]), key=lambda group: (group[0][0], _order(group[0][1])))


def _order(condition: str) -> tuple[int, str]:
    known = list(LOSS_NAMES)
    return known.index(condition) if condition in known else len(known), condition


def _draw_panel(axes: Axes, rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    drawn = []
    width_axis(axes, rows["width"])
    for optimiser, (label, colour) in looks(rows["optimiser"]).items():
        own = select(rows, optimiser=optimiser)
        points = mean_over_seeds(own)
        if metric == "distance_to_dual":
            slope, error, spelt = fitted_power(own)
            points, label = points.assign(slope=slope, slope_stderr=error), f"{label}, {spelt}"
        draw_over_width(axes, points, colour, label=label)
        drawn.append(points)
    if metric == "distance_to_dual":
        log_values(axes)
        axes.set_ylabel("distance from the dual\n$|f_H - f_\\infty|\\,/\\,|f_\\infty|$")
        legend_under(axes, 5)
    else:
        axes.set_ylabel("test loss")
    return pd.concat(drawn)
