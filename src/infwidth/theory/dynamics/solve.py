"""Particle populations' answer to one transfer task: averages over replicas, without the bias of finite S."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError, check_count
from infwidth.numerics.status import Status, worst
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.dynamics.draws import coordinates
from infwidth.theory.dynamics.transfer import Draws, Limits, anchor_weights, train_source, train_target

DEFAULT_PARTICLES = 1024


def solve_particles(
    task: TransferTask,
    *,
    activation: str,
    strengths: tuple[float, float],
    couplings: Sequence[float],
    decays: tuple[float, float],
    source_time: float,
    times: np.ndarray,
    origin: str,
    particles: int | None,
    replicas: int,
    seed: int,
    rtol: float,
    max_evaluations: int,
    device: str,
    observe: Callable[[int, int | None, int | None, Tensor], None] | None = None,
    sources: dict | None = None,
) -> list[dict]:
    """Solve source and target with particles.

    Args:
        task: the data.
        activation: φ's name.
        strengths: γ̄ and γ.
        couplings: δ, inf allowed, n of them.
        decays: λ̄ and λ.
        source_time: training time of the source, finite.
        times: target times, finite, (T,).
        origin: "source", "random" or "scratch": what the target starts from.
        particles: S, even, of the source; 2S in the target. None takes DEFAULT_PARTICLES.
        replicas: R.
        seed: of all random numbers.
        rtol: tolerance of a step.
        max_evaluations: right-hand sides allowed a population.
        device: where to compute.
        observe: see ``flow.solve``.
        sources: likewise.

    Returns:
        For each δ the fields of ``flow.FlowSolution`` but its times.
    """
    phi, dimension = get_activation(activation), task.dimension
    particles = check_count("particles", DEFAULT_PARTICLES if particles is None else particles, minimum=2)
    if particles % 2:
        raise InputError(f"particles = {particles}: expected an even number, they come in ± pairs; add 1")
    draws = Draws(particles, check_count("replicas", replicas), check_count("seed", seed, minimum=0))
    limits = Limits(rtol=rtol, max_evaluations=max_evaluations)
    root = np.sqrt(dimension)
    inputs = coordinates([x / root for x in (task.x_source, task.x_target, task.x_test)])
    like = torch.zeros(inputs[0].shape, dtype=torch.float64, device=device)
    source = None
    if origin != "scratch":
        settings = {"time": source_time, "strength": strengths[0], "decay": decays[0], "device": device}
        settings |= {"dimension": dimension, "activation": phi, "draws": draws, "limits": limits}
        key = (inputs[0].tobytes(), task.y_source.tobytes(), *settings.values())
        sources = {} if sources is None else sources
        if key not in sources:
            sources[key] = train_source(inputs[0], task.y_source, **settings)
        source = sources[key]
    anchor = anchor_weights(source, dimension, origin, draws, like)
    if observe is not None:
        _observe_frozen(observe, source, anchor, inputs, [] if origin == "scratch" else couplings, len(times))
    courses = train_target(
        anchor,
        inputs[1],
        task.y_target,
        inputs[2],
        # From scratch there is no anchor: every δ is the same.
        couplings=[0.0] if origin == "scratch" else couplings,
        times=times,
        strength=strengths[1],
        decay=decays[1],
        activation=phi,
        draws=draws,
        limits=limits,
        observe=observe and (lambda r, g, t, shot: observe(r, g, t, shot.preactivation)),
    )
    points = [_observe(task, courses, source, g) for g in range(courses.residual.shape[1])]
    return points * len(couplings) if origin == "scratch" else points


def _observe_frozen(observe, source, anchor, inputs, couplings, times: int) -> None:
    """Show what no integration of the target meets: the source, and the frozen features of δ = ∞."""
    source_inputs, target_inputs = (torch.from_numpy(x).to(anchor) for x in inputs[:2])
    for r, hidden in enumerate(anchor):
        if source is not None:
            observe(r, None, None, source.hidden[r] @ source_inputs.T)
        for g in (g for g, coupling in enumerate(couplings) if math.isinf(coupling)):
            for t in range(times):
                observe(r, g, t, hidden @ target_inputs.T)


def _observe(task, courses, source, g: int) -> dict:
    statuses = [row[g] for row in courses.status]
    residual, evaluations = courses.residual[:, g], courses.evaluations[:, g]
    if source is not None:
        # A source that stopped early is the reason why its target did.
        pairs = zip(source.status, statuses, strict=True)
        statuses = [first if first is not Status.CONVERGED else second for first, second in pairs]
        residual, evaluations = np.maximum(residual, source.residual), evaluations + source.evaluations
    found = {
        "prediction": average(courses.prediction[:, g]),
        "train_loss": average_loss(courses.train_prediction[:, g], task.y_target),
        "test_loss": average_loss(courses.prediction[:, g], task.y_test),
        "kernel": average(courses.kernel[:, g]),
    }
    return {
        **{name: value for name, (value, _) in found.items()},
        "weights": None,
        "status": worst(statuses),
        "residual": float(residual.max()),
        "iterations": int(evaluations.max()),
        "stderr": {name: error for name, (_, error) in found.items()},
    }


def average(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over replicas (R, …) and its standard error, NaN for a single one."""
    count = len(values)
    if count == 1:
        return values[0], np.full(values.shape[1:], np.nan)
    return values.mean(0), values.std(0, ddof=1) / np.sqrt(count)


def average_loss(prediction: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of (f − y)² of the infinite network from R replicas' f = f_∞ + noise, (R, T, P) → (T,), and standard error.

    A replica's own loss is too large by the variance of its f, of order 1/S. The variance between replicas estimates
    that without bias and is taken off: ℓ = mean[(f̄ − y)² − s²/R], at least 0. The standard error is the jackknife's.
    A single replica gives its own loss.
    """
    count = len(prediction)
    if count == 1:
        return average(((prediction - labels) ** 2).mean(-1))
    mean = prediction.mean(0)
    offsets = prediction - mean
    own = (offsets**2).mean(-1)  # (R, T)
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
