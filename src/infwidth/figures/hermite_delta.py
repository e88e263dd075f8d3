"""Hermite teachers, gradient flow: final test loss against δ with both controls, one panel an experiment."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.extrapolation import infinite_width
from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.style import (
    SCRATCH_COLOUR,
    colours,
    coupling_axis,
    draw_curve,
    name_looks,
    new_figure,
    panel_titles,
    placed,
    side_by_side,
)
from infwidth.io.rows import at_last_time
from infwidth.io.tables import select


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Args:
        table: the experiments' tables, one below the other.
    """
    points = mean_over_seeds(at_last_time(select(infinite_width(table), metric="test_loss")))
    palette = colours(points["target_strength"].dropna().unique(), "target_strength")
    conditions = points["condition"].unique()
    shifts = side_by_side(conditions)
    experiments = panel_titles(table)
    figure, (panels,) = new_figure(1, len(experiments))
    for (experiment, title), axes in zip(experiments.items(), panels, strict=True):
        chosen = select(points, experiment=experiment)
        positions = coupling_axis(axes, chosen["elastic_coupling"].dropna(), scratch=True)
        for (condition, strength), curve in chosen.groupby(["condition", "target_strength"]):
            curve = placed(curve, positions)
            x = curve["place"] + shifts[condition]
            draw_curve(
                axes,
                x,
                curve,
                colour=SCRATCH_COLOUR if condition == "scratch" else palette[strength],
                condition=condition,
            )
        axes.set(ylabel="final test loss", ylim=(0, None), title=title)
    name_looks(figure, points, {colour: f"transfer, γ = {strength:g}" for strength, colour in palette.items()})
    return figure, points
