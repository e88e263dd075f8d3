"""Estimates over data sets and their intervals: smooth functions of means, the largest of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from infwidth.analysis.intervals import Function, Ratio, jackknife, largest_ends
from infwidth.analysis.seeds import student_quantile
from infwidth.numerics.checks import InputError

if TYPE_CHECKING:
    import pandas as pd

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

    def widths(self, level: float, freedom: float | None = None) -> float:
        """Half the interval in standard errors, of so many degrees of freedom, or of the data sets'."""
        return student_quantile(self.seeds - 1 if freedom is None else freedom, level) + self.margin

    def level(self, level: float) -> float:
        """The level of an interval that is so wide by itself."""
        if not self.margin:
            return level
        from scipy.special import stdtr

        return 1 - 2 * float(stdtr(self.seeds - 1, -self.widths(level)))


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
        """Part of the variance, 0 … 1, that is sampling within a data set, by kind (theory, network), or ``choice``."""
        ...


@dataclass(frozen=True)
class Smooth:
    """A smooth function of points' means over data sets; its error is the jackknife's.

    The interval is Student's, of a ratio Fieller's.

    Attributes:
        points: data sets (index: seed) × points. A data set that lacks a point, NaN, counts at none.
        function: means of the points, in the columns' order → the number; of several means each, numbers.
        errors: Monte-Carlo standard errors of the entries; 0 where nothing is sampled.
        kinds: of each point, ``theory`` or ``network``.
        exact: whether points are averages over data sets already, of which nothing is left to scatter.
        choices: standard error of each point that all data sets share: of the choice of a learning rate; () for none.
        positive: whether the number is positive by nature; its interval is then that of its logarithm.
        note: what was done to the points, in a few words.
    """

    points: pd.DataFrame
    function: Function
    errors: pd.DataFrame
    kinds: Sequence[str]
    exact: bool = False
    choices: Sequence[float] = ()
    positive: bool = False
    note: str = ""
    value: float = field(init=False)
    stderr: float = field(init=False)
    shared: float = field(init=False)
    seeds: int = field(init=False)
    left_out: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        kept = self.points.dropna()
        values = kept.to_numpy(dtype=float)
        count = len(values)
        if not count:
            raise InputError("no data set whose solvers all converged: expected one; see the status column for which")
        value, stderr = map(float, jackknife(values, self.function))
        put = object.__setattr__
        shared = np.asarray(self.choices or np.zeros(values.shape[1]))
        shared = float(np.linalg.norm(self._slopes(values.mean(0), shared) * shared))
        put(self, "value", value)
        put(self, "shared", shared)
        put(self, "stderr", float(np.hypot(0.0 if self.exact else stderr, shared)))
        put(self, "seeds", count)
        put(self, "left_out", tuple(sorted(set(self.points.index) - set(kept.index))))

    def interval(self, level: float = LEVEL, foreseen: Foresight | None = None) -> tuple[float, float]:
        """See :class:`Estimate`."""
        at = foreseen or Foresight(self.seeds)
        if self.exact:
            return self.value, self.value
        if at.seeds < 2 or not np.isfinite(self.stderr):
            return -np.inf, np.inf
        scatter = (self.stderr**2 - self.shared**2) * at.variance * self.seeds / at.seeds
        whole = scatter + self.shared**2
        # Welch and Satterthwaite's, where a part is known without them
        freedom = (at.seeds - 1) * min((whole / scatter) ** 2, 1e6) if self.shared and scatter > 0 else None
        width = at.widths(level, freedom)
        if isinstance(self.function, Ratio):
            return tuple(map(float, self.function.ends(*self._means(at), width)))
        half = width * np.sqrt(whole)
        if self.positive and self.value > 0:
            factor = float(np.exp(half / self.value))
            return self.value / factor, self.value * factor
        return self.value - half, self.value + half

    def _means(self, at: Foresight) -> tuple[np.ndarray, np.ndarray]:
        """The points' means and the covariance that these have, or are foreseen to have."""
        means, covariance = self._moments
        choices = np.square(self.choices or np.zeros(len(means)))
        return means, covariance * at.variance / at.seeds + np.diag(choices)

    @cached_property  # intervals are asked for at many levels
    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        """The points' means, and their covariance over data sets."""
        values = self.points.dropna().to_numpy(dtype=float)
        return values.mean(0), np.atleast_2d(np.cov(values, rowvar=False))

    def sampling_shares(self) -> dict[str, float]:
        """By the slopes of the function at the means; errors that points share are counted as if they weren't."""
        kept = self.points.dropna()
        means = kept.to_numpy(dtype=float).mean(0)
        noise = np.nan_to_num(self.errors.reindex(kept.index).to_numpy(dtype=float))
        variances = (noise**2).sum(0) / len(kept) ** 2
        parts = self._slopes(means, variances) ** 2 * variances
        found = {kind: parts[np.array(self.kinds) == kind].sum() for kind in set(self.kinds)}
        if not self.shared:
            return shares_of(found, self.stderr**2)
        choice = (self.shared / self.stderr) ** 2
        rest = shares_of(found, self.stderr**2 - self.shared**2)
        return {"choice": choice} | {kind: (1 - choice) * part for kind, part in rest.items()}

    def _slopes(self, means: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """Slopes of the function at the means, where ``wanted`` is not 0."""
        slopes = np.zeros(len(means))
        for i in np.flatnonzero(wanted):
            step = np.zeros(len(means))
            step[i] = 1e-4 * abs(means[i]) or 1e-9
            slopes[i] = (self.function(means + step) - self.function(means - step)) / (2 * step[i])
        return slopes


@dataclass(frozen=True)
class Largest:
    """The largest of several numbers; see :func:`infwidth.analysis.intervals.largest_ends`."""

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
    def note(self) -> str:
        """What was done to the points of the largest."""
        return self.largest.note

    @property
    def left_out(self) -> tuple[int, ...]:
        """Data sets that some part does without."""
        return tuple(sorted({seed for part in self.parts for seed in part.left_out}))

    def interval(self, level: float = LEVEL, foreseen: Foresight | None = None) -> tuple[float, float]:
        """See :class:`Estimate`."""

        def ends(level: float) -> tuple[np.ndarray, np.ndarray]:
            lower, upper = zip(*[part.interval(level, foreseen) for part in self.parts], strict=True)
            return np.array(lower), np.array(upper)

        lower, upper = largest_ends(ends, len(self.parts), level)
        return float(lower), float(upper)

    def sampling_shares(self) -> dict[str, float]:
        """See :class:`Estimate`."""
        return self.largest.sampling_shares()


@dataclass(frozen=True)
class Proportion:
    """How often something is so, with Clopper and Pearson's interval, which holds for rare things too.

    Attributes:
        hits: data sets where it is so.
        seeds: all data sets.
        left_out: data sets that don't say.
    """

    hits: int
    seeds: int
    left_out: tuple[int, ...] = ()

    @property
    def value(self) -> float:
        """The share."""
        return self.hits / self.seeds

    def interval(self, level: float = LEVEL, foreseen: Foresight | None = None) -> tuple[float, float]:
        """See :class:`Estimate`."""
        from scipy.special import betaincinv  # a plan checks claims without it

        at = foreseen or Foresight(self.seeds)
        n, tail = at.seeds, (1 - at.level(level)) / 2
        hits = self.value * n
        lower = float(betaincinv(hits, n - hits + 1, tail)) if hits > 0 else 0.0
        return lower, float(betaincinv(hits + 1, n - hits, 1 - tail)) if hits < n else 1.0

    def sampling_shares(self) -> dict[str, float]:
        """See :class:`Estimate`; each data set says yes or no."""
        return {"theory": 0.0}


def shares_of(parts: dict[str, float], whole: float) -> dict[str, float]:
    """Parts of a variance, together at most all of it."""
    if not np.isfinite(whole) or whole <= 0:
        return dict.fromkeys(parts, 0.0)
    scale = max(1.0, sum(parts.values()) / whole)
    return {kind: float(part / whole / scale) for kind, part in parts.items()}
