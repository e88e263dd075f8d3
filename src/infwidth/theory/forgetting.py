"""What target training leaves of the source at infinite width: its loss under the trained target's features.

Two readouts ask for it: the source's own, as if it had been kept, and one that is trained anew on the source's samples
(docs/version_two.md, eqs. (V13) and (V14)).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from infwidth.numerics.activations import ACTIVATIONS, Activation, get_activation
from infwidth.numerics.checks import InputError, check_choice, check_number
from infwidth.numerics.losses import mean_squared_error
from infwidth.numerics.status import Status, UnconvergedError, worst
from infwidth.numerics.tolerance import left_open_in_loss
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.linear.moment_path import integrate_moments
from infwidth.theory.linear.moments import Moments
from infwidth.theory.problem import check_activation, check_couplings, check_strengths, check_task, check_times

if TYPE_CHECKING:  # they read torch, which linear networks do without
    from infwidth.theory.dynamics.draws import Draws
    from infwidth.theory.dynamics.transfer import Limits


@dataclass(frozen=True)
class Forgetting:
    """The source's test loss after the target's training; n couplings, T target times.

    Attributes:
        before: under the source network itself, at the end of its training.
        old_readout: under the target's hidden weights and the source's readout, (n, T).
        refitted: under the target's hidden weights and a readout that is trained on the source's samples, (n, T).
        times: the target times, (T,).
        stderr: observable → standard error, of its shape, see ``flow.solve``; 0 for linear networks.
    """

    before: float
    old_readout: np.ndarray
    refitted: np.ndarray
    times: np.ndarray
    stderr: Mapping[str, float | np.ndarray]


def solve(
    task: TransferTask,
    x_source_test: np.ndarray,
    y_source_test: np.ndarray,
    *,
    activation: str,
    source_strength: float,
    target_strength: float,
    elastic_coupling: float | Sequence[float],
    weight_decay: float,
    source_weight_decay: float | None = None,
    refit_decay: float = 0.05,
    source_time: float,
    target_times: Sequence[float],
    readout: str = "fresh",
    particles: int = 1024,
    replicas: int = 4,
    seed: int = 0,
    rtol: float | None = None,
    max_evaluations: int = 1_000_000,
) -> Forgetting:
    """Train a source and then the target, and go back to the source's test points.

    Args:
        task: the data.
        x_source_test: test inputs of the source, (n, D).
        y_source_test: their labels, (n,).
        activation: φ, a name.
        source_strength: γ̄ > 0.
        target_strength: γ > 0.
        elastic_coupling: finite δ ≥ 0, a number or a sequence: at inf nothing is forgotten.
        weight_decay: λ ≥ 0 of both layers of the target.
        source_weight_decay: that of the source; the target's if None.
        refit_decay: λ > 0 of the readout that is trained on the source's samples, eq. (V14).
        source_time: finite time for which the source trains.
        target_times: increasing finite times ≥ 0, (T,).
        readout: the target's: "fresh", or "continued" from the source's.
        particles: S of a nonlinear activation; see ``flow.solve``, as for the next two.
        replicas: R.
        seed: of the particles.
        rtol: relative tolerance of an integrator's step; None takes 1e-8 (linear) or 1e-2 (particles).
        max_evaluations: right-hand sides allowed an integration.

    Returns:
        The losses; a single coupling has an axis n = 1 too.

    Raises:
        InputError: an argument out of range.
        UnconvergedError: an integration that stopped early.
    """
    check_activation(activation, ACTIVATIONS)
    check_task(task).refuse_several_outputs("forgetting")
    couplings, _ = check_couplings(elastic_coupling)
    if math.inf in couplings:
        raise InputError("elastic_coupling = inf: expected finite couplings, as frozen weights forget nothing; drop it")
    decay = check_number("weight_decay", weight_decay, minimum=0.0)
    source_decay = decay if source_weight_decay is None else source_weight_decay
    problem = _Problem(
        task=task,
        tests=(np.asarray(x_source_test, dtype=np.float64), np.asarray(y_source_test, dtype=np.float64)),
        strengths=check_strengths(source_strength, target_strength),
        couplings=couplings,
        decays=(check_number("source_weight_decay", source_decay, minimum=0.0), decay),
        refit_decay=check_number("refit_decay", refit_decay, minimum=0.0, open_minimum=True),
        source_time=check_number("source_time", source_time, minimum=0.0),
        times=check_times("target_times", target_times, weight_decay=0.0),
        continued=check_choice("readout", readout, ("fresh", "continued")) == "continued",
        max_evaluations=max_evaluations,
    )
    if activation == "linear":
        return _linear(problem, 1e-8 if rtol is None else rtol)
    return _particles(problem, activation, particles, replicas, seed, 1e-2 if rtol is None else rtol)


@dataclass(frozen=True)
class _Problem:
    """The checked arguments."""

    task: TransferTask
    tests: tuple[np.ndarray, np.ndarray]
    strengths: tuple[float, float]
    couplings: Sequence[float]
    decays: tuple[float, float]
    refit_decay: float
    source_time: float
    times: np.ndarray
    continued: bool
    max_evaluations: int


def refit(kernel: np.ndarray, cross: np.ndarray, labels: np.ndarray, decay: float) -> np.ndarray:
    """F (n,) = Φ(x, X̄)(Φ + λ)⁻¹ȳ of a readout trained to its end, eq. (8): kernel (P, P), cross (n, P).

    What no feature sees is left out: of Φ's rank, rounding is all there would be.
    """
    rates, modes = np.linalg.eigh((kernel + kernel.T) / 2)
    seen = rates > len(labels) * np.finfo(rates.dtype).eps * rates[-1]
    return cross @ modes[:, seen] @ ((modes[:, seen].T @ labels) / (rates[seen] + decay))


def _linear(problem: _Problem, rtol: float) -> Forgetting:
    """Moments, with the source's readout as one more coordinate of W̄ that no input sees, eq. (V13)."""
    task, root = problem.task, math.sqrt(problem.task.dimension)
    x, y = task.x_source / root, task.y_source
    tests, labels = problem.tests[0] / root, problem.tests[1]
    limits = {"rtol": rtol, "max_evaluations": problem.max_evaluations}

    def moments(start: Moments, design, targets, times, which, coupling=0.0) -> tuple[Moments, ...]:
        rates = dict.fromkeys(("readout_decay", "hidden_decay"), problem.decays[which])
        path = integrate_moments(
            start,
            design,
            targets,
            times,
            strength=problem.strengths[which],
            elastic_coupling=coupling,
            **rates,
            **limits,
        )
        if path.status is not Status.CONVERGED:
            raise UnconvergedError(f"moment equations at elastic_coupling = {coupling:g}", path.status)
        return path.moments

    source = Moments.fresh_readout(np.eye(task.dimension))
    if problem.source_time:
        (source,) = moments(source, x, y, np.array([problem.source_time]), 0)
    wide = np.block(
        [
            [source.hidden_moment, source.predictor[:, None]],
            [source.predictor[None], np.array([[source.readout_moment]])],
        ]
    )
    start = Moments.fresh_readout(wide)
    if problem.continued:
        start = Moments.continued(source.readout_moment, wide[-1], wide)
    design = np.pad(task.x_target / root, ((0, 0), (0, 1)))
    old, new = [], []
    for coupling in problem.couplings:
        path = moments(start, design, task.y_target, problem.times, 1, coupling)
        kept = [tests @ one.cross[:-1, -1] / problem.strengths[0] for one in path]
        features = [x @ one.hidden_moment[:-1, :-1] for one in path]
        fits = [refit(one @ x.T, tests @ one.T, y, problem.refit_decay) for one in features]
        old.append([mean_squared_error(f, labels) for f in kept])
        new.append([mean_squared_error(f, labels) for f in fits])
    before = float(mean_squared_error(tests @ source.predictor / problem.strengths[0], labels))
    exact = dict.fromkeys(("before", "old_readout", "refitted"), 0.0)
    return Forgetting(before, np.array(old), np.array(new), problem.times, exact)


