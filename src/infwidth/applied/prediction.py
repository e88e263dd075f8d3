"""The target loss that the Bayesian theory predicts from the target's own samples, by cross-validation.

Each fold's samples are predicted by the posterior solved again without them (docs/theory.md §1). Where that is done for
some folds only, first order in the removal stands for the others, and the folds solved again say by how much it is off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np

from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status
from infwidth.theory.bayes import BayesSolution
from infwidth.theory.posterior.folds import FoldsLeftOut, diagonal

FOLDS = 10
ALONE = 40
"""Samples up to which each is left out alone, too, by solving again: where they are about as many as dimensions, loss
changes with every one, and first order in bringing back the others of a fold is 4 % off on average."""
RESOLVED_UP_TO = 150
"""Samples up to which every fold is solved again; of more, as many folds as cost about the same."""
FEWEST_RESOLVED = 2
OUTLIER = 3.0
"""Robust standard deviations beyond which one sample's effect on what is learnt counts as much as there: first order
exaggerates the effect of a sample that features have adapted to."""


@dataclass(frozen=True)
class Prediction:
    """Losses of every coupling, or shares of wrong classes, and what each sample does to them.

    A predicted loss is off for two reasons, independent of one another: it is a mean over the samples judged, and those
    learnt from are one draw, whose true loss differs from that of other draws, which is all that can be predicted.

    Attributes:
        losses: predicted loss of each coupling, (n,); NaN where the theory has no answer.
        first_order: the same without solving anything again, (n,).
        judged: losses without each sample among those judged, (judged, n).
        learnt: mean effect on the others' losses of not having learnt from a sample, (P2, n).
        numeric: standard errors of the losses from the theory's particles, (n,).
    """

    losses: np.ndarray
    first_order: np.ndarray
    judged: np.ndarray
    learnt: np.ndarray
    numeric: np.ndarray

    def loss_stderr(self, index: int) -> float:
        """Standard error of a loss, from samples and particles."""
        return math.hypot(_scatter(self.judged[:, index], self.learnt[:, index]), self.numeric[index])

    def gain(self, index: int, base: int = 0) -> tuple[float, float]:
        """Relative fall of the loss from that of coupling ``base``, and its standard error; pairs share samples."""
        start = self.losses[base]
        if index == base:
            return 0.0, 0.0
        if not start > 0:
            return math.nan, math.nan
        ratio = self.losses[index] / start
        parts = (effects[:, index] - ratio * effects[:, base] for effects in (self.judged, self.learnt))
        return 1 - ratio, math.hypot(_scatter(*parts), self.numeric[index], ratio * self.numeric[base]) / start


def _scatter(judged: np.ndarray, learnt: np.ndarray) -> float:
    """Standard error by the jackknife over the samples judged, and over those learnt from."""
    middle = np.median(learnt)
    reach = OUTLIER * 1.4826 * np.median(np.abs(learnt - middle))
    if reach > 0:
        learnt = np.clip(learnt, middle - reach, middle + reach)
    return math.hypot(*(math.sqrt(len(effects) - 1) * float(effects.std()) for effects in (judged, learnt)))


def choose_folds(size: int, seed: int, *, outputs: int = 1) -> dict[str, Any]:
    """Return what ``bayes.solve`` has to leave out of ``size`` samples: folds at random, how many, and whether each.

    Particles have as much work with a sample of several ``outputs`` as with so many samples.
    """
    count = max(2, min(FOLDS, size // 2))
    folds = generator(seed, "advice", "folds").permutation(size) % count
    solved = min(count, max(FEWEST_RESOLVED, round(count * RESOLVED_UP_TO / (size * outputs))))
    return {"folds": folds, "folds_solved": solved, "leave_each": size <= ALONE}


def predict(
    found: BayesSolution, folds: np.ndarray, judged: np.ndarray, *, classes: np.ndarray | None = None
) -> Prediction:
    """Put the folds' residuals together.

    Args:
        found: a solution of several couplings with folds.
        folds: the fold of each sample, (P2,).
        judged: which samples' residuals count, (P2,).
        classes: labels y, (P2,) or (P2, C), for the share of wrong classes in place of the loss.
    """
    # all judged samples, and without each of them
    counts = (judged - np.eye(len(folds)) * judged)[judged]
    counts = np.concatenate([judged[None].astype(float), counts])
    nothing = np.full(len(counts), np.nan), np.full(len(folds), np.nan), math.nan, math.nan
    cost = _squares if classes is None else partial(_mistakes, classes)
    others = np.bincount(folds)[folds] - 1
    columns = []
    for i, left in enumerate(found.folds_left_out or [None] * len(found.status)):
        if left is None or found.status[i] is not Status.CONVERGED:
            columns.append(nothing)
            continue
        cheap = cost(diagonal(left.first_order), 1)
        solved = np.isfinite(left.residuals.reshape(len(folds), -1)).all(1) & judged
        bias, numeric = 0.0, 0.0  # of particles; a class hardly depends on them
        if classes is None:
            bias = _squares(left.stderr, 1)
            errors = _squares(2 * left.residuals * left.stderr, 1)[solved] / left.residuals[0].size
            common = np.broadcast_to(found.stderr["leave_one_out"], len(found.status))[i]
            numeric = math.hypot(math.sqrt(errors.sum()) / max(len(errors), 1), common)
        one, fold = (cost(residuals, 1) - bias for residuals in (left.alone, left.residuals))
        losses = _combine(np.where(solved, one, 0.0), cheap, solved, judged, counts)
        losses *= _growth(one, fold, others, solved, counts)
        # one sample turns whole classes of others, which the jackknife takes for more scatter than there is
        learnt = _learnt(left, cost, solved, judged) if classes is None else np.zeros(len(folds))
        columns.append((losses, learnt, cheap[judged].mean(), numeric))
    losses, learnt, plain, numeric = (np.stack(part, -1) for part in zip(*columns, strict=True))
    return Prediction(losses[0], plain, losses[1:], learnt, numeric)


def predict_in_turn(
    found: Sequence[BayesSolution], folds: np.ndarray, judged: np.ndarray, count: int, **options: Any
) -> Prediction:
    """:func:`predict` of solutions one after the other, and NaN for those of ``count`` couplings that there are not."""
    parts = [predict(one, folds, judged, **options) for one in found]

    def joined(name: str) -> np.ndarray:
        values = np.concatenate([getattr(part, name) for part in parts], -1)
        return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, count - values.shape[-1])], constant_values=np.nan)

    return Prediction(**{one.name: joined(one.name) for one in fields(Prediction)})


Cost = Callable[[np.ndarray, int], np.ndarray]
"""What residuals cost, given how many of their first axes are samples."""


def _squares(residuals: np.ndarray, axes: int) -> np.ndarray:
    """Mean square over outputs."""
    return np.square(residuals).reshape(*residuals.shape[:axes], -1).mean(-1)


def _mistakes(labels: np.ndarray, residuals: np.ndarray, axes: int) -> np.ndarray:
    """1 where the class of f = y − r is not the label's, else 0; ½ where one output has none."""
    labels = labels if axes == 1 else labels[:, None]
    outputs = labels - residuals
    if outputs.ndim == axes:
        return (1 - np.sign(outputs) * np.sign(labels)) / 2
    return (outputs.argmax(-1) != labels.argmax(-1)).astype(float)


