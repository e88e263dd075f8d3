"""Test loss against δ for each overlap, and how far networks are from theory: the layout of Bayesian figures."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.extrapolation import infinite_width
from infwidth.analysis.seeds import mean_over_seeds, relative_difference
from infwidth.figures.parts.style import (
    colours,
    coupling_axis,
    draw_curve,
    name_looks,
    new_figure,
    panel_titles,
    side_by_side,
)
from infwidth.io.tables import select


def draw_delta(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Draw one row of panels an experiment.

    Args:
        table: the experiments' tables, one below the other.

    Returns:
        The figure and the numbers it shows.
    """
    rows = select(infinite_width(table), metric="test_loss", condition="transfer")
    rows = rows.assign(overlap=rows["overlap"].fillna(1.0))
    points, differences = mean_over_seeds(rows), relative_difference(rows)
    palette = colours(rows["overlap"].unique(), "overlap")
    shifts = side_by_side(palette)
    experiments = panel_titles(table)
    figure, grid = new_figure(len(experiments), 2)
    for (experiment, title), (left, right) in zip(experiments.items(), grid, strict=True):
        shown = select(points, experiment=experiment)
        positions = coupling_axis(left, shown["elastic_coupling"])
        for overlap, curve in shown.groupby("overlap"):
            draw_curve(left, curve["elastic_coupling"].map(positions), curve, colour=palette[overlap])
        left.set(ylabel="test loss", ylim=(0, None), title=title)

        coupling_axis(right, shown["elastic_coupling"])
        right.axhline(0, color="0.3", linewidth=1)
        for overlap, curve in select(differences, experiment=experiment).groupby("overlap"):
            x = curve["elastic_coupling"].map(positions) + shifts[overlap]
            percent = curve.assign(mean=100 * curve["mean"], stderr=100 * curve["stderr"])
            draw_curve(right, x, percent, colour=palette[overlap], joined=False)
        right.set(ylabel="(networks − theory) / theory, %", title="difference on the same data")
    name_looks(figure, points, {colour: f"α = {overlap:g}" for overlap, colour in palette.items()})
    return figure, pd.concat([points, differences.assign(kind="relative difference")], ignore_index=True)
