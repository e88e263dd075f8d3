"""What moves a block of frozen features: test loss of each optimiser at its tuned rate, and how it was tuned."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.over_width import log_values, looks
from infwidth.figures.parts.style import new_figure
from infwidth.io.tables import select

LABELS = {"test_loss": "test loss", "test_error": "test error"}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows: a column an architecture.

    From above: test loss and test error at the rate chosen for each seed on validation images, and validation loss
    against the rate. Hollow: a seed diverged. Infinite width is a line of its own.

    Args:
        table: the experiments' tables, one below the other.
    """
    # seeds may choose different rates, and are averaged all the same
    finals = table[table["metric"].isin(LABELS)].assign(learning_rate=math.nan)
    points = mean_over_seeds(pd.concat([finals, select(table, metric="sweep_loss")]))
    pairs = list(points.groupby(["dataset", "condition"]).groups)
    figure, grid = new_figure(len(LABELS) + 1, len(pairs))
    for (dataset, condition), panels in zip(pairs, grid.T, strict=True):
        chosen = select(points, dataset=dataset, condition=condition)
        for (metric, label), axes in zip(LABELS.items(), panels, strict=False):
            _draw_levels(axes, select(chosen, metric=metric))
            axes.set_xlabel(label)
        panels[0].set_title(f"{dataset}, {condition.upper()}")
        _draw_tuning(panels[-1], select(chosen, metric="sweep_loss"))
    handles, labels = grid[-1, 0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside right lower")
    return figure, points


def _draw_levels(axes: Axes, points: pd.DataFrame) -> None:
    """One line an optimiser, the first of the legend at the top."""
    lines = []
    for optimiser, (name, colour) in looks(points["optimiser"]).items():
        for kind, rows in select(points, optimiser=optimiser).groupby("kind"):
            lines.append((name if kind == "network" else f"{name}, H = ∞", colour, kind, rows.iloc[0]))
    for place, (_, colour, kind, row) in enumerate(reversed(lines)):
        axes.errorbar(
            row["mean"],
            place,
            xerr=0.0 if math.isnan(row["stderr"]) else row["stderr"],
            color=colour,
            marker="o" if kind == "network" else "D",
            markerfacecolor=colour if row["converged"] else "white",
            capsize=2.5,
        )
    axes.set_yticks(range(len(lines)), [line[0] for line in reversed(lines)], fontsize="small")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(axis="x", alpha=0.3)


def _draw_tuning(axes: Axes, points: pd.DataFrame) -> None:
    for optimiser, (name, colour) in looks(points["optimiser"]).items():
        curve = select(points, optimiser=optimiser).sort_values("learning_rate")
        axes.errorbar(
            curve["learning_rate"],
            curve["mean"],
            curve["stderr"].fillna(0.0),
            color=colour,
            capsize=2,
            linewidth=1.1,
            marker="o",
            markersize=3,
            label=name,
        )
    log_values(axes)
    axes.set(xscale="log", xlabel="learning rate", ylabel="validation loss")
