"""Hamiltonian Monte Carlo, exact at any step: trajectories of the motion of state, accepted or taken back.

Chains advance together in one evaluation of the forces, but each has a step, a trajectory and noise of its own, so
that what becomes of one does not depend on the others.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.networks.sampling.kinetic import settle
from infwidth.networks.sampling.records import ROUNDING, Records, Schedule
from infwidth.networks.sampling.state import Chains
from infwidth.numerics.batching import Batch, take

LENGTH, JITTER = math.pi / 2, 0.3
"""Time of a trajectory, a quarter turn of the prior's oscillators, and the share by which it varies."""
FREE = 0.25
"""Share of the burn-in left to Langevin dynamics: while it falls into the posterior a chain's step has to shrink."""
START, LARGEST = 0.6, 0.8
"""First step over that of Langevin dynamics, whose errors nothing has to accept, and the largest as a fraction of the
stability limit, beyond which acceptance breaks off."""
GAIN, DECAY, SKIPPED = 1.5, 0.5, 3
"""The logarithm of the step moves by GAIN m^−DECAY × (acceptance − target) after the m-th trajectory of the adaptation;
its mean after the first few is what it is fixed at."""
TRIALS, LEAST_ACCEPTANCE = 8, 0.1
"""A chain that accepts less of its first trajectories after the burn-in starts again."""


