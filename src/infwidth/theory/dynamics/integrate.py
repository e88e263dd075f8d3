"""Adaptive integration of the mean-field dynamics (7), each population at its own pace (docs/theory.md §2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.numerics.batching import keep_freed_memory
from infwidth.numerics.status import Status
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
    evaluations: Tensor
    residual: Tensor


@torch.inference_mode()
def integrate(
    populations: Populations,
    geometry: Geometry,
    labels: Tensor,
    times: Tensor,
    record: Callable[[int, int, Snapshot], None],
    *,
    strength: float,
    readout_decay: float,
    activation: Activation,
    rtol: float,
    max_evaluations: int,
    constant_step: float | None = None,
) -> ParticleOutcome:
    """Integrate K populations along (7), each at its own pace, and record each at every time.

    Args:
        populations: the populations at time 0.
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

    Returns:
        Statuses, evaluations and error estimates.
    """
    keep_freed_memory()
    like = populations.readout
    total = len(like)
    flow = ParticleFlow(geometry, labels, strength, readout_decay, activation)
    times = times.to(like)
    scale = labels.square().mean().sqrt()
    scale = torch.where(scale > 0, scale, 1.0)  # without labels f stays at 0, whatever it is measured by
    evaluations = torch.zeros(total, dtype=torch.long, device=like.device)
    residual = torch.zeros(total, dtype=like.dtype, device=like.device)
    status = [Status.CONVERGED] * total

    # Everything below is per active population; `label` maps them to rows of the outcome.
    label = torch.arange(total, device=like.device)
    goal, now = torch.zeros_like(label), torch.zeros_like(residual)
    point = flow.at(populations, now, populations.readout, populations.moved)
    if constant_step is None:
        proposal = _first_step(flow, populations, point, scale, rtol, times[-1])
        hopeless = _below_rounding(flow, point, rtol * scale)
    else:
        proposal, hopeless = torch.full_like(now, constant_step), torch.zeros_like(now, dtype=torch.bool)
    shortest = SHORTEST * proposal
    patience = [Patience(float(times[-1]), max_evaluations, JUDGED) for _ in range(total)]
    while True:
        short = proposal < torch.maximum(shortest[label], SHORTEST * now)
        broken = short | ~torch.isfinite(point.output / scale).all(1)
        stuck = hopeless[label] | _too_slow(patience, label, now, evaluations[label] + 1)
        arrived = (now >= times[goal]) & ~broken
        for k in arrived.nonzero()[:, 0].tolist():
            left = float(anchoring(populations.stiffness[k], populations.pull[k], now[k]))
            shot = Snapshot(point.readout[k], point.moved[k], left, point.preactivation[k].T, point.output[k], geometry)
            record(int(label[k]), int(goal[k]), shot)
        goal = goal + arrived.long()
        done = goal >= len(times)
        for k in ((broken | stuck) & ~done).nonzero()[:, 0].tolist():
            status[int(label[k])] = Status.DIVERGED if broken[k] else Status.STALLED
        keep = (~(done | broken | stuck)).nonzero()[:, 0]
        if len(keep) == 0:
            break
        if len(keep) < len(label):
            populations, point = populations.select(keep), point.select(keep)
            label, goal, now, proposal = label[keep], goal[keep], now[keep], proposal[keep]
        if bool((now >= times[goal]).any()):
            continue  # equal times

        left = times[goal] - now
        parts = (left / proposal * (1 - 1e-12)).ceil().clamp(min=1)
        h = left / parts
        trial, predicted = flow.step(populations, point, now, h)
        evaluations[label] += 2
        gap = (trial.output - predicted).square().mean(1).sqrt() / scale
        gap = torch.where(torch.isfinite(gap), gap, torch.inf)
        good = gap <= rtol if constant_step is None else torch.isfinite(gap)
        residual[label] = torch.where(good, torch.maximum(residual[label], gap), residual[label])
        if constant_step is None:
            proposal = _next_step(h, gap / rtol, good, proposal)
        elif not bool(good.all()):
            proposal = torch.where(good, proposal, 0.0)
        point = trial if bool(good.all()) else trial.where(good, point)
        now = torch.where(good, torch.where(parts == 1, times[goal], now + h), now)
    return ParticleOutcome(tuple(status), evaluations, residual)


def _next_step(h: Tensor, share: Tensor, good: Tensor, proposal: Tensor) -> Tensor:
    """The step proposed after one of length h whose error was that share of what it may be, (K,)."""
    factor = (SAFETY * share.clamp(min=1e-12).rsqrt()).clamp(SHRINK, GROW)
    # A step cut short to land on a time says nothing against the longer one.
    longer = torch.where(good & (factor >= 1), proposal, 0.0)
    return torch.maximum(h * factor, longer)


def _too_slow(patience: Sequence[Patience], label: Tensor, time: Tensor, evaluations: Tensor) -> Tensor:
    """Which of the active populations are given up, (K,)."""
    paces = zip(label.tolist(), time.tolist(), evaluations.tolist(), strict=True)
    return torch.tensor([patience[k].over(now, spent) for k, now, spent in paces], device=label.device)


def _below_rounding(flow: ParticleFlow, point: Point, allowed: Tensor) -> Tensor:
    """Whether rounding makes more of f, a sum over neurons, than a step may be wrong by, (K,)."""
    terms = (point.features * point.readout[:, None]).abs().mean(2).amax(1) / flow.strength
    return terms * torch.finfo(terms.dtype).eps > allowed


def _first_step(
    flow: ParticleFlow, populations: Populations, point: Point, scale: Tensor, rtol: float, end: Tensor
) -> Tensor:
    """A step that moves f by √rtol rms(y): the error estimate is of second order."""
    if float(end) == 0:
        return torch.ones(len(point.readout), dtype=end.dtype, device=end.device)
    # However long the course is, f must not have moved far: its rate is at most the trace of the kernels.
    kernels = point.features.square().sum(1).mean(1)
    kernels = kernels + (point.slopes.square().mean(2) * flow.geometry.inputs.square().sum(1)).sum(1)
    tiny = (1 / kernels).clamp(max=1e-6 * float(end))
    moved = flow.step(populations, point, torch.zeros_like(tiny), tiny)[0]
    speed = (moved.output - point.output).square().mean(1).sqrt() / tiny
    guess = math.sqrt(rtol) * scale / speed.clamp(min=torch.finfo(end.dtype).tiny)
    return torch.where(torch.isfinite(guess), guess, tiny).clamp(max=float(end)).maximum(1e-3 * tiny)
