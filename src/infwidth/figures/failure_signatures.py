"""The ways in which transfer fails, made on purpose, each beside its control (docs/version_two.md)."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.style import (
    CONDITION_LOOK,
    colours,
    coupling_name,
    draw_curve,
    legend_below,
    log_ticks,
    new_figure,
    time_axis,
)
from infwidth.io.tables import select


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    A column a failure: above the case, below its control. Test losses over time for each δ and from scratch, networks
    as points; of instability the domain margin of posteriors against γ. Titles say how often the diagnosis named it.

    Args:
        table: the experiment's table.
    """
    points = mean_over_seeds(table)
    shown = list(dict.fromkeys(dataset.rpartition(": ")[0] for dataset in table["dataset"]))
    over_time = points[points["time"].notna()]
    palette = colours(over_time["elastic_coupling"].dropna().unique())
    figure, grid = new_figure(2, len(shown))
    for name, panels in zip(shown, grid.T, strict=True):
        for which, axes in zip(("case", "control"), panels, strict=True):
            own = select(points, dataset=f"{name}: {which}")
            if own.empty:
                axes.set_visible(False)
            elif (own["metric"] == "domain_margin").any():
                _draw_margin(axes, own)
            else:
                _draw_course(axes, select(own, metric="test_loss"), palette)
            said = select(own, metric="diagnosed")["mean"]
            if len(said) == 1:
                axes.set_title(f"{name}\n{which}: named in {100 * said.item():.0f} % of data sets")
    entries = [
        Line2D([], [], color=colour, linewidth=2.5, label=f"δ = {coupling_name(coupling)}")
        for coupling, colour in palette.items()
    ]
    grey = {"color": "0.3"}
    entries += [
        Line2D([], [], **grey, linestyle=CONDITION_LOOK["scratch"]["linestyle"], label="from scratch"),
        Line2D([], [], **grey, label="theory"),
        Line2D([], [], **grey, linestyle="", marker="o", label="networks, few neurons above,\nmany below"),
    ]
    legend_below(figure, entries)
    return figure, points


def _draw_course(axes: Axes, points: pd.DataFrame, palette: dict[float, tuple]) -> None:
    """Test losses over time."""
    positions = time_axis(axes, points["time"])
    scratch = select(points, condition="scratch")
    draw_curve(axes, scratch["time"].map(positions), scratch, colour=(0.45, 0.45, 0.45), condition="scratch")
    for coupling, colour in palette.items():
        curve = select(points, condition="transfer", elastic_coupling=coupling)
        draw_curve(axes, curve["time"].map(positions), curve, colour=colour)
    axes.set(ylabel="test loss", ylim=(0, min(1.5, 1.1 * points["mean"].max())))


def _draw_margin(axes: Axes, points: pd.DataFrame) -> None:
    """The domain margin against γ, and at which γ the diagnosis names it."""
    margin = select(points, metric="domain_margin")
    positions = log_ticks(axes, margin["target_strength"])
    named = select(points, metric="diagnosed")
    draw_curve(axes, margin["target_strength"].map(positions), margin, colour=(0.2, 0.4, 0.7))
    said = sorted(named.loc[named["mean"] > 0.5, "target_strength"].map(positions))
    if said:
        axes.axvspan(said[0], said[-1], color="0.9", zorder=0)
    words = f"named from γ = {10 ** said[0]:g} on" if said else "named nowhere"
    dataset = points["dataset"].iloc[0].rpartition(": ")[0]
    axes.set(xlabel="feature learning of the target, γ", ylabel="domain margin q", title=f"{dataset}\n{words}")
    axes.set_ylim(0, math.ceil(10 * margin["mean"].max()) / 10)
