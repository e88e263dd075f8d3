"""Hamiltonian Monte Carlo, exact at any step: trajectories of the motion of chain_state, accepted or taken back.

Chains advance together in one evaluation of the forces, but each has a step, a trajectory and noise of its own, so
that what becomes of one does not depend on the others.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from infwidth.networks.sampling.kinetic import settle
from infwidth.networks.sampling.records import Records, Schedule
from infwidth.networks.sampling.state import Chains

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
ROUNDING = 1e-9


class _Trajectories:
    """Where each chain's trajectory began, and how far it is."""

    def __init__(self, state: Chains, step: Tensor):
        self.state, self.step = state, step  # the largest step allowed
        self.noise = [state.noise.own(int(chain)) for chain in state.chains]
        self.origin = [part.clone() for part in self._place()]
        self.energy = step.new_zeros(len(step), dtype=torch.float64)
        self.h = step.clone()  # the step taken, a whole number of which makes the trajectory
        self.left = torch.zeros_like(state.chains)

    def _place(self) -> tuple[Tensor, ...]:
        """What a rejected trajectory gives back: positions, and the forces there."""
        state, forces = self.state, self.state.forces
        return state.z, state.v, forces.output, forces.readout_force, forces.hidden_force

    def begin(self, rows: Tensor) -> None:
        """Draw momenta and lengths for the rows of those indices."""
        state = self.state
        for row in rows.tolist():
            generator = self.noise[row]
            for momentum in (state.pv, state.pz):
                drawn = torch.randn(momentum.shape[1:], generator=generator, device=generator.device)
                momentum[row] = drawn.to(momentum)
            length = LENGTH * (1 + JITTER * (2 * _uniform(generator) - 1))
            self.left[row] = count = max(1, math.ceil(length / float(self.step[row])))
            self.h[row] = length / count
        for kept, now in zip(self.origin, self._place(), strict=True):
            kept[rows] = now[rows]
        self.energy[rows] = state.exact_energy()[rows]

    def decide(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Accept or take back the trajectories of those rows; return acceptance probabilities and what was accepted."""
        loss = self.state.exact_energy()[rows] - self.energy[rows]
        chance = (-loss).exp().clamp(max=1).nan_to_num(0.0)
        taken = torch.tensor([_uniform(self.noise[row]) for row in rows.tolist()]).to(chance) < chance
        back = rows[~taken]
        for kept, now in zip(self.origin, self._place(), strict=True):
            now[back] = kept[back]
        return chance.to(self.step), taken

    def select(self, keep: Tensor) -> None:
        """Go on with the rows of those indices alone, as the state has."""
        self.noise = [self.noise[row] for row in keep.tolist()]
        self.origin = [part[keep] for part in self.origin]
        for name in ("energy", "step", "h", "left"):
            setattr(self, name, getattr(self, name)[keep])


def run(state: Chains, schedule: Schedule, records: Records) -> Tensor:
    """Run chains to the end of their schedule, filling their rows of the records; return those that failed.

    A quarter of the burn-in is Langevin dynamics, in the rest the step is adapted to the target acceptance; then it is
    fixed. Samples and readings are taken where trajectories end.
    """
    collector, like = schedule.collector, state.curvature
    exploded = settle(state, FREE * schedule.burn_in_time, schedule.safety)
    lost = state.chains[exploded].tolist()
    if exploded.any():
        state.select((~exploded).nonzero()[:, 0])
    path, ceiling = _Trajectories(state, state.step(START * schedule.safety)), state.step(LARGEST)
    elapsed = torch.full_like(path.step, FREE * schedule.burn_in_time)
    collected, adapted, settled, tried, accepted = (torch.zeros_like(elapsed) for _ in range(5))
    path.begin(torch.arange(len(elapsed), device=like.device))
    for iteration in itertools.count(1):
        if not len(elapsed):
            break
        state.kick(path.h / 2)
        state.turn(path.h)
        state.evaluate(probing=False)
        state.kick(path.h / 2)
        elapsed, path.left = elapsed + path.h, path.left - 1
        rows = (path.left == 0).nonzero()[:, 0]
        if not len(rows):
            continue
        chance, taken = path.decide(rows)
        burning = elapsed < schedule.burn_in_time
        adapting = burning[rows]
        adapted[rows] += adapting.to(like)
        pace = torch.where(adapting, GAIN * adapted[rows].clamp(min=1) ** -DECAY, 0.0)
        change = (pace * (chance - schedule.target_acceptance)).exp()
        path.step[rows] = torch.minimum(path.step[rows] * change, ceiling[rows])
        share = torch.where(adapting, (adapted[rows] - SKIPPED).clamp(min=1), torch.inf).reciprocal()
        settled[rows] += share * (path.step[rows].log() - settled[rows])
        path.step[rows] = torch.where(adapting, path.step[rows], settled[rows].exp())
        sampled = torch.zeros_like(burning)
        sampled[rows] = ~adapting
        tried += sampled
        accepted[rows] += (taken & ~adapting).to(like)
        if sampled.any():
            records.read(state, sampled)
        spacing = schedule.sampling_time / schedule.samples
        due = sampled & (elapsed - schedule.burn_in_time >= (collected + 1) * spacing - ROUNDING)
        if collector is not None and due.any():
            w, weights = state.posterior.weights(state.v, state.z)
            for k in due.nonzero()[:, 0].tolist():
                collector.add(int(state.chains[k]), int(collected[k]), w[k], weights[k], state.forces.output[k])
        collected += due
        stuck = sampled & (tried == TRIALS) & (accepted < TRIALS * LEAST_ACCEPTANCE)
        ended = (sampled & (elapsed >= schedule.duration - ROUNDING)) | stuck
        if schedule.progress is not None:
            left = float((1 - elapsed / schedule.duration).clamp(min=0).sum())
            schedule.progress(1.0 - left / len(records.steps))
        path.begin(rows[~ended[rows]])
        if ended.any():
            lost += state.chains[stuck].tolist()
            share = (accepted / tried.clamp(min=1))[ended]
            records.acceptance[state.chains[ended].cpu().numpy()] = share.cpu().numpy()
            records.end(state, ended, iteration)
            keep = (~ended).nonzero()[:, 0]
            state.select(keep)
            path.select(keep)
            elapsed, adapted, settled, ceiling = elapsed[keep], adapted[keep], settled[keep], ceiling[keep]
            collected, accepted, tried = collected[keep], accepted[keep], tried[keep]
    records.lose(lost)
    return torch.tensor(lost, dtype=torch.long, device=like.device)


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator, device=generator.device))