def _growth(
    one: np.ndarray, fold: np.ndarray, others: np.ndarray, solved: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """The factor from the loss of all samples but one to that of all, under each row of counts (m, P).

    From the fold's to the sample's alone the loss changes by what the fold's others teach; the sample itself teaches as
    much as one of them, a share k of what they do. The k-th power of the ratio q of the two losses would be too large
    on average, by ½k(k + 1) of log q's variance, as both are noisy: 5 % at 10 to 20 samples. So where the loss grows it
    goes on in a straight line, which noise does not shift; where it falls, by the power, as a line may end below 0.

    Args:
        one: costs of samples without themselves alone, (P,).
        fold: those without their fold.
        others: how many others their fold has.
        solved: whose numbers are known.
        counts: how much each sample counts.
    """
    weights = counts[:, solved]
    few, many = weights @ one[solved], weights @ fold[solved]
    known = (few > 0) & (many > 0)
    growth = np.log(np.where(known, few, 1.0) / np.where(known, many, 1.0))
    share = 1 / np.maximum(weights @ others[solved] / np.maximum(weights.sum(1), 1e-300), 1.0)
    return np.where(growth > 0, 1 - share * np.expm1(-growth), np.exp(share * growth))


def _learnt(left: FoldsLeftOut, cost: Cost, solved: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """Mean over others' costs of the change when each sample is not learnt from, (P,)."""
    rows, pairs = (solved, left.pairs) if solved.any() else (judged, left.first_order)
    change = cost(pairs, 2) - cost(diagonal(pairs), 1)[:, None]
    return change[rows].sum(0) / np.maximum(rows.sum() - rows, 1)


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
