"""Kinetic (underdamped) Langevin dynamics: friction between the half rotations of docs/theory.md §1's posteriors.

Friction is an exact Ornstein–Uhlenbeck step between two half rotations: the order that leaves Gaussian positions
nearly unbiased. Overdamped Euler–Langevin moves by √step and must resolve the stiffest likelihood mode, 1/λ_max ~
10⁻³ per step against 1/√λ_max here, with a bias of first order.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from infwidth.networks.sampling.records import ROUNDING, Records, Schedule
from infwidth.networks.sampling.state import Chains

STRIDE = 4
"""Steps between friction refreshes and monitor readings; noise costs as much as a step."""
PROBE_INTERVAL = 8
"""Steps between refreshes of the curvature during burn-in."""
SETTLING = 64
"""First steps, in which the curvature grows fast and is refreshed every time."""
EXPLOSION = 10.0
"""Rise of the energy, over its start plus the thermostat's share, that counts as an explosion."""


def run(state: Chains, schedule: Schedule, records: Records) -> Tensor:
    """Run chains to the end of their schedule, filling their rows of the records; return those that exploded.

    The step follows the curvature during burn-in and is fixed afterwards.
    """
    like, lost = state.curvature, []
    collected, elapsed = torch.zeros_like(state.chains), torch.zeros_like(like)
    h = state.step(schedule.safety)
    ceiling = EXPLOSION * (1 + state.energy())
    state.kick(h / 2)
    for iteration in itertools.count(1):
        stir, probing = iteration % STRIDE == 0, iteration % PROBE_INTERVAL == 0 or iteration <= SETTLING
        burning = elapsed < schedule.burn_in_time
        state.drift(h, stir)
        state.evaluate(probing)
        state.kick(h)
        if burning.any():
            state.cool(burning)
        elapsed = elapsed + h
        if probing:
            h = torch.where(burning, state.step(schedule.safety), h)
        collected = collected + schedule.collect(state, ~burning, elapsed, collected)
        ended = elapsed >= schedule.duration - ROUNDING
        if stir:
            records.read(state, ~burning)
            schedule.look_ahead(iteration, elapsed, h)
            crawling = schedule.crawling(h)
            exploded = ~(state.energy() <= ceiling) | crawling  # NaN explodes too
            ended |= exploded
            lost += state.chains[exploded].tolist()
            records.given_up += state.chains[crawling].tolist()
            schedule.report(elapsed, len(records.steps))
        if ended.any():
            records.end(state, ended, iteration)
            keep = (~ended).nonzero()[:, 0]
            if not len(keep):
                break
            state.select(keep)
            collected, elapsed, h, ceiling = collected[keep], elapsed[keep], h[keep], ceiling[keep]
    records.lose(lost)
    return torch.tensor(lost, dtype=torch.long, device=like.device)


def settle(state: Chains, duration: float, schedule: Schedule, records: Records) -> Tensor:
    """Let chains fall from their prior into the posterior for a time; return which of them failed, a mask (K,)."""
    elapsed, h = torch.zeros_like(state.curvature), state.step(schedule.safety)
    ceiling = EXPLOSION * (1 + state.energy())
    everyone = torch.ones_like(h, dtype=torch.bool)
    crawling = ~everyone
    state.kick(h / 2)
    for iteration in itertools.count(1):
        probing, stir = iteration % PROBE_INTERVAL == 0 or iteration <= SETTLING, iteration % STRIDE == 0
        state.drift(h, stir)
        state.evaluate(probing)
        state.kick(h)
        state.cool(everyone)
        elapsed = elapsed + h
        if probing:
            h = state.step(schedule.safety)
        crawling |= schedule.crawling(h) & ~(elapsed >= duration)  # a step may be NaN, and the time with it
        h = torch.where((elapsed < duration) & ~crawling, h, 0.0)  # those that have arrived wait
        if stir:
            schedule.look_ahead(iteration, elapsed, h, duration)
            schedule.report(elapsed, len(records.steps))
        if not h.any():
            crawling |= schedule.crawling(state.step(schedule.safety))
            records.given_up += state.chains[crawling].tolist()
            return ~(state.energy() <= ceiling) | crawling
