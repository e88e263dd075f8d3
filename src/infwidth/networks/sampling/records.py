"""What a run of chains is asked for and what it leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from infwidth.networks.sampling.state import Chains
from infwidth.numerics.progress import Foresight, Progress

MONITORS = 4
ROUNDING = 1e-9
"""Time that does not count."""
SHORTEST, SHORT = 1e-6, 1e-5
"""Steps, as fractions of the time to run, below which a chain is given up, as its rates are out of all proportion, and
below which it is said first that it takes long."""


class Collector(Protocol):
    """Takes the samples of every chain."""

    def reset(self, chain: int) -> None:
        """Forget what ``chain`` gave: it restarts."""

    def add(self, chain: int, number: int, readout: Tensor, hidden: Tensor, output: Tensor) -> None:
        """Take the sample of that number: w (N,), W (r, N), f on the training inputs (P,); of C outputs
        (C, N) and (P, C).
        """


@dataclass(frozen=True)
class Schedule:
    """How long chains run.

    Attributes:
        burn_in_time: time discarded, > 0, in units where the prior's oscillators have frequency 1.
        sampling_time: time sampled, > 0, likewise.
        samples: samples handed to the collector, as evenly spaced over ``sampling_time`` as the sampler can.
        safety: step as a fraction of the stability limit; of HMC, where its adaptation starts.
        target_acceptance: share of HMC's trajectories to accept.
        collector: takes the samples.
        progress: called with the fraction of time done, 0 … 1.
        foresight: says where very many steps are ahead.
    """

    burn_in_time: float
    sampling_time: float
    samples: int
    safety: float
    target_acceptance: float
    collector: Collector | None
    progress: Progress
    foresight: Foresight

    @property
    def duration(self) -> float:
        """Burn-in and sampling together."""
        return self.burn_in_time + self.sampling_time

    def crawling(self, step_size: Tensor) -> Tensor:
        """Which steps are too short to get anywhere, NaN among them; a mask."""
        return ~(step_size >= SHORTEST * self.duration)

    def look_ahead(self, done: int, elapsed: Tensor, step_size: Tensor, end: float | None = None) -> None:
        """Say after a number of steps where very many more are ahead, up to an end or that of the schedule."""
        left = (self.duration if end is None else end) - elapsed
        going = ~self.crawling(step_size)
        self.foresight.look(done, lambda: float(torch.where(going, left / step_size, 0.0).max()))

    def collect(self, state: Chains, ready: Tensor, elapsed: Tensor, collected: Tensor) -> Tensor:
        """Hand the collector the samples that are due; return whose were, a mask.

        Args:
            state: the chains.
            ready: which of them can be sampled, a mask.
            elapsed: their times.
            collected: samples taken of each.
        """
        spacing = self.sampling_time / self.samples
        due = ready & (elapsed - self.burn_in_time >= (collected + 1) * spacing - ROUNDING)
        if self.collector is not None and due.any():
            rows = due.nonzero()[:, 0]
            w, weights = state.posterior.select(rows).weights(state.v[rows], state.z[rows])
            for k, *found in zip(rows.tolist(), w, weights, state.forces.output[rows], strict=True):
                self.collector.add(int(state.chains[k]), int(collected[k]), *found)
        return due

    def report(self, elapsed: Tensor, n_chains: int) -> None:
        """Report progress, given the times of those of the chains that still run."""
        if self.progress is not None:
            left = float((1 - elapsed / self.duration).clamp(min=0).sum())
            self.progress(1.0 - left / n_chains)


class Records:
    """What K chains leave: final weights w (K, N) or (K, C, N) and W (K, r, N), steps, readings of the monitors,
    acceptance.
    """

    def __init__(self, n_chains: int, shape: tuple[int, int], like: Tensor, outputs: tuple[int, ...] = ()):
        self.readout = like.new_full((n_chains, *outputs, shape[1]), torch.nan)
        self.hidden = like.new_full((n_chains, *shape), torch.nan)
        self.steps, self.acceptance = np.zeros(n_chains, dtype=int), np.full(n_chains, np.nan)
        self.readings: list[list[np.ndarray]] = [[] for _ in range(n_chains)]
        self.given_up: list[int] = []  # chains that no shorter step helps

    def reset(self, chain: int) -> None:
        """Forget a chain: it restarts."""
        self.readings[chain] = []

    def read(self, state: Chains, chosen: Tensor) -> None:
        """Read the monitors of the chosen rows of the state, a mask."""
        values = state.monitors().cpu().numpy().astype(np.float64)
        for row in chosen.nonzero()[:, 0].tolist():
            self.readings[int(state.chains[row])].append(values[row])

    def series(self, chain: int) -> np.ndarray:
        """A chain's readings, (n, MONITORS)."""
        return np.array(self.readings[chain]).reshape(-1, MONITORS)

    def end(self, state: Chains, ended: Tensor, steps: int) -> None:
        """Keep the weights of the rows that ended, a mask."""
        rows = state.chains[ended]
        self.readout[rows], self.hidden[rows] = state.posterior.select(ended).weights(state.v[ended], state.z[ended])
        self.steps[rows.cpu().numpy()] = steps

    def lose(self, chains: list[int]) -> None:
        """Chains that exploded have no weights."""
        self.readout[chains] = self.hidden[chains] = torch.nan
