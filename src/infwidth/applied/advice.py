"""How strongly a user's target network should be tied to its source: the Bayesian theory's answer on their own data.

The target loss at every δ is predicted by cross-validation of the target samples (docs/theory.md §1), so no test set is
needed. What a smaller target set would gain is measured on the samples it leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from infwidth.applied.distinct import distinct
from infwidth.applied.given_network import GivenNetwork
from infwidth.applied.prediction import Prediction, choose_folds, predict_in_turn
from infwidth.applied.verdict import about_smaller, conclude
from infwidth.numerics.arrays import LARGEST_ENTRY
from infwidth.numerics.checks import InputError, check_number
from infwidth.numerics.losses import are_classes
from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status
from infwidth.tasks.own_data import OwnData
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.bayes import ACTIVATIONS, BayesSolution, solve
from infwidth.theory.problem import POSITIVE, check_activation
from infwidth.theory.span import OutputSpan

COUPLINGS = (0.0, 1.0, 10.0, 100.0, math.inf)
MANY, STIFFEST = 250, 10.0
"""Samples, times outputs, above which δ beyond ``STIFFEST``, ∞ apart, is left out by default: it needs more particles
than fit in two minutes."""
MORE = 500
"""Those above which ``STIFFEST`` alone is left between 0 and ∞, as each δ takes up to a minute."""
RICHNESS, RICHEST = 5.0, 1.0
"""γ√D of the default feature-learning strength, and the largest γ: features are learned, and few neurons condense."""
HALVINGS = 3
"""How often a default strength is halved, at most, where the theory has no answer: rich neurons condense, or pass too
slowly between the prior and the few directions that they condense to, the more so the more samples and classes."""
FARTHEST = 3.0
"""Strength over its :func:`onset` beyond which, of more than ``MANY`` samples, a default is halved untried: on images
there was hardly ever an answer, and to find none takes as long as one. Of fewer it is tried: there features that learn
may take ten times as much."""
PARTICLES_A_SAMPLE = 4
"""With fewer, the particles interpolate the labels as a finite network would."""
LEAST_PARTICLES = 2048
SHARES = (0.25, 0.5)
"""Smaller target sets, as shares of the whole."""
SMALLEST = 8
"""Samples below which no smaller target set is tried; nor with more than ``MANY``/2, for its time."""
HELD_OUT = 250
"""Samples left out that a smaller set is tested on, at most."""
FEWEST = 4
"""Samples below which there is nothing to compare."""


@dataclass(frozen=True)
class Advice:
    """What is predicted.

    Attributes:
        table: a row a coupling: ``elastic_coupling``, ``loss`` (cross-validated), ``stderr`` (over samples and
            particles), ``gain`` (relative fall from δ = 0), ``gain_stderr``, ``first_order_loss`` (what the loss would
            be if features stayed when samples leave), of classes ``error`` (predicted share of wrong ones) and
            ``error_stderr``, ``status``.
        smaller: a row a smaller target set: ``n_target``, ``scratch_loss`` and ``loss`` (at the recommended δ) on the
            samples left out, ``gain``, ``gain_stderr``, ``status``. Empty without a recommendation.
        recommended: δ of the least predicted loss; None where there is no telling.
        sentence: the answer in words.
        n_target: target samples P2 that count: copies count as one.
        strengths: γ̄ and γ that this is for.
        notes: copies and shared samples that were found, and strengths below the default, a line each.
    """

    table: pd.DataFrame
    smaller: pd.DataFrame
    recommended: float | None
    sentence: str
    n_target: int
    strengths: tuple[float, float]
    notes: tuple[str, ...] = ()


def default_strength(dimension: int) -> float:
    """Feature-learning strength γ where none is given, for inputs of D numbers."""
    return min(RICHNESS / math.sqrt(dimension), RICHEST)


def advise(
    data: OwnData,
    *,
    activation: str = "erf",
    source_strength: float | None = None,
    target_strength: float | None = None,
    inverse_temperature: float = 10.0,
    couplings: Sequence[float] | None = None,
    particles: int | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> Advice:
    """Predict the target loss for every δ, of classes their error rate too, and recommend one.

    Copies among a set's samples, also nearly exact ones, count as one sample with the mean of their labels. Target
    samples that the source has as well are learnt from but not judged by, as the source has seen their labels.

    Args:
        data: source and target.
        activation: φ, one that the Bayesian theory covers.
        source_strength: γ̄; None takes ``RICHNESS``/√D, at most ``RICHEST``, and what γ is lowered by.
        target_strength: γ; None takes as much, or, where the theory has no two answers to compare, half of it, a
            quarter, an eighth.
        inverse_temperature: β; labels have noise of variance 1/(βγ²N), in effect a ridge of 1/β.
        couplings: δ ≥ 0 to compare; 0, training from scratch, is always among them. None takes ``COUPLINGS``, of many
            samples fewer.
        particles: of the theory; None takes enough for the samples.
        seed: of particles, folds and subsets.
        progress: called with the fraction done.

    Raises:
        InputError: an argument out of range, labels whose squares overflow, fewer than ``FEWEST`` samples once
            copies count as one, or a class with a single one.
    """
    classes = are_classes(data.y_target, several_outputs=data.y_target.ndim > 1)  # before labels of copies are averaged
    sets = distinct(data)
    data = sets.data
    dimension, size = data.x_source.shape[1], len(data.y_target)
    _check_labels(data, classes=classes)
    if particles is None:
        particles = max(LEAST_PARTICLES, PARTICLES_A_SAMPLE * max(size, len(data.y_source)))
    common = {
        "activation": activation,
        "inverse_temperature": inverse_temperature,
        "particles": particles,
        "seed": seed,
        "evidence": False,
        "strict": False,
    }
    outputs = OutputSpan.of(data.y_target).labels[0].size
    amount = max(size * outputs, OutputSpan.of(data.y_source).labels.size)
    couplings = _couplings(couplings, amount)
    counts = [count for count in (round(share * size) for share in SHARES) if SMALLEST <= count <= MANY / 2 / outputs]
    steps = len(couplings) + sum(counts) / size
    show = progress or (lambda _: None)
    # The target's own samples stand in for a test set: cross-validation needs none.
    task = _task(data, np.arange(size), np.arange(1))
    share = len(couplings) / steps
    left_out = choose_folds(size, seed, outputs=1 if activation == "linear" else outputs)
    folds = left_out["folds"]
    given = GivenNetwork.of_data(data)
    strengths = source_strength, target_strength
    most = math.inf
    if amount > MANY and activation != "linear":  # which has an answer at any
        most = _richest(data, *strengths, activation=activation, inverse_temperature=inverse_temperature)
    tried = list(_strengths(dimension, *strengths, most))
    if sets.judged.sum() < min(SMALLEST, size):  # the theory would say how well the source remembers
        return Advice(_nothing(couplings), pd.DataFrame(), None, sets.refusal(), size, tried[0], sets.notes)
    for first, second in tried:
        anchor = given and given.anchor(1.0, activation=activation, strength=first)
        common |= {"source_strength": first, "target_strength": second, "source_weights": anchor}
        found = _solve_in_turn(task, couplings, lambda part: show(share * part), **common, **left_out)
        if len(found) == 2 and Status.CONVERGED in found[1].status:  # two answers to compare
            break
    table = _compare(couplings, found, predict_in_turn(found, folds, sets.judged, len(couplings)))
    if classes:
        mistakes = predict_in_turn(found, folds, sets.judged, len(couplings), classes=data.y_target)
        errors = [mistakes.loss_stderr(i) for i in range(len(couplings))]
        table.insert(len(table.columns) - 1, "error", mistakes.losses)
        table.insert(len(table.columns) - 1, "error_stderr", errors)
    recommended, sentence = conclude(table, int(sets.judged.sum()))
    order = generator(seed, "advice", "subsets").permutation(size)
    rows = []
    for count in counts if recommended else []:
        rest = order[count:][sets.judged[order[count:]]][:HELD_OUT]
        if len(rest) < SMALLEST:
            continue
        task = _task(data, order[:count], rest)
        pair = solve(task, elastic_coupling=[0.0, recommended], **common)
        rows.append({"n_target": count, **_held_out(pair, task)})
        share += count / size / steps
        show(share)
    show(1.0)
    smaller = pd.DataFrame(rows)
    sentence += about_smaller(smaller) + sets.warning()
    notes = sets.notes + _lowered(
        (first, second), next(_strengths(dimension, source_strength, target_strength, math.inf))
    )
    return Advice(table, smaller, recommended, sentence, size, (first, second), notes)


def _couplings(couplings: Sequence[float] | None, amount: int) -> list[float]:
    """The couplings to compare, 0 first: those given, or the default's for so many samples times outputs."""
    if couplings is None:
        couplings = [value for value in COUPLINGS if amount <= MANY or value <= STIFFEST or math.isinf(value)]
        couplings = couplings if amount <= MORE else [0.0, STIFFEST, math.inf]
    couplings = sorted({0.0, *map(float, couplings)})
    if len(couplings) < 2:
        raise InputError("couplings = [0]: expected a δ > 0 to compare with training from scratch; name one")
    return couplings


