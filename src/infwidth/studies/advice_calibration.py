"""Is `advise` honest? What it predicts for a target from its own samples, beside the truth, over tasks of teachers.

Each seed draws a task: a teacher, target samples, an overlap and label noise. The truth is the test loss of the same
theory on thousands of fresh samples, which `advise` does not see (docs/trust.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from infwidth.applied.advice import Advice, advise, default_strength
from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.numerics.progress import Progress
from infwidth.numerics.seeds import derive_seed, generator
from infwidth.numerics.status import Status
from infwidth.tasks.hermite_tasks import hermite
from infwidth.tasks.linear_tasks import linear
from infwidth.tasks.own_data import OwnData
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes, kernels
from infwidth.theory.bayes import BayesSolution

EVEN = 0.01
"""Relative difference of true losses up to which either answer is right."""
APART = 1.5
"""Distance of a class's mean from 0, in standard deviations within it."""


def _signs(seed: int, noise: float, **settings: Any) -> TransferTask:
    """Linear teachers whose noisy answer's sign is the label."""
    task = linear(**settings, source_noise=noise, target_noise=noise, seed=seed)
    labels = (np.where(y > 0, 1.0, -1.0) for y in (task.y_source, task.y_target, task.y_test))
    return _relabelled(task, *labels)


def _squares(seed: int, noise: float, **settings: Any) -> TransferTask:
    """He₂ teachers, with the constant input without which an odd activation can't see them."""
    task = hermite(source_degree=2, target_degree=2, noise=noise, seed=seed, **settings)
    return _relabelled(task, task.y_source, task.y_target, task.y_test, constant=True)


def _classes(seed: int, noise: float, **settings: Any) -> TransferTask:
    """Two Gaussian classes on either side of 0; ``noise`` widens them along the line between their means."""
    task = linear(**settings, seed=seed)
    basis = np.linalg.qr(generator(seed, "directions of classes").standard_normal((task.dimension, 2)))[0].T
    lean = settings["overlap"], math.sqrt(1 - settings["overlap"] ** 2)
    parts = []
    for part, direction in (("source", basis[0]), ("target", lean @ basis), ("test", lean @ basis)):
        random, x = generator(seed, f"{part} classes"), getattr(task, f"x_{part}")
        y = random.choice([-1.0, 1.0], len(x))
        along = APART * y + noise * random.standard_normal(len(x))
        parts += [x + along[:, None] * direction, y]
    return TransferTask(*parts)


def _linear(seed: int, noise: float, **settings: Any) -> TransferTask:
    return linear(**settings, source_noise=noise, target_noise=noise, seed=seed)


TEACHERS: dict[str, tuple[str, Callable[..., TransferTask]]] = {
    "linear": ("linear teachers", _linear),
    "hermite": ("He2 teachers", _squares),
    "sign": ("signs of linear teachers", _signs),
    "classes": ("Gaussian classes", _classes),
}


