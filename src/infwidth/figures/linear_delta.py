"""Linear teachers, Bayesian: test loss against δ for each overlap, and how far networks are from theory."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.seeds import mean_over_seeds, relative_difference, widest
from infwidth.figures.style import colours, coupling_axis, draw_curve, name_looks, new_figure, side_by_side
from infwidth.io.tables import select


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Args:
        table: the experiment's table.
    """
    rows = select(widest(table), metric="test_loss", condition="transfer")
    points, differences = mean_over_seeds(rows), relative_difference(rows)
    figure, ((left, right),) = new_figure(1, 2)
    palette = colours(rows["overlap"].unique())
    positions = coupling_axis(left, rows["elastic_coupling"])
    for overlap, curve in points.groupby("overlap"):
        draw_curve(left, curve["elastic_coupling"].map(positions), curve, colour=palette[overlap])
    left.set(ylabel="test loss", ylim=(0, None), title=rows["dataset"].iloc[0])
    name_looks(figure, points, {colour: f"α = {overlap:g}" for overlap, colour in palette.items()})

    coupling_axis(right, rows["elastic_coupling"])
    right.axhline(0, color="0.3", linewidth=1)
    shifts = side_by_side(palette)
    for overlap, curve in differences.groupby("overlap"):
        x = curve["elastic_coupling"].map(positions) + shifts[overlap]
        draw_curve(
            right,
            x,
            curve.assign(mean=100 * curve["mean"], stderr=100 * curve["stderr"]),
            colour=palette[overlap],
            joined=False,
        )
    right.set(ylabel="(networks − theory) / theory, %", title="agreement on the same data")
    return figure, pd.concat([points, differences.assign(kind="relative difference")], ignore_index=True)
