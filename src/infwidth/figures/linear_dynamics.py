"""Linear teachers, gradient flow: train and test loss over time for each δ, one row an overlap.

The controls stand beside transfer: from scratch everywhere, random anchors in the panels of the test loss.
"""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.seeds import mean_over_seeds, widest
from infwidth.figures.style import colours, draw_curve, name_looks, new_figure, time_axis
from infwidth.io.tables import select


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Args:
        table: the experiment's table.
    """
    rows = select(widest(table), metric=["train_loss", "test_loss"])
    points = mean_over_seeds(rows[(rows["metric"] == "test_loss") | (rows["condition"] != "random_anchor")])
    overlaps = sorted(points["overlap"].unique())
    palette = colours(points["elastic_coupling"].dropna().unique())
    scratch = (0.45, 0.45, 0.45)
    figure, grid = new_figure(len(overlaps), 2)
    for overlap, panels in zip(overlaps, grid, strict=True):
        for metric, axes in zip(("train_loss", "test_loss"), panels, strict=True):
            chosen = select(points, overlap=overlap, metric=metric)
            positions = time_axis(axes, points["time"])
            for (condition, coupling), curve in chosen.groupby(["condition", "elastic_coupling"], dropna=False):
                colour = palette.get(coupling, scratch)
                draw_curve(axes, curve["time"].map(positions), curve, colour=colour, condition=condition)
            axes.set(ylabel=metric.replace("_", " "), ylim=(0, None))
            axes.set_title(f"{table['dataset'].iloc[0]}, α = {overlap:g}")
    names = {colour: f"δ = {coupling:g}" for coupling, colour in palette.items()}
    name_looks(grid[0, 1], points, names)
    return figure, points
