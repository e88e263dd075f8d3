"""Samples that are copies of others, exactly or nearly: they make any prediction from left-out samples too good."""

from __future__ import annotations

import math

import numpy as np

NEAR = 0.1
"""Distance of two copies, at most, over that of a sample to its nearest neighbour in a set of that size without any."""
CHANCE = 1e-4
"""Share of samples with a neighbour so near by chance, at most."""
FEWEST = 8
"""Rank of the neighbours, at least, that the nearest are judged by."""
ROUNDING = 1e-6
"""Distance over the inputs' size that single precision may make."""


def reach(x: np.ndarray) -> np.ndarray:
    """Distance up to which another sample counts as a copy of each, (P,).

    Around a sample the number of neighbours within r grows as r^d, d being the dimension in which samples spread there.
    The k-th and 3k-th neighbours give d and say where the nearest would be, r_k k^(−1/d). Fewer than k copies of every
    sample move neither ratio; that data lie in clusters or are dense in places matters little to either.

    Args:
        x: inputs, (P, D), P ≥ 2.
    """
    size = float(np.sqrt(np.square(x).sum(1).mean()))
    distances = np.sort(np.sqrt(_square_distances(x, x)), axis=1)
    near = min(max(FEWEST, len(x) // 8), len(x) // 2)
    far = min(3 * near, len(x) - 1)
    inner, outer = (np.maximum(distances[:, rank], ROUNDING * size) for rank in (near, far))
    spread = outer > inner
    if far == near or not spread.any():
        return np.full(len(x), ROUNDING * size)
    inverse = float(np.median(np.log(outer / inner)[spread])) / math.log(far / near)  # 1/d
    nearest = inner * near**-inverse
    return np.maximum(min(NEAR, CHANCE**inverse) * nearest, ROUNDING * size)


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


def _close(x: np.ndarray, others: np.ndarray, limit: np.ndarray) -> np.ndarray:
    """Which pairs are no farther apart than the first sample's limit, (P,): (P, Q)."""
    rounding = 1e-13 * (np.square(x).sum(1)[:, None] + np.square(others).sum(1))
    close = _square_distances(x, others) <= limit[:, None] ** 2 + rounding
    for row in np.flatnonzero(close.any(1)):  # few: the differences themselves, free of cancellation
        near = np.flatnonzero(close[row])
        close[row, near] = np.linalg.norm(others[near] - x[row], axis=1) <= limit[row]
    return close


def _square_distances(x: np.ndarray, others: np.ndarray) -> np.ndarray:
    squares = np.square(x).sum(1)[:, None] + np.square(others).sum(1) - 2 * x @ others.T
    return np.maximum(squares, 0)
