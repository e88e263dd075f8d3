"""Hermite teachers, gradient flow: train and test loss over time for each δ, one row a pair of degrees."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.figures.dynamics import draw_dynamics


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Args:
        table: the experiments' tables, one below the other.
    """
    return draw_dynamics(table, "dataset", str)
