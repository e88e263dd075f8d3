"""What moves a block of frozen features: test loss of each optimiser at its tuned rate, and how it was tuned."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.over_width import log_values, looks
from infwidth.figures.parts.style import Shade, entry, legend_below, new_figure
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
    lines = _lines(points[points["metric"].isin(LABELS)])
    for (dataset, condition), panels in zip(pairs, grid.T, strict=True):
        chosen = select(points, dataset=dataset, condition=condition)
        for (metric, label), axes in zip(LABELS.items(), panels, strict=False):
            _draw_levels(axes, select(chosen, metric=metric), lines, named=axes in grid[:, 0])
            axes.set_xlabel(label)
        panels[0].set_title(f"{dataset}, {condition.upper()}")
        _draw_tuning(panels[-1], select(chosen, metric="sweep_loss"))
    legend_below(figure, [entry(colour, name) for name, colour in looks(points["optimiser"]).values()])
    return figure, points


def _lines(points: pd.DataFrame) -> list[tuple[str, str, str, Shade]]:
    """What has a line of its own in all panels, from above: optimiser, kind, name and colour."""
    return [
        (optimiser, kind, name if kind == "network" else f"{name}, H = ∞", colour)
        for optimiser, (name, colour) in looks(points["optimiser"]).items()
        for kind in ("network", "theory")
        if not select(points, optimiser=optimiser, kind=kind).empty
    ]


def _draw_levels(
    axes: Axes, points: pd.DataFrame, lines: Sequence[tuple[str, str, str, Shade]], *, named: bool
) -> None:
    for place, (optimiser, kind, _, colour) in enumerate(reversed(lines)):
        for _, row in select(points, optimiser=optimiser, kind=kind).iterrows():
            axes.errorbar(
                row["mean"],
                place,
                xerr=0.0 if math.isnan(row["stderr"]) else row["stderr"],
                color=colour,
                marker=colour.marker if kind == "network" else "*",
                markersize=4 if kind == "network" else 6,
                markerfacecolor=colour if row["converged"] else "white",
                elinewidth=0.9,
                capsize=2,
            )
    axes.set_yticks(range(len(lines)), [name for _, _, name, _ in reversed(lines)] if named else [""] * len(lines))
    axes.set_ylim(-0.6, len(lines) - 0.4)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.grid(axis="x", alpha=0.3)


def _draw_tuning(axes: Axes, points: pd.DataFrame) -> None:
    for optimiser, (_, colour) in looks(points["optimiser"]).items():
        curve = select(points, optimiser=optimiser).sort_values("learning_rate")
        axes.errorbar(
            curve["learning_rate"],
            curve["mean"],
            curve["stderr"].fillna(0.0),
            color=colour,
            capsize=1.5,
            linewidth=0.9,
            marker=colour.marker,
            markersize=3,
        )
    log_values(axes)
    axes.set(xscale="log", xlabel="learning rate", ylabel="validation loss")
