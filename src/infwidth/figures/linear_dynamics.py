"""Linear teachers, gradient flow: train and test loss over time for each δ, one row an overlap."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.figures.parts.over_time import draw_dynamics


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Args:
        table: the experiment's table.
    """
    return draw_dynamics(table, "overlap", lambda overlap: f"{table['dataset'].iloc[0]}, α = {overlap:g}")
