"""Image classes, gradient flow: final test loss and error against δ for each γ, with both controls, and the gain."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.extrapolation import infinite_width
from infwidth.analysis.seeds import mean_over_seeds, paired_difference
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


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows. Theory is drawn where the table has it.

    The third panel compares with training from scratch on the same data, which most of the scatter drops out of.

    Args:
        table: the experiment's table.
    """
    rows = at_last_time(select(infinite_width(table), metric=["test_loss", "test_error"]))
    losses = select(rows, metric="test_loss")
    gains = paired_difference(
        select(losses, condition=["transfer", "random_anchor"]),
        select(losses, condition="scratch"),
        ignoring=("condition", "elastic_coupling"),
    )
    gains = gains.assign(metric="change from scratch, %", mean=100 * gains["mean"], stderr=100 * gains["stderr"])
    points = pd.concat([mean_over_seeds(rows), gains], ignore_index=True)

    palette = colours(points["target_strength"].unique(), "target_strength")
    shifts = {}
    for conditions in (["transfer", "random_anchor"], ["scratch"]):
        shifts |= side_by_side([(condition, strength) for condition in conditions for strength in palette], step=0.09)
    figure, (panels,) = new_figure(1, 3)
    couplings = points["elastic_coupling"].dropna()
    for metric, axes in zip(("test_loss", "test_error", "change from scratch, %"), panels, strict=True):
        positions = coupling_axis(axes, couplings, scratch=metric in ("test_loss", "test_error"))
        for (strength, condition), curve in select(points, metric=metric).groupby(["target_strength", "condition"]):
            curve = placed(curve, positions)
            x = curve["place"] + shifts[condition, strength]
            draw_curve(axes, x, curve, colour=palette[strength], condition=condition, bands=False)
        axes.set(ylabel=metric.replace("_", " "), title=table["dataset"].iloc[0])
    panels[2].axhline(0, color="0.3", linewidth=1)
    panels[2].set_title("test loss on the same data")
    name_looks(figure, points, {colour: f"γ = {strength:g}" for strength, colour in palette.items()}, bands=False)
    return figure, points
