"""Image classes, gradient flow: what the source is worth as the target's samples grow, with both controls."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.extrapolation import infinite_width
from infwidth.analysis.seeds import mean_over_seeds, paired_difference
from infwidth.figures.parts.style import (
    SCRATCH_COLOUR,
    colours,
    coupling_name,
    draw_curve,
    log_ticks,
    name_looks,
    new_figure,
    side_by_side,
)
from infwidth.io.rows import at_last_time, largest
from infwidth.io.tables import select


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows: test loss against P2 for each δ, and its change from scratch.

    Of an experiment's target strengths the largest is shown; random anchors at its largest finite δ.

    Args:
        table: the experiments' tables, one below the other.
    """
    trained = largest(table.dropna(subset="target_strength"), "target_strength")
    rows = select(at_last_time(infinite_width(trained)), metric="test_loss")
    anchored = rows["condition"] == "random_anchor"
    finite = largest(rows[anchored & (rows["elastic_coupling"] < math.inf)], "elastic_coupling")
    rows = rows[~anchored | rows.index.isin(finite.index)]
    gains = paired_difference(
        rows[rows["condition"] != "scratch"],
        select(rows, condition="scratch"),
        ignoring=("condition", "elastic_coupling"),
    )
    gains = gains.assign(metric="change from scratch, %", mean=100 * gains["mean"], stderr=100 * gains["stderr"])
    points = pd.concat([mean_over_seeds(rows), gains], ignore_index=True)
    palette = colours(points["elastic_coupling"].dropna().unique(), "elastic_coupling")
    datasets = table["dataset"].unique()
    figure, grid = new_figure(2, len(datasets))
    for dataset, panels in zip(datasets, grid.T, strict=True):
        for metric, axes in zip(("test_loss", "change from scratch, %"), panels, strict=True):
            chosen = select(points, metric=metric, dataset=dataset)
            strength = chosen["target_strength"].max()
            positions = log_ticks(axes, chosen["n_target"])
            curves = list(chosen.groupby(["condition", "elastic_coupling"], dropna=False))
            shifts = side_by_side(range(len(curves)), step=0.018)
            for number, ((condition, coupling), curve) in enumerate(curves):
                colour = palette.get(coupling, SCRATCH_COLOUR)
                x = curve["n_target"].map(positions) + shifts[number]
                draw_curve(axes, x, curve, colour=colour, condition=condition)
            axes.set(xlabel="target samples P2", ylabel=metric.replace("_", " "), title=f"{dataset}, γ = {strength:g}")
        panels[1].axhline(0, color="0.3", linewidth=1)
    name_looks(figure, points, {colour: f"δ = {coupling_name(coupling)}" for coupling, colour in palette.items()})
    return figure, points
