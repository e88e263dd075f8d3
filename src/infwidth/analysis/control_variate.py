"""What a number owes to the luck of its draws, by another number of the same draws whose mean is known to be 0."""

from __future__ import annotations

import numpy as np

FEWEST = 20
"""Data sets from which on the share is estimated: its own error then costs an interval 1/n of its width."""


def share_of_luck(values: np.ndarray, luck: np.ndarray) -> float:
    """How much of ``luck`` to take off ``values``, (n,) each, so that they scatter least; 0 of fewer than ``FEWEST``.

    Their mean is of the same expectation with and without it.
    """
    if len(values) < FEWEST:
        return 0.0
    owed, scatter = np.cov(values, luck)[1]
    return float(owed / scatter) if scatter > 0 else 0.0
