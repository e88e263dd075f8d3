"""Particle populations' answer to one transfer task: averages over replicas, without the bias of finite S."""

from __future__ import annotations

import dataclasses
import functools
import math
from functools import partial

import numpy as np
import torch

from infwidth.numerics.activations import get_activation
from infwidth.numerics.observed import Observed, Observer
from infwidth.numerics.status import Status, worst
from infwidth.numerics.tolerance import COARSER, left_open, left_open_in_loss
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.dynamics.draws import Draws, coordinates
from infwidth.theory.dynamics.transfer import (
    Limits,
    Shown,
    SourceParticles,
    TargetCourses,
    starting_weights,
    train_source,
    train_target,
)
from infwidth.theory.problem import FlowProblem
from infwidth.theory.solution import NUMERICAL, FlowSolution, attempt

DEFAULT_PARTICLES = 1024
OF_REPLICAS = ("prediction", "train_prediction", "kernel")
"""What target courses hold of each replica."""


def solve_particles(
    problem: FlowProblem,
    *,
    particles: int | None,
    replicas: int,
    seed: int,
    device: str,
    observe: Observer | None = None,
    observe_coarser: Observer | None = None,
    sources: dict | None = None,
) -> list[FlowSolution]:
    """Solve source and target with particles.

    Args:
        problem: the checked problem; ``source_time`` is finite, and so are ``times`` unless every δ is inf.
        particles: S, even, of the source; 2S in the target. None takes DEFAULT_PARTICLES.
        replicas: R.
        seed: of all random numbers.
        device: where to compute.
        observe: see ``flow.solve``.
        observe_coarser: likewise.
        sources: likewise.

    Returns:
        One point a coupling.
    """
    sampling = Draws(DEFAULT_PARTICLES if particles is None else particles, replicas, seed)

    def missing(status: Status) -> FlowSolution:
        return FlowSolution.missing(problem.task, status, problem.times)

    count = len(problem.couplings)
    exceptions = (*NUMERICAL, torch.linalg.LinAlgError)
    if problem.origin == "scratch":  # there is no anchor: every δ is the same
        problem = dataclasses.replace(problem, couplings=[0.0])
    observers = observe, observe_coarser
    solve = partial(_solve, problem, sampling, device, observers, {} if sources is None else sources)
    points = attempt(solve, missing, count=len(problem.couplings), exceptions=exceptions)
    return points * count if problem.origin == "scratch" else points


def coarser(sampling: Draws, limits: Limits) -> tuple[Draws, Limits]:
    """The first replica alone, at the tolerance that shows what the other leaves open."""
    return dataclasses.replace(sampling, replicas=1), dataclasses.replace(limits, rtol=COARSER * limits.rtol)


def _solve(
    problem: FlowProblem,
    sampling: Draws,
    device: str,
    observers: tuple[Observer | None, Observer | None],
    sources: dict,
) -> list[FlowSolution]:
    """All couplings on the same particles; a single replica has no error of either kind."""
    limits = Limits(rtol=problem.rtol, max_evaluations=problem.max_evaluations)
    ways = [(sampling, limits)]
    if sampling.replicas > 1:
        ways.append(coarser(sampling, limits))
    trained: list = [None] * len(ways)
    if problem.origin != "scratch":
        key = (_inputs(problem.task)[0].tobytes(), problem.task.y_source.tobytes(), *_source_settings(problem))
        key += (problem.task.dimension, problem.activation, sampling, limits, device)
        if key not in sources:
            found = [_train_source(problem, *way, device) for way in ways]
            sources[key] = dataclasses.replace(found[0], coarser=found[1] if found[1:] else None)
        trained = [sources[key], sources[key].coarser][: len(ways)]
    runs = zip(ways, trained, observers[: len(ways)], strict=True)
    courses = [_train_target(problem, *way, device, source, observe) for way, source, observe in runs]
    return [_observe(problem.task, problem.times, courses, trained[0], g) for g in range(len(problem.couplings))]


def _source_settings(problem: FlowProblem) -> tuple[float, float, float]:
    """T̄, γ̄ and λ̄."""
    return problem.source_time, problem.strengths[0], problem.decays[0]


def _train_source(problem: FlowProblem, sampling: Draws, limits: Limits, device: str) -> SourceParticles:
    """Train a source on these particles."""
    time, strength, decay = _source_settings(problem)
    return train_source(
        _inputs(problem.task)[0],
        problem.task.y_source,
        dimension=problem.task.dimension,
        time=time,
        strength=strength,
        weight_decay=decay,
        activation=get_activation(problem.activation),
        sampling=sampling,
        limits=limits,
        device=device,
    )


