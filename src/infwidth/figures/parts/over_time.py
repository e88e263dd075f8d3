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
    time_axis,
)
from infwidth.io.tables import select


def draw_dynamics(table: pd.DataFrame, by: str, title: Callable[[object], str]) -> tuple[Figure, pd.DataFrame]:
    """Draw train and test loss over time for each δ, one row of panels for each value of a column.

    The controls stand beside transfer: from scratch everywhere, random anchors in the panels of the test loss.

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
    figure, grid = new_figure(len(values), 2)
    for value, panels in zip(values, grid, strict=True):
        for metric, axes in zip(("train_loss", "test_loss"), panels, strict=True):
            chosen = select(points, **{by: value}, metric=metric)
            positions = time_axis(axes, chosen["time"])
            for (condition, coupling), curve in chosen.groupby(["condition", "elastic_coupling"], dropna=False):
                colour = palette.get(coupling, SCRATCH_COLOUR)
                draw_curve(axes, curve["time"].map(positions), curve, colour=colour, condition=condition)
            axes.set(ylabel=metric.replace("_", " "), ylim=(0, None), title=title(value))
    names = {colour: f"δ = {coupling_name(coupling)}" for coupling, colour in palette.items()}
    name_looks(figure, points, names)
    return figure, points