def _particles(problem: _Problem, activation: str, particles: int, replicas: int, seed: int, rtol: float) -> Forgetting:
    """Losses of particles, and what their number and the tolerance leave open of them."""
    from infwidth.theory.dynamics.draws import Draws
    from infwidth.theory.dynamics.solve import average_loss, coarser
    from infwidth.theory.dynamics.transfer import Limits

    labels, phi = problem.tests[1], get_activation(activation)
    sampling, limits = Draws(particles, replicas, seed), Limits(rtol=rtol, max_evaluations=problem.max_evaluations)
    found = _on_source_tests(problem, phi, sampling, limits)
    losses = {name: average_loss(prediction, labels) for name, prediction in found.items()}
    values = {name: value for name, (value, _) in losses.items()}
    errors = {name: error for name, (_, error) in losses.items()}
    if replicas > 1:
        nearby = _on_source_tests(problem, phi, *coarser(sampling, limits))
        changes = {name: left_open_in_loss(found[name][0], nearby[name][0], labels) for name in found}
        errors = {name: np.hypot(errors[name], change) for name, change in changes.items()}
    before = float(values.pop("before"))
    return Forgetting(before, **values, times=problem.times, stderr=errors | {"before": float(errors["before"])})


def _on_source_tests(problem: _Problem, phi: Activation, sampling: Draws, limits: Limits) -> dict[str, np.ndarray]:
    """Each replica's f on the source's test points, whose hidden weights are looked at at every target time.

    Returns:
        ``before`` (R, n), ``old_readout`` and ``refitted`` (R, couplings, T, n).
    """
    import torch

    from infwidth.theory.dynamics.draws import coordinates
    from infwidth.theory.dynamics.transfer import train_source, train_target

    task, (gamma, strength) = problem.task, problem.strengths
    root = math.sqrt(task.dimension)
    inputs = coordinates([x / root for x in (task.x_source, task.x_target, problem.tests[0])])
    common = {"activation": phi, "sampling": sampling, "limits": limits}
    source = train_source(
        inputs[0], task.y_source, dimension=task.dimension, time=problem.source_time, strength=gamma,
        weight_decay=problem.decays[0], **common,
    )  # fmt: skip
    seen = [torch.from_numpy(inputs[place]).T for place in (0, 2)]
    shape = (sampling.replicas, len(problem.couplings), len(problem.times), len(problem.tests[1]))
    old, new = np.full(shape, np.nan), np.full(shape, np.nan)

    def look(shown) -> None:
        place = shown.replica, shown.coupling_index, shown.time_index
        hidden = shown.snapshot.weights(source.hidden[shown.replica])
        on_source, on_tests = (phi.value(hidden @ one) for one in seen)
        kept = source.readout[shown.replica].repeat(2)
        old[place] = (kept @ on_tests / (len(kept) * gamma)).numpy()
        kernel, cross = ((one.T @ on_source / len(kept)).numpy() for one in (on_source, on_tests))
        new[place] = refit(kernel, cross, task.y_source, problem.refit_decay)

    courses = train_target(
        source.hidden, inputs[1], task.y_target, inputs[2], couplings=problem.couplings, times=problem.times,
        strength=strength, weight_decay=problem.decays[1], show=look, source_status=source.status,
        readout=source.readout if problem.continued else None, **common,
    )  # fmt: skip
    status = worst([*source.status, *(one for row in courses.status for one in row)])
    if status is not Status.CONVERGED:
        raise UnconvergedError("particles of source and target", status)
    first = torch.stack(
        [w @ phi.value(hidden @ seen[1]) for w, hidden in zip(source.readout, source.hidden, strict=True)]
    )
    before = (first / (sampling.particles * gamma)).numpy()
    return {"before": before, "old_readout": old, "refitted": new}