def _train_target(
    problem: FlowProblem,
    sampling: Draws,
    limits: Limits,
    device: str,
    source: SourceParticles | None,
    observe: Observer | None,
) -> TargetCourses:
    """Train targets of all couplings on these particles."""
    task, times, inputs = problem.task, problem.times, _inputs(problem.task)
    like = torch.zeros(inputs[0].shape, dtype=torch.float64, device=device)
    anchors = starting_weights(source, task.dimension, problem.origin, sampling, like)
    if observe is not None:
        _observe_frozen(observe, source, anchors, inputs, problem.couplings, len(times))
    return train_target(
        anchors,
        inputs[1],
        task.y_target,
        inputs[2],
        couplings=problem.couplings,
        times=times,
        strength=problem.strengths[1],
        weight_decay=problem.decays[1],
        activation=get_activation(problem.activation),
        sampling=sampling,
        limits=limits,
        show=observe and partial(_show, observe),
        readout=source.readout if problem.readout == "continued" else None,
        source_status=source and source.status,
    )


@functools.lru_cache(maxsize=1)  # the lines of a figure are solved one after another, on the same task
def _inputs(task: TransferTask) -> list[np.ndarray]:
    """X/√D of source, target and test in common coordinates."""
    return coordinates([x / np.sqrt(task.dimension) for x in (task.x_source, task.x_target, task.x_test)])


def _show(observe: Observer, seen: Shown) -> None:
    """Show an observer particles that are being trained."""
    observe(Observed(seen.replica, seen.coupling_index, seen.time_index, seen.snapshot.preactivation))


def _observe_frozen(observe, source, anchors, inputs, couplings, n_times: int) -> None:
    """Show what no integration of the target meets: the source, and the frozen features of δ = ∞."""
    source_inputs, target_inputs = (torch.from_numpy(x).to(anchors) for x in inputs[:2])
    for r, hidden in enumerate(anchors):
        if source is not None:
            observe(Observed(r, None, None, source.hidden[r] @ source_inputs.T))
        for g in (g for g, coupling in enumerate(couplings) if math.isinf(coupling)):
            for t in range(n_times):
                observe(Observed(r, g, t, hidden @ target_inputs.T))


def _observe(
    task: TransferTask, times: np.ndarray, runs: list[TargetCourses], source: SourceParticles | None, g: int
) -> FlowSolution:
    """What one coupling's replicas imply; a second run, at the coarser tolerance, adds the integrator's error."""
    courses = runs[0]
    statuses = [row[g] for row in courses.status]
    residual, evaluations = courses.residual[:, g], courses.evaluations[:, g]
    if source is not None:
        statuses += source.status
        residual, evaluations = np.maximum(residual, source.residual), evaluations + source.evaluations
    found = {
        "prediction": average(courses.prediction[:, g]),
        "train_loss": average_loss(courses.train_prediction[:, g], task.y_target),
        "test_loss": average_loss(courses.prediction[:, g], task.y_test),
        "kernel": average(courses.kernel[:, g]),
    }
    values = {name: value for name, (value, _) in found.items()}
    stderr = {name: error for name, (_, error) in found.items()}
    if runs[1:]:
        stderr = {name: np.hypot(stderr[name], error) for name, error in _left_open(task, *runs, g).items()}
    return FlowSolution(
        times=times,
        kernel_form=values.pop("kernel"),
        **values,
        weights=None,
        status=worst(statuses),
        residual=float(residual.max()),
        iterations=int(evaluations.max()),
        stderr=stderr,
    )


def _left_open(task: TransferTask, courses: TargetCourses, nearby: TargetCourses, g: int) -> dict[str, np.ndarray]:
    """What the tolerance leaves open of each observable of one coupling."""
    pairs = {name: (getattr(courses, name)[0, g], getattr(nearby, name)[0, g]) for name in OF_REPLICAS}
    return {
        "prediction": left_open(*pairs["prediction"], axes=1),
        "train_loss": left_open_in_loss(*pairs["train_prediction"], task.y_target),
        "test_loss": left_open_in_loss(*pairs["prediction"], task.y_test),
        "kernel": left_open(*pairs["kernel"], axes=2),
    }


def average(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over replicas (R, …) and its standard error, NaN for a single one."""
    count = len(values)
    if count == 1:
        return values[0], np.full(values.shape[1:], np.nan)
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(count)


def average_loss(prediction: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of (f − y)² of the infinite network from R replicas' f = f_∞ + noise, (R, …, P) → (…), and standard error.

    A replica's own loss is too large by the variance of its f, of order 1/S. The variance between replicas estimates
    that without bias and is taken off: ℓ = mean[(f̄ − y)² − s²/R], at least 0. The standard error is the jackknife's.
    A single replica gives its own loss.
    """
    count = len(prediction)
    if count == 1:
        return average(((prediction - labels) ** 2).mean(-1))
    mean = prediction.mean(0)
    offsets = prediction - mean
    own = (offsets**2).mean(-1)  # (R, …)
    spread = own.sum(0) / (count - 1)
    loss = ((mean - labels) ** 2).mean(-1) - spread / count
    # Leaving replica r out moves f̄ by −offset/(R − 1) and the spread accordingly.
    shift = ((mean - labels) * offsets).mean(-1)
    less = count - 1
    left = ((mean - labels) ** 2).mean(-1) - 2 * shift / less + own / less**2
    if count > 2:
        rest = (own.sum(0) - own * count / less) / (count - 2)
        left = left - rest / less
    error = np.sqrt(less / count * ((left - left.mean(0)) ** 2).sum(0))
    return np.maximum(loss, 0.0), error
