"""Image classes, gradient flow: kernel–task alignment against δ for each γ, with both controls and where it began."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.extrapolation import infinite_width
from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.style import (
    colours,
    coupling_axis,
    draw_curve,
    name_looks,
    new_figure,
    placed,
    side_by_side,
)
from infwidth.io.rows import at_last_time
from infwidth.io.tables import select

METRICS = {"kernel_alignment": "kernel–task alignment", "centred_kernel_alignment": "centred alignment"}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    The thin level is the alignment of the source's features with the target task, before training on it.

    Args:
        table: the experiment's table, with representations.
    """
    rows = select(infinite_width(table), metric=list(METRICS))
    rows = rows[rows["condition"] != "source"]
    points = mean_over_seeds(at_last_time(rows))
    initial = mean_over_seeds(select(rows, time=rows["time"].min(), condition="transfer"))
    palette = colours(points["target_strength"].unique(), "target_strength")
    shifts = side_by_side(palette)
    figure, (panels,) = new_figure(1, 2)
    for (metric, name), axes in zip(METRICS.items(), panels, strict=True):
        positions = coupling_axis(axes, points["elastic_coupling"].dropna(), scratch=True)
        for (strength, condition), curve in select(points, metric=metric).groupby(["target_strength", "condition"]):
            curve = placed(curve, positions)
            x = curve["place"] + shifts[strength]
            draw_curve(axes, x, curve, colour=palette[strength], condition=condition)
        axes.axhline(select(initial, metric=metric)["mean"].mean(), color="0.3", linewidth=0.8, linestyle="-.")
        axes.set(ylabel=name, title=table["dataset"].iloc[0])
    panels[0].text(0.02, 0.02, "dash-dotted: before target training", transform=panels[0].transAxes, fontsize="small")
    name_looks(figure, points, {colour: f"γ = {strength:g}" for strength, colour in palette.items()})
    return figure, pd.concat([points, initial], ignore_index=True)
