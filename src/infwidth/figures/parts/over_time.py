"""Losses over training time, the layout that the figures of dynamics share."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.extrapolation import infinite_width
from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.style import (
    SCRATCH_COLOUR,
    colours,
    coupling_name,
    draw_curve,
    name_looks,
    new_figure,
    side_by_side,
    time_axis,
)
from infwidth.io.tables import select

PANELS = (
    ("train_loss", ["transfer", "scratch"], ""),
    ("test_loss", ["transfer", "scratch"], ""),
    ("test_loss", ["random_anchor", "scratch"], "tied to random weights"),
)
"""Of a row: what is shown, of which conditions, and a title in place of the row's."""
SPREAD = 0.12
"""Decades of time over which the points of all δ are set side by side."""


def draw_dynamics(table: pd.DataFrame, by: str, title: Callable[[object], str]) -> tuple[Figure, pd.DataFrame]:
    """Draw train and test loss over time for each δ, one row of panels for each value of a column.

    Training from scratch stands beside transfer. Random anchors have a panel of their own, of the test loss, with
    training from scratch once more.

    Args:
        table: the experiments' rows.
        by: the column whose values get a row of panels each.
        title: a value of that column ↦ the title of its panels.

    Returns:
        The figure and the numbers it shows.
    """
    rows = select(infinite_width(table), metric=["train_loss", "test_loss"])
    points = mean_over_seeds(rows[(rows["metric"] == "test_loss") | (rows["condition"] != "random_anchor")])
    values = rows[by].unique()
    palette = colours(points["elastic_coupling"].dropna().unique(), "elastic_coupling")
    shifts = side_by_side(palette, step=SPREAD / max(len(palette), 1))
    panels_of = [panel for panel in PANELS if {*panel[1]} & {*points["condition"]} - {"scratch"}]
    figure, grid = new_figure(len(values), len(panels_of))
    for value, panels in zip(values, grid, strict=True):
        for axes in panels[2:]:
            axes.sharey(panels[1])
        for (metric, conditions, words), axes in zip(panels_of, panels, strict=True):
            chosen = select(points, **{by: value}, metric=metric, condition=conditions)
            positions = time_axis(axes, chosen["time"])
            for (condition, coupling), curve in chosen.groupby(["condition", "elastic_coupling"], dropna=False):
                colour = palette.get(coupling, SCRATCH_COLOUR)
                x = curve["time"].map(positions) + shifts.get(coupling, 0.0)
                draw_curve(axes, x, curve, colour=colour, condition=condition, bands=False)
            axes.set(ylabel=metric.replace("_", " "), title=words or title(value))
        for axes in panels:  # now that all that share it are drawn
            axes.set_ylim(bottom=0)
    names = {colour: f"δ = {coupling_name(coupling)}" for coupling, colour in palette.items()}
    name_looks(figure, points, names, bands=False)
    return figure, points
