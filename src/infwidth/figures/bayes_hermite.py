"""Bayesian networks on Hermite teachers: test loss against δ, and how far networks are from theory."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.figures.parts.over_coupling import draw_delta


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Args:
        table: the experiments' tables, one below the other.
    """
    return draw_delta(table)
