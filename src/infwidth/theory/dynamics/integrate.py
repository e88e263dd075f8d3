"""Adaptive integration of the mean-field dynamics (7), each population at its own pace (docs/theory.md §2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.numerics.loops import efficient_loop
from infwidth.numerics.status import Status
from infwidth.theory.dynamics.precision import Precision
from infwidth.theory.dynamics.step import Geometry, ParticleFlow, Point, Populations, Snapshot, anchoring
from infwidth.theory.patience import Patience

SHRINK, GROW, SAFETY = 0.3, 2.0, 0.9
"""Bounds on the change of a step, and the fraction taken of the step that the error estimate allows."""
JUDGED = 1000
"""Evaluations after which the pace of a population is judged for the first time."""
SHORTEST = 1e-12
"""A step below this fraction of the first one, or of the time reached, means divergence."""


@dataclass(frozen=True)
class ParticleOutcome:
    """How K populations' integration ended.

    Attributes:
        status: CONVERGED if all times were reached, STALLED if the evaluations ran out, DIVERGED if the step
            size or the state left the range of floating-point numbers.
        evaluations: right-hand sides computed, (K,).
        residual: the largest estimate of one step's error, rms(f − f_pred)/rms(y), (K,).
    """

    status: tuple[Status, ...]
    evaluations: np.ndarray
    residual: np.ndarray


@efficient_loop()
@torch.inference_mode()
def integrate(
    populations: Populations,
    geometry: Geometry,
    labels: Tensor,
    times: np.ndarray,
    record: Callable[[int, int, Snapshot], None],
    *,
    strength: float,
    readout_decay: float,
    activation: Activation,
    rtol: float,
    max_evaluations: int,
    constant_step: float | None = None,
    precision: str = "auto",
) -> ParticleOutcome:
    """Integrate K populations along (7), each at its own pace, and record each at every time.

    Args:
        populations: the populations at time 0, in double precision like all the data.
        geometry: the training inputs.
        labels: y, (P,).
        times: increasing times ≥ 0, (T,); steps end exactly there.
        record: called as record(population, time index, snapshot) when a population reaches a time.
        strength: γ.
        readout_decay: λ_w.
        activation: φ.
        rtol: a step is accepted when rms(f − f_pred) ≤ rtol rms(y) over the samples, f_pred being the outputs at
            its first-order point.
        max_evaluations: right-hand sides allowed a population, two a step.
        constant_step: take this constant step and accept it whatever the error (to measure the order of convergence).
        precision: "double", or "auto" for single, in which snapshots then are, where it pays and its rounding could
            not show.

    Returns:
        Statuses, evaluations and error estimates.
    """
    wide, total = populations.readout.dtype, len(populations.readout)
    flow = ParticleFlow(geometry, labels, strength, readout_decay, activation)
    scale = float(labels.square().mean().sqrt()) or 1.0  # without labels f stays at 0, whatever it is measured by
    evaluations, residual = np.zeros(total, dtype=np.int64), np.zeros(total)
    status = [Status.CONVERGED] * total

    # Everything below is per active population; `label` maps them to rows of the outcome. Steps are chosen on the host.
    label, goal, now = np.arange(total), np.zeros(total, dtype=np.int64), np.zeros(total)
    point = flow.at(populations, now, populations.readout, populations.moved)
    fixed = constant_step is not None
    first = partial(_first_step, scale=scale, rtol=rtol, end=times[-1])
    proposal = np.full(total, constant_step) if fixed else first(flow, populations, point, now)
    shortest = SHORTEST * proposal
    hopeless = np.zeros(total, dtype=bool) if fixed else _below_rounding(flow, point, rtol * scale)
    patience = [Patience(float(times[-1]), max_evaluations, JUDGED) for _ in range(total)]
    held = Precision(flow, populations, rtol * scale, "double" if fixed else precision)
    while True:
        short = proposal < np.maximum(shortest[label], SHORTEST * now)
        broken = short | ~_finite(point.output, scale)
        if held.single and (broken.any() or held.shows(point)):
            held.widen()
            populations, flow = held.populations(label), held.flow
            point = flow.at(populations, now, point.readout.to(wide), point.moved.to(wide))
            proposal = np.where(short, first(flow, populations, point, now), proposal)
            continue
        stuck = hopeless[label] | _too_slow(patience, label, now, evaluations[label] + 1)
        arrived = (now >= times[goal]) & ~broken
        for k in arrived.nonzero()[0].tolist():
            record(int(label[k]), int(goal[k]), _snapshot(flow, populations, point, k, now[k]))
        goal = goal + arrived
        done = goal >= len(times)
        for k in ((broken | stuck) & ~done).nonzero()[0].tolist():
            status[label[k]] = Status.DIVERGED if broken[k] else Status.STALLED
        keep = (~(done | broken | stuck)).nonzero()[0]
        if len(keep) == 0:
            break
        if len(keep) < len(label):
            populations, point = populations.select(keep), point.select(keep)
            label, goal, now, proposal = label[keep], goal[keep], now[keep], proposal[keep]
        if (now >= times[goal]).any():
            continue  # equal times
        if held.pending and held.narrow(point):
            populations, flow = held.populations(label), held.flow
            point = flow.at(populations, now, populations.readout, populations.moved)
            continue

        left = times[goal] - now
        parts = np.maximum(np.ceil(left / proposal * (1 - 1e-12)), 1)
        h = left / parts
        trial, predicted = flow.step(populations, point, now, h)
        evaluations[label] += 2
        gap = _gap(trial.output, predicted, scale)
        good = np.isfinite(gap) if fixed else gap <= rtol
        residual[label] = np.where(good, np.maximum(residual[label], gap), residual[label])
        proposal = np.where(good, proposal, 0.0) if fixed else _next_step(h, gap / rtol, good, proposal)
        if good.any():
            point = trial if good.all() else trial.where(good, point)
        now = np.where(good, np.where(parts == 1, times[goal], now + h), now)
    return ParticleOutcome(tuple(status), evaluations, residual)


def _next_step(h: np.ndarray, share: np.ndarray, good: np.ndarray, proposal: np.ndarray) -> np.ndarray:
    """The step proposed after one of length h whose error was that share of what it may be, (K,)."""
    factor = np.clip(SAFETY / np.sqrt(np.maximum(share, 1e-12)), SHRINK, GROW)
    # A step cut short to land on a time says nothing against the longer one.
    longer = np.where(good & (factor >= 1), proposal, 0.0)
    return np.maximum(h * factor, longer)


def _too_slow(patience: Sequence[Patience], label: np.ndarray, time: np.ndarray, evaluations: np.ndarray) -> np.ndarray:
    """Which of the active populations are given up, (K,)."""
    paces = zip(label.tolist(), time.tolist(), evaluations.tolist(), strict=True)
    return np.array([patience[k].over(now, spent) for k, now, spent in paces])


def _finite(output: Tensor, scale: float) -> np.ndarray:
    """Whether all outputs are, in units of the labels, (K,)."""
    return torch.isfinite(output.sum(1) / scale).cpu().numpy()


def _rms(output: Tensor, other: Tensor) -> np.ndarray:
    """Root mean square of their difference over the samples, (K,)."""
    apart = torch.linalg.vector_norm(output - other, dim=1, dtype=torch.float64)
    return apart.cpu().numpy() / math.sqrt(output.shape[1])


def _gap(output: Tensor, predicted: Tensor, scale: float) -> np.ndarray:
    """How far a step's outputs are from those predicted, in units of the labels, inf where no number, (K,)."""
    gap = _rms(output, predicted) / scale
    return np.where(np.isfinite(gap), gap, np.inf)