def run(
    *,
    seed: int,
    activation: str = "linear",
    teachers: Sequence[str] = tuple(TEACHERS),
    least_target_samples: int = 10,
    most_target_samples: int = 120,
    overlaps: Sequence[float] = (0, 0.3, 0.6, 0.9, 1),
    noises: Sequence[float] = (0, 0.3, 0.6),
    elastic_couplings: Sequence[float] = (0, 1, 10, math.inf),
    dimension: int = 20,
    source_samples: int = 100,
    test_samples: int = 2000,
    inverse_temperature: float = 10.0,
    particles: int = 2048,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Ask for advice on one task, and hold it against the truth.

    Args:
        seed: whole number ≥ 0 that the task derives from.
        activation: one that the Bayesian theory covers.
        teachers: of ``TEACHERS``, one is drawn.
        least_target_samples: the least P2, ≥ 4.
        most_target_samples: the largest; one between them is drawn, its logarithm evenly.
        overlaps: α in [−1, 1], one is drawn.
        noises: σ ≥ 0 of the label noise, one is drawn.
        elastic_couplings: δ ≥ 0 to compare, 0 among them and another.
        dimension: D.
        source_samples: P1.
        test_samples: fresh samples that the truth is measured on.
        inverse_temperature: β.
        particles: of the theory, for advice and truth; without effect on linear networks.
        progress: called with the fraction done.

    Returns:
        Rows for each δ: ``predicted_loss`` with its standard error, ``test_loss`` (the truth), and for δ > 0
        ``gain_deviation``, (predicted − true gain)/standard error. For the task: ``regret``, by which the δ of the
        least predicted loss exceeds the best one's true loss, relatively; ``definite`` (1, or 0 where there was no
        telling); of definite answers, ``wrong`` (1 where the truth says otherwise by more than 1 %); and
        ``held_out_luck``, how much more of a lazy network's loss its few samples show than fresh ones do: 0 on average,
        so that what predicted losses owe to it can be taken off.

    Raises:
        InputError: a setting is out of range.
    """
    couplings = sorted({check_number("elastic_couplings", c, minimum=0, allow_inf=True) for c in elastic_couplings})
    if len(couplings) < 2 or couplings[0] != 0:
        raise InputError(f"elastic_couplings = {couplings}: expected 0 and another to compare; add them")
    unknown = [name for name in teachers if name not in TEACHERS]
    if unknown or not teachers:
        raise InputError(f"teachers = {list(teachers)}: expected some of {', '.join(TEACHERS)}; correct them")
    random = generator(seed, "advice calibration")
    teacher, overlap, noise = (random.choice(np.array(values)).item() for values in (teachers, overlaps, noises))
    low = check_count("least_target_samples", least_target_samples, minimum=4)
    high = check_count("most_target_samples", most_target_samples, minimum=low)
    size = round(math.exp(random.uniform(math.log(low), math.log(high))))
    name, draw = TEACHERS[teacher]
    sizes = {"n_source": source_samples, "n_target": size, "n_test": test_samples}
    task = draw(derive_seed(seed, "task"), noise, dimension=dimension, overlap=overlap, **sizes)
    strength = default_strength(task.dimension)
    strengths = {"source_strength": strength, "target_strength": strength}
    settings = strengths | {
        "activation": activation,
        "inverse_temperature": inverse_temperature,
        "particles": particles,
    }
    data = OwnData(task.x_source, task.y_source, task.x_target, task.y_target, "")
    show = progress or (lambda _: None)
    advice = advise(data, couplings=couplings, **settings, seed=seed % 2**32, progress=lambda part: show(0.7 * part))
    truth = bayes.solve(
        task,
        **settings,
        elastic_coupling=couplings,
        evidence=False,
        strict=False,
        seed=derive_seed(seed, "truth") % 2**32,
    )
    show(1.0)
    common = {
        "kind": "theory",
        "dataset": f"{name}, noise {noise:g}",
        "overlap": overlap,
        "n_source": float(source_samples),
        "n_target": float(size),
        "dimension": float(task.dimension),
        **strengths,
    }
    good = {"stderr": 0.0, "status": Status.CONVERGED.value}
    luck = {"metric": "held_out_luck", "value": _held_out_luck(task, activation, inverse_temperature)}
    return [common | good | row for row in [*_compare(advice, truth, couplings), luck]]


def _relabelled(task: TransferTask, *labels: np.ndarray, constant: bool = False) -> TransferTask:
    """The task with other labels of source, target and test, and a constant input if asked."""
    inputs = task.x_source, task.x_target, task.x_test
    if constant:
        inputs = (np.concatenate([x, np.ones((len(x), 1))], 1) for x in inputs)
    return TransferTask(*(array for pair in zip(inputs, labels, strict=True) for array in pair))


def _held_out_luck(task: TransferTask, activation: str, inverse_temperature: float) -> float:
    """Loss of the lazy limit's regression on each sample left out, less that of the same predictors on fresh samples.

    Both have one mean over tasks; the difference is what the target's samples are easier or harder than others like
    them. Nothing is sampled or solved by iteration, and neither advice nor truth has a part in it.
    """
    sizes, modes = np.linalg.eigh(kernels.nngp(task.x_target, activation=activation))
    # where the kernel has no full rank no β may make it singular
    rounding = np.finfo(float).eps * len(sizes) * sizes[-1]
    inverse = (modes / (np.maximum(sizes, rounding) + 1 / inverse_temperature)) @ modes.T
    dual = inverse @ task.y_target
    missed = dual / np.diag(inverse)  # y − f of each sample, without it
    fresh = kernels.nngp(task.x_test, task.x_target, activation=activation)
    without = (fresh @ dual)[:, None] - (fresh @ inverse) * missed
    return float(np.mean(missed**2) - np.mean((without - task.y_test[:, None]) ** 2))


def _compare(advice: Advice, truth: BayesSolution, couplings: Sequence[float]) -> Iterator[dict[str, Any]]:
    """Rows of a task; a δ that the theory has no answer for is none to compare."""
    table = advice.table
    losses = np.where([status is Status.CONVERGED for status in truth.status], truth.test_loss, np.nan)
    answered = np.isfinite(table["loss"].to_numpy()) & np.isfinite(losses)
    for coupling, row, true, both in zip(couplings, table.itertuples(), losses, answered, strict=True):
        at = {"elastic_coupling": coupling}
        if not both:
            missing = row.status if math.isnan(row.loss) else truth.status[couplings.index(coupling)].value
            yield at | {"metric": "predicted_loss", "value": math.nan, "stderr": math.nan, "status": missing}
            continue
        yield at | {"metric": "predicted_loss", "value": row.loss, "stderr": row.stderr}
        yield at | {"metric": "test_loss", "value": true}
        if coupling > 0 and answered[0] and row.gain_stderr > 0:
            deviation = row.gain - (1 - true / losses[0])
            yield at | {"metric": "gain_deviation", "value": deviation / row.gain_stderr}
    if not answered[0] or answered.sum() < 2:
        return
    picked = int(np.argmin(np.where(answered, table["loss"], np.inf)))
    yield {"metric": "regret", "value": losses[picked] / losses[answered].min() - 1}
    definite = advice.recommended is not None
    yield {"metric": "definite", "value": float(definite)}
    if definite:
        chosen = losses[couplings.index(advice.recommended)]
        best = losses[1:][answered[1:]].min()
        wrong = best < (1 - EVEN) * losses[0] if advice.recommended == 0 else chosen > (1 + EVEN) * losses[0]
        yield {"metric": "wrong", "value": float(wrong)}
