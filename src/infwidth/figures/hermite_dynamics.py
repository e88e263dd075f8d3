"""Hermite teachers, gradient flow: train and test loss over time for each δ, one row an experiment."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.figures.parts.over_time import draw_dynamics
from infwidth.figures.parts.style import panel_titles


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Args:
        table: the experiments' tables, one below the other.
    """
    firsts, titles = table.groupby("experiment").first(), panel_titles(table)

    def title(experiment: object) -> str:
        first = firsts.loc[experiment]
        return f"{titles[experiment]}, γ̄ = {first['source_strength']:g}, γ = {first['target_strength']:g}"

    return draw_dynamics(table, "experiment", title)