def _snapshot(flow: ParticleFlow, populations: Populations, point: Point, k: int, time: float) -> Snapshot:
    """What is recorded of active population ``k`` at this time."""
    left = float(anchoring(populations.stiffness[k], populations.pull[k], time))
    return Snapshot(point.readout[k], point.moved[k], left, point.preactivation[k].T, point.output[k], flow.geometry)


def _below_rounding(flow: ParticleFlow, point: Point, allowed: float) -> np.ndarray:
    """Whether rounding makes more of f, a sum over neurons, than a step may be wrong by, (K,)."""
    terms = (point.features * point.readout[:, None]).abs().mean(2).amax(1) / flow.strength
    return (terms * torch.finfo(terms.dtype).eps > allowed).cpu().numpy()


def _first_step(
    flow: ParticleFlow, populations: Populations, point: Point, now: np.ndarray, scale: float, rtol: float, end: float
) -> np.ndarray:
    """A step that moves f by √rtol rms(y): the error estimate is of second order."""
    if end == 0:
        return np.ones(len(point.readout))
    # However long the course is, f must not have moved far: its rate is at most the trace of the kernels.
    kernels = point.features.square().sum(1).mean(1)
    kernels = kernels + (point.slopes.square().mean(2) * flow.geometry.inputs.square().sum(1)).sum(1)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        tiny = np.minimum(1 / kernels.cpu().numpy(), 1e-6 * end)
        speed = _rms(flow.step(populations, point, now, tiny)[0].output, point.output) / tiny
        guess = math.sqrt(rtol) * scale / np.maximum(speed, np.finfo(float).tiny)
    return np.maximum(np.minimum(np.where(np.isfinite(guess), guess, tiny), end), 1e-3 * tiny)
