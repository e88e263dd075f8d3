"""Samples that are copies of others, exactly or nearly: they make any prediction from left-out samples too good."""

from __future__ import annotations

import math

import numpy as np

NEAR = 0.1
"""Distance of two copies, at most, over that of a sample to its nearest neighbour in a set of that size without any."""
CHANCE = 1e-4
"""Share of samples with a neighbour so near by chance, at most."""
ROUNDING = 1e-6
"""Distance over the inputs' size that single precision may make."""


def reach(x: np.ndarray) -> float:
    """Distance up to which two samples count as copies.

    The nearest of P samples is at r ≈ r_½ (2/P)^(1/d), r_½ the median distance of two samples and d the dimension in
    which they spread, with (share of pairs nearer than r) ~ r^d. The quartiles of the distances give d: even several
    copies of every sample don't reach them.

    Args:
        x: inputs, (P, D), P ≥ 2.
    """
    squares = _square_distances(x, x)
    pairs = np.sqrt(squares[np.triu_indices(len(x), 1)])
    size = float(np.sqrt(np.square(x).sum(1).mean()))
    apart = pairs[pairs > ROUNDING * size]
    if not apart.size:
        return ROUNDING * size
    low, median, high = np.quantile(apart, [0.25, 0.5, 0.75])
    inverse = math.log(high / low) / math.log(3)  # 1/d
    nearest = median * (2 / len(x)) ** inverse
    return max(min(NEAR, CHANCE**inverse) * float(nearest), ROUNDING * size)


def copy_groups(x: np.ndarray) -> np.ndarray:
    """Index of the group of copies that each sample belongs to, (P,), numbered as the groups first appear.

    Args:
        x: inputs, (P, D).
    """
    from scipy.sparse.csgraph import connected_components

    if len(x) < 2:
        return np.zeros(len(x), dtype=int)
    groups = connected_components(_close(x, x, reach(x)), directed=False)[1]
    _, first, index = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[index]


def shared_samples(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which samples (P,) have a copy among the others.

    Args:
        x: inputs, (P, D).
        others: inputs, (Q, D).
    """
    return _close(x, others, reach(x)).any(1)


def _close(x: np.ndarray, others: np.ndarray, limit: float) -> np.ndarray:
    """Which pairs are no farther apart than the limit, (P, Q)."""
    rounding = 1e-13 * (np.square(x).sum(1)[:, None] + np.square(others).sum(1))
    close = _square_distances(x, others) <= limit**2 + rounding
    for row in np.flatnonzero(close.any(1)):  # few: the differences themselves, free of cancellation
        near = np.flatnonzero(close[row])
        close[row, near] = np.linalg.norm(others[near] - x[row], axis=1) <= limit
    return close


def _square_distances(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    squares = np.square(x).sum(1)[:, None] + np.square(others).sum(1) - 2 * x @ others.T
    return np.maximum(squares, 0)