class _Trajectories:
    """Where each chain's trajectory began, and how far it is."""

    def __init__(self, state: Chains, step: Tensor):
        self.state, self.step = state, step  # the largest step allowed
        self.noise = [state.noise.own(int(chain)) for chain in state.chains]
        self.origin = tuple(part.clone() for part in self._place())
        self.energy = step.new_zeros(len(step), dtype=torch.float64)
        self.h = step.clone()  # the step taken, a whole number of which makes the trajectory
        self.left = torch.zeros_like(state.chains)

    def _place(self) -> tuple[Tensor, ...]:
        """What a rejected trajectory gives back: positions, and the forces there."""
        state, forces = self.state, self.state.forces
        return state.z, state.v, forces.output, forces.readout_force, forces.slopes

    def begin(self, rows: Tensor) -> None:
        """Draw momenta and lengths for the rows of those indices."""
        state, lengths, counts = self.state, [], []
        for row, longest in zip(rows.tolist(), self.step[rows].tolist(), strict=True):
            normals, uniforms = self.noise[row]
            for momentum in (state.pv, state.pz):
                drawn = torch.randn(momentum.shape[:0:-1], generator=normals, device=normals.device)
                momentum[row] = drawn.mT if drawn.ndim > 1 else drawn  # drawn neuron by neuron
            lengths.append(LENGTH * (1 + JITTER * (2 * _uniform(uniforms) - 1)))
            counts.append(max(1, math.ceil(lengths[-1] / longest)))
        self.left[rows] = torch.tensor(counts).to(self.left)
        self.h[rows] = (torch.tensor(lengths, dtype=torch.float64) / torch.tensor(counts)).to(self.h)
        for kept, now in zip(self.origin, self._place(), strict=True):
            kept[rows] = now[rows]
        self.energy[rows] = state.exact_energy(rows)

    def leap(self) -> None:
        """Move all chains by a step."""
        state = self.state
        state.kick(self.h / 2)
        state.turn(self.h)
        state.evaluate(probing=False)
        state.kick(self.h / 2)
        self.left = self.left - 1

    def decide(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Accept or take back the trajectories of those rows; return acceptance probabilities and what was accepted."""
        loss = self.state.exact_energy(rows) - self.energy[rows]
        chance = (-loss).exp().clamp(max=1).nan_to_num(0.0)
        taken = torch.tensor([_uniform(self.noise[row][1]) for row in rows.tolist()]).to(chance) < chance
        back = rows[~taken]
        for kept, now in zip(self.origin, self._place(), strict=True):
            now[back] = kept[back]
        return chance.to(self.step), taken

    def select(self, keep: Tensor) -> None:
        """Go on with the rows of those indices alone, as the state has."""
        for name in ("noise", "origin", "energy", "step", "h", "left"):
            setattr(self, name, take(getattr(self, name), keep))


@dataclass
class _Progress(Batch):
    """How far each chain is: time elapsed, trajectories of the adaptation, samples collected, trajectories sampled.

    ``ceiling`` is the largest step allowed, ``settled`` the mean logarithm of the steps adapted to so far.
    """

    ceiling: Tensor
    elapsed: Tensor
    adapted: Tensor
    settled: Tensor
    collected: Tensor
    tried: Tensor
    accepted: Tensor

    def adapt(self, path: _Trajectories, rows: Tensor, chance: Tensor, adapting: Tensor, target: float) -> None:
        """Move the steps of rows whose trajectories ended, or fix them where the burn-in is over."""
        self.adapted[rows] += adapting.to(chance)
        pace = torch.where(adapting, GAIN * self.adapted[rows].clamp(min=1) ** -DECAY, 0.0)
        change = (pace * (chance - target)).exp()
        path.step[rows] = torch.minimum(path.step[rows] * change, self.ceiling[rows])
        share = torch.where(adapting, (self.adapted[rows] - SKIPPED).clamp(min=1), torch.inf).reciprocal()
        self.settled[rows] += share * (path.step[rows].log() - self.settled[rows])
        path.step[rows] = torch.where(adapting, path.step[rows], self.settled[rows].exp())


def run(state: Chains, schedule: Schedule, records: Records) -> Tensor:
    """Run chains to the end of their schedule, filling their rows of the records; return those that failed.

    A quarter of the burn-in is Langevin dynamics, in the rest the step is adapted to the target acceptance; then it is
    fixed. Samples and readings are taken where trajectories end.
    """
    like = state.curvature
    exploded = settle(state, FREE * schedule.burn_in_time, schedule, records)
    lost = state.chains[exploded].tolist()
    if exploded.any():
        state.select((~exploded).nonzero()[:, 0])
    path = _Trajectories(state, state.step(START * schedule.safety))
    elapsed = torch.full_like(path.step, FREE * schedule.burn_in_time)
    course = _Progress(state.step(LARGEST), elapsed, *(torch.zeros_like(elapsed) for _ in range(5)))
    path.begin(torch.arange(len(elapsed), device=like.device))
    for iteration in itertools.count(1):
        if not len(course.elapsed):
            break
        path.leap()
        course.elapsed = course.elapsed + path.h
        schedule.look_ahead(iteration, course.elapsed, path.h)
        rows = (path.left == 0).nonzero()[:, 0]
        if not len(rows):
            continue
        chance, taken = path.decide(rows)
        burning = course.elapsed < schedule.burn_in_time
        adapting = burning[rows]
        course.adapt(path, rows, chance, adapting, schedule.target_acceptance)
        sampled = torch.zeros_like(burning)
        sampled[rows] = ~adapting
        course.tried += sampled
        course.accepted[rows] += (taken & ~adapting).to(like)
        if sampled.any():
            records.read(state, sampled)
        course.collected += schedule.collect(state, sampled, course.elapsed, course.collected)
        stuck = sampled & (course.tried == TRIALS) & (course.accepted < TRIALS * LEAST_ACCEPTANCE)
        stuck |= schedule.crawling(path.step)
        ended = (sampled & (course.elapsed >= schedule.duration - ROUNDING)) | stuck
        schedule.report(course.elapsed, len(records.steps))
        path.begin(rows[~ended[rows]])
        if ended.any():
            lost += state.chains[stuck].tolist()
            share = (course.accepted / course.tried.clamp(min=1))[ended]
            records.acceptance[state.chains[ended].cpu().numpy()] = share.cpu().numpy()
            records.end(state, ended, iteration)
            keep = (~ended).nonzero()[:, 0]
            state.select(keep)
            path.select(keep)
            course = take(course, keep)
    records.lose(lost)
    return torch.tensor(lost, dtype=torch.long, device=like.device)


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))
