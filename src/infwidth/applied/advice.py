"""How strongly a user's target network should be tied to its source: the Bayesian theory's answer on their own data.

The target loss at every δ is predicted by the leave-one-out error of the target samples (docs/theory.md §1), so no
test set is needed. What a smaller target set would gain is measured on the samples it leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status
from infwidth.tasks.own_data import OwnData
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.bayes import BayesSolution, solve

COUPLINGS = (0.0, 1.0, 10.0, 100.0, math.inf)
MANY, STIFFEST = 250, 10.0
"""Samples above which δ beyond ``STIFFEST``, ∞ apart, is left out by default: it needs more particles than fit in two
minutes."""
RICHNESS = 5.0
"""γ√D of the default feature-learning strength: features are learned, and few neurons condense."""
PARTICLES_A_SAMPLE = 4
"""With fewer, the particles interpolate the labels as a finite network would."""
LEAST_PARTICLES = 2048
SHARES = (0.25, 0.5)
"""Smaller target sets, as shares of the whole."""
SMALLEST = 8
"""Samples below which no smaller target set is tried; nor with more than ``MANY``/2, for its time."""
HELD_OUT = 250
"""Samples left out that a smaller set is tested on, at most."""
CLEAR = 2.0
"""Standard errors by which a gain has to differ from 0."""


@dataclass(frozen=True)
class Advice:
    """What is predicted.

    Attributes:
        table: a row a coupling: ``elastic_coupling``, ``loss`` (leave-one-out), ``stderr`` (over samples and
            particles), ``gain`` (relative fall from δ = 0), ``gain_stderr``, ``status``.
        smaller: a row a smaller target set: ``n_target``, ``scratch_loss`` and ``loss`` (at the recommended δ) on the
            samples left out, ``gain``, ``gain_stderr``, ``status``. Empty without a recommendation.
        recommended: δ of the least predicted loss; None where there is no telling.
        sentence: the answer in words.
    """

    table: pd.DataFrame
    smaller: pd.DataFrame
    recommended: float | None
    sentence: str


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
    """Predict the target loss for every δ and recommend one.

    Args:
        data: source and target.
        activation: φ, "linear", "relu" or "erf".
        source_strength: γ̄; None takes ``RICHNESS``/√D.
        target_strength: γ; None likewise.
        inverse_temperature: β; labels have noise of variance 1/(βγ²N), in effect a ridge of 1/β.
        couplings: δ ≥ 0 to compare; 0, training from scratch, is always among them. None takes ``COUPLINGS``, of many
            samples fewer.
        particles: of the theory; None takes enough for the samples.
        seed: of particles and subsets.
        progress: called with the fraction done.

    Raises:
        InputError: an argument out of range.
    """
    dimension, size = data.x_source.shape[1], len(data.y_target)
    particles = particles or max(LEAST_PARTICLES, PARTICLES_A_SAMPLE * max(size, len(data.y_source)))
    default = RICHNESS / math.sqrt(dimension)
    common = {
        "activation": activation,
        "source_strength": default if source_strength is None else source_strength,
        "target_strength": default if target_strength is None else target_strength,
        "inverse_temperature": inverse_temperature,
        "particles": particles,
        "seed": seed,
        "evidence": False,
        "strict": False,
    }
    if couplings is None:
        small = max(size, len(data.y_source)) <= MANY
        couplings = [value for value in COUPLINGS if small or value <= STIFFEST or math.isinf(value)]
    couplings = sorted({0.0, *map(float, couplings)})
    counts = [count for count in (round(share * size) for share in SHARES) if SMALLEST <= count <= MANY / 2]
    steps = len(couplings) + sum(counts) / size
    show = progress or (lambda _: None)
    # The target's own samples stand in for a test set: leave-one-out needs none.
    task = _task(data, np.arange(size), np.arange(1))
    share = len(couplings) / steps
    found = solve(task, elastic_coupling=couplings, **common, progress=lambda part: show(share * part))
    table = _compare(couplings, found)
    recommended, sentence = _conclude(table)
    order = generator(seed, "advice", "subsets").permutation(size)
    rows = []
    for count in counts if recommended else []:
        task = _task(data, order[:count], order[count:][:HELD_OUT])
        pair = solve(task, elastic_coupling=[0.0, recommended], **common)
        rows.append({"n_target": count, **_held_out(pair, task)})
        share += count / size / steps
        show(share)
    show(1.0)
    smaller = pd.DataFrame(rows)
    return Advice(table, smaller, recommended, sentence + _about_smaller(smaller))


def _task(data: OwnData, train: np.ndarray, test: np.ndarray) -> TransferTask:
    x, y = data.x_target, data.y_target
    return TransferTask(data.x_source, data.y_source, x[train], y[train], x[test], y[test], label=data.label)


def _compare(couplings: Sequence[float], found: BayesSolution) -> pd.DataFrame:
    """Losses and gains with errors over samples; those of a gain are paired, sample by sample."""
    losses = np.square(found.left_out_residual)
    numeric = np.broadcast_to(found.stderr["leave_one_out"], len(losses))
    rows = []
    for i, coupling in enumerate(couplings):
        gain, error = _gain(losses[0], losses[i], math.hypot(numeric[0], numeric[i]) if coupling else 0.0)
        rows.append(
            {
                "elastic_coupling": coupling,
                "loss": losses[i].mean(),
                "stderr": math.hypot(_sem(losses[i]), numeric[i]),
                "gain": gain,
                "gain_stderr": error,
                "status": found.status[i].value,
            }
        )
    return pd.DataFrame(rows)


def _held_out(pair: BayesSolution, task: TransferTask) -> dict:
    """A smaller set's losses on the samples it leaves out."""
    base, losses = np.square(pair.prediction - task.y_test)
    gain, error = _gain(base, losses, float(np.linalg.norm(pair.stderr["test_loss"])))
    good = all(status is Status.CONVERGED for status in pair.status)
    ended = Status.CONVERGED if good else next(s for s in pair.status if s is not Status.CONVERGED)
    return {"scratch_loss": base.mean(), "loss": losses.mean(), "gain": gain, "gain_stderr": error,
            "status": ended.value}  # fmt: skip


