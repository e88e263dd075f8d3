"""Estimates over data sets and their intervals: smooth functions of means, the largest of several, a mean square."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from infwidth.analysis.seeds import student_quantile
from infwidth.numerics.checks import InputError

LEVEL = 0.95
CHANCE = 0.8
"""With which probability what is foreseen to decide a claim does."""


@dataclass(frozen=True)
class Foresight:
    """An estimate on more data than there are, its value as it is.

    Attributes:
        seeds: data sets.
        variance: what is left of a data set's variance, where more is sampled within each.
        margin: standard errors by which the interval is to be wider: that much the value may move.
    """

    seeds: int
    variance: float = 1.0
    margin: float = 0.0

    def widths(self, level: float) -> float:
        """Half the interval in standard errors."""
        return student_quantile(self.seeds - 1, level) + self.margin


def margin(chance: float = CHANCE) -> float:
    """Standard errors that a value passes, to one side, with probability 1 − ``chance``."""
    from scipy.special import ndtri

    return float(ndtri(chance))


class Estimate(Protocol):
    """What a statistic gives: a number over data sets, and where it may lie.

    Attributes:
        value: the number.
        seeds: data sets that it rests on.
        left_out: data sets that some point lacks or whose solver failed there.
    """

    value: float
    seeds: int
    left_out: tuple[int, ...]

    def interval(self, level: float = LEVEL, foreseen: Foresight | None = None) -> tuple[float, float]:
        """The interval that holds the true value with probability ``level``, on the data there are or are foreseen."""
        ...

    def sampling_shares(self) -> dict[str, float]:
        """Part of the variance, 0 … 1, that is sampling within a data set: kind (theory, network) → part."""
        ...


@dataclass(frozen=True)
class Smooth:
    """A smooth function of points' means over data sets; its error is the jackknife's, its interval Student's.

    Attributes:
        points: data sets (index: seed) × points. A data set that lacks a point, NaN, counts at none.
        function: means of the points, in the columns' order → the number.
        errors: Monte-Carlo standard errors of the entries; 0 where nothing is sampled.
        kinds: of each point, ``theory`` or ``network``.
        exact: whether points are averages over data sets already, of which nothing is left to scatter.
    """

    points: pd.DataFrame
    function: Callable[[np.ndarray], float]
    errors: pd.DataFrame
    kinds: Sequence[str]
    exact: bool = False
    value: float = field(init=False)
    stderr: float = field(init=False)
    seeds: int = field(init=False)
    left_out: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        kept = self.points.dropna()
        values = kept.to_numpy(dtype=float)
        count = len(values)
        if not count:
            raise InputError("no data set whose solvers all converged: expected one; see the status column for which")
        stderr = 0.0 if self.exact else np.nan
        if count > 1 and not self.exact:
            left_out = (values.sum(0) - values) / (count - 1)
            found = np.array([self.function(means) for means in left_out])
            stderr = float(np.sqrt((count - 1) / count * np.sum((found - found.mean()) ** 2)))
        put = object.__setattr__
        put(self, "value", float(self.function(values.mean(0))))
        put(self, "stderr", stderr)
        put(self, "seeds", count)
        put(self, "left_out", tuple(sorted(set(self.points.index) - set(kept.index))))

    def interval(self, level: float = LEVEL, foreseen: Foresight | None = None) -> tuple[float, float]:
        """See :class:`Estimate`."""
        at = foreseen or Foresight(self.seeds)
        if self.exact:
            return self.value, self.value
        if at.seeds < 2 or not np.isfinite(self.stderr):
            return -np.inf, np.inf
        half = at.widths(level) * self.stderr * np.sqrt(at.variance * self.seeds / at.seeds)
        return self.value - half, self.value + half

    def sampling_shares(self) -> dict[str, float]:
        """By the slopes of the function at the means; errors that points share are counted as if they weren't."""
        kept = self.points.dropna()
        means = kept.to_numpy(dtype=float).mean(0)
        noise = np.nan_to_num(self.errors.reindex(kept.index).to_numpy(dtype=float))
        variances = (noise**2).sum(0) / len(kept) ** 2
        slopes = np.zeros(len(means))
        for i in np.flatnonzero(variances):
            step = np.zeros(len(means))
            step[i] = 1e-4 * abs(means[i]) or 1e-9
            slopes[i] = (self.function(means + step) - self.function(means - step)) / (2 * step[i])
        parts = slopes**2 * variances
        return _shares({kind: parts[np.array(self.kinds) == kind].sum() for kind in set(self.kinds)}, self.stderr**2)


@dataclass(frozen=True)
class Largest:
    """The largest of several numbers.

    The maximum of noisy numbers is too large, so its interval is made of theirs: below, where one of them surely lies
    (each at α over their number); above, where none lies higher: the true largest's own end alone could miss it.
    """

    parts: Sequence[Smooth]

    @property
    def largest(self) -> Smooth:
        """The part that is the largest."""
        return max(self.parts, key=lambda part: part.value)

    @property
    def value(self) -> float:
        """The largest value."""
        return self.largest.value

    @property
    def seeds(self) -> int:
        """Data sets of the part that has the fewest."""
        return min(part.seeds for part in self.parts)

    @property
    def left_out(self) -> tuple[int, ...]:
        """Data sets that some part does without."""
        return tuple(sorted({seed for part in self.parts for seed in part.left_out}))

    def interval(self, level: float = LEVEL, foreseen: Foresight | None = None) -> tuple[float, float]:
        """See :class:`Estimate`."""
        strict = 1 - (1 - level) / len(self.parts)
        lower = max(part.interval(strict, foreseen)[0] for part in self.parts)
        return lower, max(part.interval(level, foreseen)[1] for part in self.parts)

    def sampling_shares(self) -> dict[str, float]:
        """See :class:`Estimate`."""
        return self.largest.sampling_shares()