def _richest(
    data: OwnData, source: float | None, target: float | None, *, activation: str, inverse_temperature: float
) -> float:
    """The largest strength worth trying for those of source and target that are None."""
    from infwidth.applied.onset import onset  # torch takes a second to import

    check_activation(activation, ACTIVATIONS)
    beta = check_number("inverse_temperature", inverse_temperature, **POSITIVE)
    free = [(data.x_source, data.y_source)] * (source is None and data.weights is None)
    free += [(data.x_target, data.y_target)] * (target is None)
    found = [onset(*one, activation=activation, inverse_temperature=beta) for one in free]
    return FARTHEST * min(found, default=math.inf)


def _strengths(
    dimension: int, source: float | None, target: float | None, most: float = math.inf
) -> Iterator[tuple[float, float]]:
    """γ̄ and γ to try in turn: those given, and for None the default, halved until it is at most ``most``, and below.

    A given γ has an answer from scratch or none, whatever γ̄.
    """
    default = default_strength(dimension)
    start = math.ceil(math.log2(max(default / most, 1.0)))
    for halving in range(start, start + (1 + HALVINGS if target is None else 1)):
        first, second = (default / 2**halving if value is None else value for value in (source, target))
        yield first, second


def _lowered(strengths: tuple[float, float], default: tuple[float, float]) -> tuple[str, ...]:
    """What to say of strengths below the default."""
    if strengths == default:
        return ()
    return (
        f"γ̄ = {strengths[0]:.3g}, γ = {strengths[1]:.3g}: the default, {default[0]:.3g} and {default[1]:.3g}, is "
        "too rich for these samples: the theory has no answer, or neurons are about to condense to few",
    )


