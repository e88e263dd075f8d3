"""The root of a mean square difference over points, whose interval holds what it says from three data sets on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from infwidth.analysis.estimates import LEVEL, Foresight, shares_of

if TYPE_CHECKING:
    import pandas as pd

SEEN, MOST_TAKEN_OFF = 0.05, 3.0
"""The least part of d̄ that is taken to be no noise, and by what the variance along d̄ may at most be divided for it."""


@dataclass(frozen=True)
class RootMeanSquare:
    """Root of the mean over points of the squared mean difference, without the bias that noise gives to squares.

    The square is ⟨d̄² − s²/n⟩ over points. Its interval inverts a test of each root mean square r: under it ⟨d̄²⟩ is
    (r + a t)² + b F, the error along the mean difference being Student's t of n − 1 degrees of freedom, and that across
    it F of ν and ν(n−1), ν the number of directions it has. What is found along d̄ is along the true direction and along
    noise; the latter is taken off, and where noise hides the direction the error along it is taken to be as large as
    along the direction that these data sets scatter along most. The upper end takes r + a t < 0, a difference whose
    sign noise turned, for 0. Since no r lies below 0, the error is spent above alone at r = 0, and on both sides alike
    well beyond noise. benchmarks/claim_intervals.py measures what it holds.

    Attributes:
        differences: data sets × points, relative to what the caller divides by; NaN where a data set lacks the point,
            which then leaves that point alone.
        errors: Monte-Carlo standard errors, kind → data sets × points.
        fails: whether a value above a bound speaks against the theory; otherwise finite width may be the cause.
        note: what the differences are of.
        least: data sets that its interval takes.
    """

    differences: pd.DataFrame
    errors: dict[str, pd.DataFrame]
    fails: bool = True
    note: str = ""
    least: ClassVar[int] = 3
    seeds: int = field(init=False)
    left_out: tuple[int, ...] = field(init=False)
    square: float = field(init=False)
    _scatter: Scatter | None = field(init=False)

    def __post_init__(self) -> None:
        kept = self.differences.loc[:, self.differences.notna().sum() > 1].dropna(how="all")
        put = object.__setattr__
        put(self, "left_out", tuple(map(int, self.differences.index[self.differences.isna().any(axis=1)])))
        put(self, "seeds", len(kept))
        if kept.empty:
            value = float(np.sqrt(np.nanmean(self.differences.to_numpy(dtype=float) ** 2)))
            for name, found in (("seeds", 1), ("square", value**2), ("_scatter", None)):
                put(self, name, found)
            return
        values = kept.to_numpy(dtype=float)
        present = np.isfinite(values)
        n, counts = len(values), present.sum(0)
        means = np.nansum(values, 0) / counts
        # a point with fewer data sets scatters more: as if all had it, with residuals larger by that much
        residuals = np.where(present, values - means, 0.0) * np.sqrt(n * (n - 1) / (counts * (counts - 1)))
        scatter = Scatter.of(means, residuals)
        put(self, "_scatter", scatter)
        put(self, "square", float((means**2).mean() - scatter.whole / n))

    @property
    def value(self) -> float:
        """The root of the square, 0 where noise makes the square negative."""
        return float(np.sqrt(max(self.square, 0.0)))

    def interval(self, level: float = LEVEL, foreseen: Foresight | None = None) -> tuple[float, float]:
        """See :class:`infwidth.analysis.estimates.Estimate`."""
        at = foreseen or Foresight(self.seeds)
        if at.seeds < self.least or self._scatter is None:
            return 0.0, np.inf
        law = self.law(at, itself=foreseen is None)
        if law is None:
            return self.value, self.value
        error = 1 - at.level(level)
        return law.lower(error), law.upper(error)

    def law(self, at: Foresight, *, itself: bool = True) -> Law | None:
        """The law of what is observed, or is foreseen to be; None where nothing scatters."""
        noise = at.variance * self._scatter.whole / at.seeds
        observed = (self.square if itself else max(self.square, 0.0)) + noise
        return Law.of(self._scatter, observed, at) if noise and observed > 0 else None

    def sampling_shares(self) -> dict[str, float]:
        """See :class:`infwidth.analysis.estimates.Estimate`."""
        found = self.differences.to_numpy(dtype=float)
        scatter = np.nanmean((found - np.nanmean(found, 0)) ** 2) * self.seeds / max(self.seeds - 1, 1)
        noise = {kind: np.nanmean(np.nan_to_num(errors.to_numpy()) ** 2) for kind, errors in self.errors.items()}
        return shares_of(noise, scatter)


@dataclass(frozen=True)
class Scatter:
    """Of the data sets' covariance Σ of points, over their number P; each an array over draws, of one draw a number.

    Attributes:
        points: P.
        whole: tr Σ/P.
        along: the variance along the mean difference, over P.
        square: tr Σ²/P².
        largest: the variance that these data sets have along one direction that stands out of an even scatter, over P.
    """

    points: int
    whole: np.ndarray
    along: np.ndarray
    square: np.ndarray
    largest: np.ndarray

    @classmethod
    def of(cls, means: np.ndarray, residuals: np.ndarray) -> Scatter:
        """From the means (…, P) and the residuals (…, n, P)."""
        n, points = residuals.shape[-2:]
        norm = np.linalg.norm(means, axis=-1, keepdims=True)
        along = (residuals @ (means / np.where(norm, norm, 1.0))[..., None])[..., 0]
        gram = residuals @ np.swapaxes(residuals, -1, -2) / points / (n - 1)
        whole, found = np.trace(gram, axis1=-2, axis2=-1), (gram**2).sum((-2, -1))
        # directions: what tr Σ̂²/(tr Σ̂)² of normal data would be with so many, inverted; exact where there is one
        ratio = np.divide(found, whole**2, out=np.ones_like(found), where=whole > 0)
        inverse = (ratio * (n - 1) - 1) / (n - 2 * ratio) if n > 2 else np.ones_like(ratio)
        square = np.clip(inverse, 1 / points, 1.0) * whole**2
        return cls(points, whole, (along**2).sum(-1) / (n - 1) / points, square, _standing_out(found, whole, n, points))


def _standing_out(found: np.ndarray, whole: np.ndarray, n: int, points: int) -> np.ndarray:
    """The variance along one direction, of tr Σ̂²/P² and tr Σ̂/P: Student's t wants that of the sample itself.

    Of Σ̂ on n − 1 degrees of freedom with a direction of variance γ beside an even scatter w − γ, the eigenvalues'
    squared deviations from their mean are γ² (n−2)/(n−1) and what the even scatter has by chance, (w − γ)² (n+1)(n−2)/
    ((n−1)² P) on average; γ solves that.
    """
    freed = n - 1
    apart = np.maximum(found - whole**2 / freed, 0.0) * freed / max(freed - 1, 1)
    chance = (freed + 2) / (freed * points)
    square = (whole * chance) ** 2 - (1 + chance) * (chance * whole**2 - apart)
    gap = np.minimum((whole * chance + np.sqrt(np.maximum(square, 0.0))) / (1 + chance), whole)
    return gap + (whole - gap) / points


@dataclass(frozen=True)
class Law:
    """The law of ⟨d̄²⟩ = (r + along t)² + across F at a true root mean square r; each an array over draws, or a number.

    Attributes:
        observed: ⟨d̄²⟩.
        along: standard error along the mean difference.
        across: mean of what the others add.
        freedom: ν, their number.
        seeds: n.
    """

    observed: np.ndarray
    along: np.ndarray
    across: np.ndarray
    freedom: np.ndarray
    seeds: int

    @classmethod
    def of(cls, scatter: Scatter, observed: np.ndarray, at: Foresight) -> Law:
        """Of a scatter, at a mean square that was observed or is foreseen, above 0."""
        scale, others = at.variance / at.seeds, max(scatter.points - 1, 1)
        hidden = np.clip(scale * scatter.whole / observed, 0.0, 1.0)
        largest = np.minimum(np.maximum(scatter.largest, scatter.along), scatter.whole)
        # of d̄ a part ``hidden`` is noise, along which the variance is tr Σ²/tr Σ
        noise = scatter.square / scatter.whole
        along = (scatter.along - hidden * noise) / np.maximum(1 - hidden, SEEN)
        along = np.clip(along, scatter.along / MOST_TAKEN_OFF, largest)
        along = along + hidden**2 * (largest - along)
        rest = np.maximum(scatter.whole - along, 0.0)
        squares = np.maximum(scatter.square - along**2, np.maximum(rest**2 / others, np.finfo(float).tiny))
        freedom = np.clip(rest**2 / squares, 1.0, others)
        return cls(observed, np.sqrt(scale * along), scale * rest, freedom, at.seeds)

    def below(self, root: float, *, folded: bool) -> np.ndarray:
        """The probability of a mean square below the observed one."""
        from scipy.special import fdtr

        places, weights = _student_nodes(self.seeds - 1)
        observed, along, across, freedom = (
            np.asarray(one)[..., None] for one in (self.observed, self.along, self.across, self.freedom)
        )
        reached = root + along * places
        reached = np.maximum(reached, 0.0) if folded else reached
        left = (observed - reached**2) / np.maximum(across, 1e-12 * observed)
        return fdtr(freedom, freedom * (self.seeds - 1), np.maximum(left, 0.0)) @ weights

    def side(self, root: float, error: float) -> np.ndarray:
        """Where the interval lies of a root mean square: −1 below it, 1 above, 0 around it."""
        spent = self.spent_below(root, error)
        beneath = (self.below(root, folded=True) < spent) & (root > 0)
        beyond = self.below(root, folded=False) > 1 - error + spent
        return np.where(beneath, -1, np.where(beyond, 1, 0))

    def lower(self, error: float) -> float:
        """The root mean square that what is observed lies above too rarely: the interval's lower end."""
        return self._root(lambda root: self.below(root, folded=False) - 1 + error - self.spent_below(root, error))

    def upper(self, error: float) -> float:
        """That which it lies below too rarely: the upper end."""
        return self._root(lambda root: self.below(root, folded=True) - self.spent_below(root, error))

    def spent_below(self, root: float, error: float) -> np.ndarray:
        """What of the error is spent on observations that are too small: none at r = 0, half well beyond the noise."""
        noise = math.sqrt(2) * (self.along**2 + self.across / np.sqrt(self.freedom))
        return error / 2 * -np.expm1(-(root**2) / np.maximum(noise, np.finfo(float).tiny))

    def _root(self, gap: Callable[[float], float]) -> float:
        """Where a falling function of r ≥ 0 crosses 0; 0 where it is below it at any."""
        from scipy.optimize import brentq

        if gap(0.0) <= 0:
            return 0.0
        high = max(np.sqrt(max(self.observed, 0.0)), self.along, np.sqrt(self.across))
        while gap(high) > 0:
            high *= 2
        return float(brentq(gap, 0.0, high, xtol=1e-10 * high, rtol=1e-10))


@cache
def _student_nodes(freedom: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and weights that integrate over Student's t, both far tails as finely as the middle."""
    from scipy.special import expit, stdtrit

    edges = np.linspace(-30.0, 0.0, 151)
    probabilities = expit(edges)
    middles = stdtrit(freedom, expit((edges[1:] + edges[:-1]) / 2))
    weights = np.diff(probabilities)
    weights = np.r_[weights, weights[::-1]]
    return np.r_[middles, -middles[::-1]], weights / weights.sum()
