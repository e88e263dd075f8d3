"""The mean of finite models beside the infinite one: with fixed coefficients, and after training each."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.over_width import draw_over_width, fitted_power, legend_under, log_values, looks, width_axis
from infwidth.figures.parts.style import new_figure, side_by_side
from infwidth.io.rows import at_last_time
from infwidth.io.tables import select

PANELS = {
    "fixed": ("bias_in_stderr", "squared distance of the mean\n/ expected of noise", "coefficients fixed"),
    "trained": ("squared_bias", "bias of the mean\n$|E f_H - f_\\infty|\\,/\\,|f_\\infty|$", "each model trained"),
}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Left, the squared distance of the mean of draws from the dual over what noise alone would make it: 1 where the mean
    is the dual. Right, the root of the mean over seeds of the unbiased estimate of the squared bias, with fitted powers
    of the width; where that mean is below zero, nothing is drawn.

    Args:
        table: the experiments' tables, one below the other.
    """
    rows = at_last_time(table)
    datasets = sorted(rows["dataset"].unique())
    figure, grid = new_figure(len(datasets), len(PANELS))
    plotted = []
    for dataset, line in zip(datasets, grid, strict=True):
        for (condition, (metric, label, title)), axes in zip(PANELS.items(), line, strict=True):
            chosen = select(rows, dataset=dataset, condition=condition, metric=metric)
            plotted.append(_draw_panel(axes, chosen, condition))
            axes.set(ylabel=label, title=f"{dataset}, {title}")
        line[0].axhline(1, color="0.3", linestyle=":", linewidth=1.2)
    return figure, pd.concat(plotted, ignore_index=True)


def _draw_panel(axes: Axes, rows: pd.DataFrame, condition: str) -> pd.DataFrame:
    drawn = []
    width_axis(axes, rows["width"])
    found = looks(rows["optimiser"])
    shifts = side_by_side(list(found), step=0.06)
    for optimiser, (label, colour) in found.items():
        own = select(rows, optimiser=optimiser)
        if condition == "trained":
            slope, error, spelt = fitted_power(own, _roots_of)
            points, label = _roots_of(own).assign(slope=slope, slope_stderr=error), f"{label}, {spelt}"
        else:
            points = mean_over_seeds(own)
        draw_over_width(
            axes, points, colour, shift=1.0 if condition == "trained" else np.exp(shifts[optimiser]), label=label
        )
        drawn.append(points)
    if condition == "trained":
        log_values(axes)
        legend_under(axes, 6)
    else:
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=6)
    return pd.concat(drawn)


def _roots_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Biases from the mean over seeds of their squares, with errors to first order; means below zero are left out."""
    points = mean_over_seeds(rows)
    points = points[points["mean"] > 0]
    bias = np.sqrt(points["mean"])
    return points.assign(metric="bias", mean=bias, stderr=points["stderr"] / (2 * bias))