@dataclass(frozen=True)
class RootMeanSquare:
    """Root of the mean over points of the squared mean difference, without the bias that noise gives to squares.

    The square is U = ⟨d̄² − s²/n⟩ over points. Its variance at a true square θ is aθ + b, with a = 4 × the scatter along
    the mean difference over n, and b = 2 tr Σ² of the points' covariance over n(n−1), estimated without bias; the
    interval holds the θ ≥ 0 with |U − θ| ≤ t √(aθ + b), Student's t of n − 1 degrees of freedom. (A standard error at
    the estimate, as of the jackknife, is too small where U is: its intervals miss up to 14 % from below.)

    Attributes:
        differences: data sets × points, relative to what the caller divides by; NaN where a data set lacks the point,
            which then leaves that point alone.
        errors: Monte-Carlo standard errors, kind → data sets × points.
        fails: whether a value above a bound speaks against the theory; otherwise finite width may be the cause.
        note: what the differences are of.
    """

    differences: pd.DataFrame
    errors: dict[str, pd.DataFrame]
    fails: bool = True
    note: str = ""
    seeds: int = field(init=False)
    left_out: tuple[int, ...] = field(init=False)
    square: float = field(init=False)
    _slope: float = field(init=False)  # a n and b n(n−1)
    _floor: float = field(init=False)

    def __post_init__(self) -> None:
        kept = self.differences.loc[:, self.differences.notna().sum() > 1].dropna(how="all")
        put = object.__setattr__
        put(self, "left_out", tuple(map(int, self.differences.index[self.differences.isna().any(axis=1)])))
        put(self, "seeds", len(kept))
        if kept.empty:
            value = float(np.sqrt(np.nanmean(self.differences.to_numpy(dtype=float) ** 2)))
            for name, found in (("seeds", 1), ("square", value**2), ("_slope", np.nan), ("_floor", np.nan)):
                put(self, name, found)
            return
        values = kept.to_numpy(dtype=float)
        n, points = values.shape
        present = np.isfinite(values)
        counts = present.sum(0)
        means = np.nansum(values, 0) / counts
        # a point with fewer data sets scatters more: as if all had it, with residuals larger by that much
        residuals = np.where(present, values - means, 0.0) * np.sqrt(n * (n - 1) / (counts * (counts - 1)))
        gram = residuals @ residuals.T / points
        trace = np.trace(gram) / (n - 1)
        put(self, "square", float((means**2).mean() - trace / n))
        put(self, "_floor", 2 * _trace_of_square(gram, trace, points))
        along = residuals @ means / points
        put(self, "_slope", 4 * float(along @ along) / (n - 1) / max(float((means**2).mean()), np.finfo(float).tiny))

    @property
    def value(self) -> float:
        """The root of the square, 0 where noise makes the square negative."""
        return float(np.sqrt(max(self.square, 0.0)))

    def interval(self, level: float = LEVEL, foreseen: Foresight | None = None) -> tuple[float, float]:
        """See :class:`Estimate`."""
        at = foreseen or Foresight(self.seeds)
        n = at.seeds
        if n < 3 or not np.isfinite(self._slope):
            return 0.0, np.inf
        t2 = at.widths(level) ** 2
        slope, floor = at.variance * self._slope / n, at.variance**2 * self._floor / (n * (n - 1))
        centre = self.square + t2 * slope / 2
        half = np.sqrt(max(centre**2 - self.square**2 + t2 * floor, 0.0))
        return float(np.sqrt(max(centre - half, 0.0))), float(np.sqrt(max(centre + half, 0.0)))

    def sampling_shares(self) -> dict[str, float]:
        """See :class:`Estimate`."""
        found = self.differences.to_numpy(dtype=float)
        scatter = np.nanmean((found - np.nanmean(found, 0)) ** 2) * self.seeds / max(self.seeds - 1, 1)
        noise = {kind: np.nanmean(np.nan_to_num(errors.to_numpy()) ** 2) for kind, errors in self.errors.items()}
        return _shares(noise, scatter)


def _trace_of_square(gram: np.ndarray, trace: float, points: int) -> float:
    """Estimate tr Σ² / points² of the points' covariance Σ from residuals' Gram matrix, unbiased if they are normal."""
    n = len(gram)
    raw = float((gram**2).sum()) / (n - 1) ** 2
    if n < 3:
        return raw
    unbiased = (n - 1) ** 2 / ((n + 1) * (n - 2)) * (raw - trace**2 / (n - 1))
    return max(unbiased, trace**2 / points)


def _shares(parts: dict[str, float], whole: float) -> dict[str, float]:
    """Parts of a variance, together at most all of it."""
    if not np.isfinite(whole) or whole <= 0:
        return dict.fromkeys(parts, 0.0)
    scale = max(1.0, sum(parts.values()) / whole)
    return {kind: float(part / whole / scale) for kind, part in parts.items()}
