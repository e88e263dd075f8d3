"""Errors and intervals of arrays of data sets, of one draw or many at once: means, ratios, the largest of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]
"""Means of points (points, …) → a number each (…)."""
Ends = tuple[np.ndarray, np.ndarray]


def jackknife(values: np.ndarray, function: Function) -> tuple[np.ndarray, np.ndarray]:
    """A function of points' means and its standard error, from leaving out one data set at a time.

    Args:
        values: (…, n, points), n data sets.
        function: of the means.

    Returns:
        Both (…,); the error is nan for n = 1.
    """
    count = values.shape[-2]
    value = function(np.moveaxis(values.mean(-2), -1, 0))
    if count < 2:
        return value, np.full_like(value, np.nan)
    left_out = (values.sum(-2, keepdims=True) - values) / (count - 1)
    found = function(np.moveaxis(left_out, -1, 0))
    scatter = ((found - found.mean(-1, keepdims=True)) ** 2).sum(-1)
    return value, np.sqrt((count - 1) / count * scatter)


@dataclass(frozen=True)
class Ratio:
    """The ratio of two weighted sums of points' means, of which the lower is positive by nature: a loss, a share.

    Attributes:
        above: weights of the upper sum, one a point.
        below: those of the lower.
    """

    above: Sequence[float]
    below: Sequence[float]

    def __call__(self, means: np.ndarray) -> np.ndarray:
        """Of means (points, …): the ratio (…)."""
        return np.tensordot(self.above, means, 1) / np.tensordot(self.below, means, 1)

    def ends(self, means: np.ndarray, covariance: np.ndarray, width: float | np.ndarray) -> Ends:
        """Fieller's interval: each ratio θ for which upper − θ lower, a mean, is within its own error of 0.

        Exact for normal data where the usual error of a ratio holds only a lower sum that hardly scatters. Where the
        lower sum is not known to differ from 0, one end or both are infinite.

        Args:
            means: (…, points).
            covariance: of the means, (…, points, points).
            width: half the interval, in standard errors.
        """
        above, below = np.asarray(self.above, dtype=float), np.asarray(self.below, dtype=float)
        u, v = means @ above, means @ below
        uu, uv, vv = ((covariance @ one) @ other for one, other in ((above, above), (above, below), (below, below)))
        clear = v**2 - width**2 * vv
        # the roots' discriminant over width²; written so that nothing cancels where little scatters
        square = v**2 * uu + u**2 * vv - 2 * u * v * uv - width**2 * (uu * vv - uv**2)
        held, root = square >= 0, width * np.sqrt(np.maximum(square, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            middle = u * v - width**2 * uv
            first, second = np.sort([(middle - root) / clear, (middle + root) / clear], axis=0)
            value = u / v
        # a lower sum that may be 0: the accepted ratios lie outside both roots, the one found on one side of them
        outside, beneath = clear <= 0, value <= first
        lower = np.where(outside, np.where(held & ~beneath, second, -np.inf), first)
        upper = np.where(outside, np.where(held & beneath, first, np.inf), second)
        return lower, upper


def largest_ends(ends: Callable[[float], Ends], count: int, level: float) -> Ends:
    """The interval of the largest of several numbers.

    The maximum of noisy numbers is too large, so its interval is made of theirs: below, where one of them surely lies;
    above, where none lies higher: the true largest's own end alone could miss it. Of several that may be the largest
    all would have to end too low at once, which leaves nearly all of the error to the lower end.

    Args:
        ends: level → both ends of each number's own interval, (…, count).
        count: how many numbers.
        level: of the interval.
    """
    lower, upper = ends(1 - (1 - level) / count)
    running = upper >= lower.max(-1, keepdims=True)
    number = np.maximum(running.sum(-1), 2)
    # one-sided: half of the error where one is the largest for sure, else its share of the whole
    least = np.full(number.shape, -np.inf)
    for several in np.unique(number):
        strict = np.where(running, ends(1 - 2 * (1 - level) / several)[0], -np.inf).max(-1)
        least = np.where(number == several, strict, least)
    return least, ends(level)[1].max(-1)