def _gain(base: np.ndarray, losses: np.ndarray, numeric: float) -> tuple[float, float]:
    """Relative fall of the mean loss and its standard error, given that of the two means' numerical difference."""
    ratio = losses.mean() / base.mean()
    return 1 - ratio, math.hypot(_sem(losses - ratio * base), numeric) / base.mean()


def _sem(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


def _conclude(table: pd.DataFrame) -> tuple[float | None, str]:
    """The recommended δ, and the answer in words."""
    good = table[table["status"] == Status.CONVERGED.value]
    lost = table[table["status"] != Status.CONVERGED.value]
    missing = ""
    if len(lost):
        ends = {f"{Status(row.status).value} at δ = {_spell(row.elastic_coupling)}" for row in lost.itertuples()}
        missing = f" ({'; '.join(sorted(ends))}: {Status(lost['status'].iloc[0]).remedy})"
    if 0.0 not in set(good["elastic_coupling"]):
        return None, f"Can't tell: the theory has no answer for training from scratch{missing}."
    if len(good) < 2:
        return None, f"Can't tell: the theory has an answer for training from scratch only{missing}."
    best = good.loc[good["loss"].idxmin()]
    coupling = float(best["elastic_coupling"])
    if coupling == 0:
        others = good[good["elastic_coupling"] > 0]
        rival = others.loc[others["loss"].idxmin()]
        if rival["gain"] > -CLEAR * rival["gain_stderr"]:
            return None, (
                f"Can't tell: training from scratch is predicted best, but δ = {_spell(rival['elastic_coupling'])} is "
                f"within the error bars ({100 * rival['gain']:+.1f} ± {100 * rival['gain_stderr']:.1f} %); more target "
                f"samples would decide{missing}."
            )
        return 0.0, (
            f"Train from scratch (δ = 0): the source hurts, by {-100 * rival['gain']:.1f} ± "
            f"{100 * rival['gain_stderr']:.1f} % even at the best δ > 0{missing}."
        )
    gain = f"{100 * best['gain']:.1f} ± {100 * best['gain_stderr']:.1f} %"
    if best["gain"] < CLEAR * best["gain_stderr"]:
        return None, (
            f"Can't tell: δ = {_spell(coupling)} is predicted best, but its gain over training from scratch, {gain}, "
            f"is within the error bars; more target samples would decide{missing}."
        )
    even = good[(best["gain"] - good["gain"]) < np.hypot(good["gain_stderr"], best["gain_stderr"])]
    alike = [_spell(value) for value in even["elastic_coupling"] if value not in (coupling, 0.0)]
    also = f"; δ = {', '.join(alike)} would do about as well" if alike else ""
    return coupling, (
        f"Tie the target to the source with δ = {_spell(coupling)}: its loss is predicted {gain} below training from "
        f"scratch{also}{missing}."
    )


def _about_smaller(smaller: pd.DataFrame) -> str:
    """What a smaller target set would gain, in words."""
    good = smaller[smaller["status"] == Status.CONVERGED.value] if len(smaller) else smaller
    parts = [
        f"{100 * row.gain:+.1f} ± {100 * row.gain_stderr:.1f} % with {row.n_target} target samples"
        for row in good.itertuples()
    ]
    return f" With fewer samples the gain would be {', '.join(parts)}." if parts else ""


def _spell(coupling: float) -> str:
    return "∞" if math.isinf(coupling) else f"{coupling:g}"