def _solve_in_turn(
    task: TransferTask, couplings: Sequence[float], show: Callable[[float], None], **settings: Any
) -> list[BayesSolution]:
    """Solutions of the first δ, training from scratch, and of the others if it has an answer to compare them with."""
    count = len(couplings)
    scratch = solve(task, elastic_coupling=couplings[:1], progress=lambda part: show(part / count), **settings)
    if scratch.status[0] is not Status.CONVERGED:
        return [scratch]

    def show_rest(part: float) -> None:
        show((1 + (count - 1) * part) / count)

    return [scratch, solve(task, elastic_coupling=couplings[1:], progress=show_rest, **settings)]


def _check_labels(data: OwnData, *, classes: bool) -> None:
    """Raise InputError for labels whose squares overflow, or too few of them, in all or of a target's class."""
    for part, y in (("source", data.y_source), ("target", data.y_target)):
        if not np.abs(y).max() < LARGEST_ENTRY:
            raise InputError(f"y_{part} holds {np.abs(y).max():.0e}; expected labels of order 1; standardise them")
        if len(y) < FEWEST:
            raise InputError(f"{part}: {len(y)} different samples; expected at least {FEWEST}; add some")
    if classes and data.y_target.ndim > 1:
        counts = np.bincount(data.y_target.argmax(1), minlength=data.y_target.shape[1])
        rare = np.flatnonzero(counts == 1)
        if len(rare):
            name = data.classes[rare[0]] if data.classes else rare[0]
            raise InputError(
                f"target: class {name} has 1 different sample; expected at least 2 of each, as one is judged by what "
                "the others teach; add some or drop the class"
            )


def _task(data: OwnData, train: np.ndarray, test: np.ndarray) -> TransferTask:
    x, y = data.x_target, data.y_target
    return TransferTask(data.x_source, data.y_source, x[train], y[train], x[test], y[test], label=data.label)


def _nothing(couplings: Sequence[float]) -> pd.DataFrame:
    """The table where nothing can be judged."""
    missing = dict.fromkeys(("loss", "stderr", "gain", "gain_stderr", "first_order_loss"), math.nan)
    return pd.DataFrame([{"elastic_coupling": value} | missing | {"status": "not judged"} for value in couplings])


def _compare(couplings: Sequence[float], found: Sequence[BayesSolution], prediction: Prediction) -> pd.DataFrame:
    """Losses and gains with errors; those of a gain are paired, sample by sample.

    A δ that was not solved, as training from scratch had no answer, has its status.
    """
    statuses = [status for one in found for status in one.status]
    statuses += statuses[:1] * (len(couplings) - len(statuses))
    rows = []
    for i, coupling in enumerate(couplings):
        gain, error = prediction.gain(i)
        rows.append(
            {
                "elastic_coupling": coupling,
                "loss": prediction.losses[i],
                "stderr": prediction.loss_stderr(i),
                "gain": gain,
                "gain_stderr": error,
                "first_order_loss": prediction.first_order[i],
                "status": statuses[i].value,
            }
        )
    return pd.DataFrame(rows)


def _held_out(pair: BayesSolution, task: TransferTask) -> dict:
    """A smaller set's losses on the samples it leaves out."""
    errors = np.square(pair.prediction - task.y_test)
    base, losses = errors.reshape(2, len(task.y_test), -1).mean(-1)
    gain, error = _gain(base, losses, float(np.linalg.norm(pair.stderr["test_loss"])))
    good = all(status is Status.CONVERGED for status in pair.status)
    ended = Status.CONVERGED if good else next(s for s in pair.status if s is not Status.CONVERGED)
    return {"scratch_loss": base.mean(), "loss": losses.mean(), "gain": gain, "gain_stderr": error,
            "status": ended.value}  # fmt: skip


def _gain(base: np.ndarray, losses: np.ndarray, numeric: float) -> tuple[float, float]:
    """Relative fall of the mean loss and its standard error, given that of the two means' numerical difference."""
    if not base.mean() > 0:
        return math.nan, math.nan
    ratio = losses.mean() / base.mean()
    return 1 - ratio, math.hypot(_sem(losses - ratio * base), numeric) / base.mean()


def _sem(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))
