"""The target loss that the Bayesian theory predicts from the target's own samples, by cross-validation.

Each fold's samples are predicted by the posterior solved again without them (docs/theory.md §1). Where that is done for
some folds only, first order in the removal stands for the others, and the folds solved again say by how much it is off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status
from infwidth.theory.bayes import BayesSolution

FOLDS = 10
RESOLVED_UP_TO = 150
"""Samples up to which every fold is solved again; of more, as many folds as cost about the same."""
FEWEST_RESOLVED = 2
RESAMPLES = 400


@dataclass(frozen=True)
class Prediction:
    """Losses of every coupling, with resamples of the samples that they are means over.

    Attributes:
        losses: predicted loss of each coupling, (n,); NaN where the theory has no answer.
        first_order: the same without solving anything again, (n,).
        resampled: losses with the samples drawn anew, the same draws for every coupling, (RESAMPLES, n).
        spread: what the scatter of the resampled losses has to be multiplied by, as they share their training samples.
        numeric: standard errors of the losses from the theory's particles, (n,).
    """

    losses: np.ndarray
    first_order: np.ndarray
    resampled: np.ndarray
    spread: float
    numeric: np.ndarray

    def loss_stderr(self, index: int) -> float:
        """Standard error of a loss, from samples and particles."""
        return math.hypot(self.spread * self.resampled[:, index].std(ddof=1), self.numeric[index])

    def gain(self, index: int, base: int = 0) -> tuple[float, float]:
        """Relative fall of the loss from that of coupling ``base``, and its standard error; pairs share samples."""
        start = self.losses[base]
        if index == base:
            return 0.0, 0.0
        if not start > 0:
            return math.nan, math.nan
        ratio = self.losses[index] / start
        scatter = self.spread * (self.resampled[:, index] - ratio * self.resampled[:, base]).std(ddof=1)
        return 1 - ratio, math.hypot(scatter, self.numeric[index], ratio * self.numeric[base]) / start


def choose_folds(size: int, seed: int) -> tuple[np.ndarray, int]:
    """Return the fold of each of ``size`` samples, at random, and how many folds to solve again."""
    count = min(FOLDS, size)
    folds = generator(seed, "advice", "folds").permutation(size) % count
    return folds, min(count, max(FEWEST_RESOLVED, round(count * RESOLVED_UP_TO / size)))


def predict(
    found: BayesSolution,
    folds: np.ndarray,
    judged: np.ndarray,
    *,
    seed: int,
) -> Prediction:
    """Put the folds' residuals together.

    Training on a fold's complement costs what the other samples of the fold would have taught. How much that is for
    ridge regression on the features learnt without the fold is known in closed form and taken off.

    Args:
        found: a solution of several couplings with folds.
        folds: the fold of each sample, (P2,).
        judged: which samples' residuals count, (P2,).
        seed: of the resamples.
    """
    draws = generator(seed, "advice", "resamples").multinomial(judged.sum(), judged / judged.sum(), RESAMPLES)
    counts = np.concatenate([judged[None].astype(float), draws])
    columns, plain, numeric = [], [], []
    for i, point in enumerate(found.folds_left_out or [None] * len(found.status)):
        if point is None or found.status[i] is not Status.CONVERGED:
            columns.append(np.full(len(counts), np.nan))
            plain.append(math.nan)
            numeric.append(math.nan)
            continue
        cheap, solved = np.square(point.first_order), np.isfinite(point.residuals) & judged
        whole, part = (np.square(left[solved]).sum() for left in (point.fixed_single, point.fixed))
        price = whole / part if part > 0 else 1.0
        again = np.where(solved, np.square(point.residuals) - np.square(point.stderr), 0.0)
        columns.append(price * _combine(again, cheap, solved, judged, counts))
        plain.append(price * cheap[judged].mean())
        errors = (2 * point.residuals * point.stderr)[solved]
        scatter = float(np.sqrt(np.square(errors).sum())) / max(len(errors), 1)
        common = np.broadcast_to(found.stderr["leave_one_out"], len(found.status))[i]
        numeric.append(price * math.hypot(scatter, common))
    resampled = np.stack(columns, 1)
    # Nadeau and Bengio's correction: resampled folds see the scatter of the samples judged, not that of those learnt
    # from, which adds n_judged/n_learnt = 1/(K − 1) to the 1/K of the mean of K folds.
    count = int(folds.max()) + 1
    spread = math.sqrt(1 + count / (count - 1))
    return Prediction(resampled[0], np.array(plain), resampled[1:], spread, np.array(numeric))


def _combine(
    again: np.ndarray, cheap: np.ndarray, solved: np.ndarray, judged: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Mean loss under each row of counts (m, P): of the samples solved again, with first order as control variate."""
    if not solved.any():
        return counts @ cheap / counts.sum(1)
    slope = 0.0
    if (judged & ~solved).any():
        x, y = cheap[solved] - cheap[solved].mean(), again[solved] - again[solved].mean()
        slope = float(np.clip((x @ y) / max(x @ x, 1e-300), 0.0, 2.0))
    some = counts * solved
    rest = (some @ (again - slope * cheap)) / np.maximum(some.sum(1), 1e-300)
    return rest + slope * (counts @ cheap) / counts.sum(1)
