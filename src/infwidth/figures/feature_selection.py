"""Which frozen features a readout uses: weight on those along the target, and the test loss, against width."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.over_width import draw_over_width, looks, width_axis
from infwidth.figures.parts.style import legend_below, new_figure
from infwidth.io.tables import select

LABELS = {"aligned_mass": "mean cos² to the target,\nby the power carried", "test_loss": "test loss"}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows, a column an input dimension.

    Dashed is infinite width, dotted what a readout has that selects nothing.

    Args:
        table: the experiments' tables, one below the other.
    """
    points = mean_over_seeds(select(table, metric=[*LABELS, "uniform_mass"]))
    dimensions = sorted(points["dimension"].unique())
    figure, grid = new_figure(2, len(dimensions))
    for dimension, panels in zip(dimensions, grid.T, strict=True):
        for (metric, label), axes in zip(LABELS.items(), panels, strict=True):
            chosen = select(points, metric=metric, dimension=dimension)
            width_axis(axes, chosen["width"])
            for optimiser, (name, colour) in looks(chosen["optimiser"]).items():
                name += "" if optimiser == "trained_features" else ", frozen features"
                draw_over_width(axes, select(chosen, optimiser=optimiser), colour, label=name)
            axes.set(ylabel=label, title=f"{', '.join(chosen['dataset'].unique())}, d = {dimension:g}")
        uniform = select(points, metric="uniform_mass", dimension=dimension)["mean"].mean()
        panels[0].axhline(uniform, color="0.3", linestyle=":", linewidth=1.2, label="no selection")
        panels[0].set_ylim(0, 1.03)
        panels[1].set_yscale("log")
    legend_below(figure, grid[0, 0].get_legend_handles_labels()[0])
    return figure, points
