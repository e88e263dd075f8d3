"""Averages over posterior samples."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from infwidth.networks.sampling.run import ChainOutcome
from infwidth.networks.sampling.span import OutsideSpan
from infwidth.networks.two_layer.ensemble import feature_kernel, predict
from infwidth.numerics.activations import Activation
from infwidth.numerics.status import Status


@dataclass(frozen=True)
class PosteriorSamples:
    """Posterior averages of B × G target chains: B source networks, G points.

    Attributes:
        prediction: posterior mean of f on the test inputs, (B, G, Pt); nan where a chain diverged.
        prediction_second_moment: posterior mean of f² there, (B, G, Pt).
        train_prediction: posterior mean of f on the target training inputs, (B, G, P2).
        kernel: posterior mean of Φ = E φφᵀ on the training inputs, (B, G, P2, P2).
        status: converged, unmixed or diverged, B × G.
        steps: integration steps, (B, G).
        effective_samples: of the slowest monitored scalar, (B, G).
        r_hat: largest split R̂ over them, (B, G).
        acceptance: share of HMC's trajectories accepted, (B, G); NaN for Langevin dynamics.
        drift: largest difference of two halves' means over the monitored scalars, in standard errors, (B, G).
    """

    prediction: np.ndarray
    prediction_second_moment: np.ndarray
    train_prediction: np.ndarray
    kernel: np.ndarray
    status: tuple[tuple[Status, ...], ...]
    steps: np.ndarray
    effective_samples: np.ndarray
    r_hat: np.ndarray
    acceptance: np.ndarray
    drift: np.ndarray


class Moments:
    """Running sums of what is averaged over a chain, for all chains."""

    def __init__(self, chains: int, samples: int, tests: int):
        self.count = np.zeros(chains)
        self.test, self.square = np.zeros((chains, tests)), np.zeros((chains, tests))
        self.train, self.kernel = np.zeros((chains, samples)), np.zeros((chains, samples, samples))

    def reset(self, chain: int) -> None:
        """Forget a chain's samples."""
        for total in (self.count, self.test, self.square, self.train, self.kernel):
            total[chain] = 0

    def answer(self, outcomes: list[ChainOutcome], bodies: int, groups: int) -> PosteriorSamples:
        """Return the averages, chains arranged as bodies × groups."""
        status = [status for outcome in outcomes for status in outcome.status]
        count = np.where(self.count > 0, self.count, np.nan)
        count[[s is Status.DIVERGED for s in status]] = np.nan

        def mean(total: np.ndarray) -> np.ndarray:
            return (total / count.reshape(-1, *[1] * (total.ndim - 1))).reshape(bodies, groups, *total.shape[1:])

        def each(name: str) -> np.ndarray:
            return np.concatenate([getattr(outcome, name) for outcome in outcomes]).reshape(bodies, groups)

        return PosteriorSamples(
            mean(self.test),
            mean(self.square),
            mean(self.train),
            mean(self.kernel),
            tuple(tuple(status[b * groups : (b + 1) * groups]) for b in range(bodies)),
            each("steps"),
            each("effective_samples"),
            each("r_hat"),
            each("acceptance"),
            each("drift"),
        )


@dataclass(frozen=True)
class MomentCollector:
    """Adds the samples of one chunk of chains to the moments, and shows those whose numbers are ``shown``.

    Inputs and tests are in the coordinates of the weights that are sampled; ``outside`` draws the rest.
    """

    moments: Moments
    offset: int
    inputs: Tensor
    tests: list[Tensor]
    outside: list[OutsideSpan]
    strengths: list[float]
    activation: Activation
    observe: Callable[[int, Tensor], None] | None = None
    shown: Collection[int] = ()

    def reset(self, chain: int) -> None:
        """Forget a chain's samples: it restarts."""
        self.moments.reset(self.offset + chain)

    def add(self, chain: int, number: int, readout: Tensor, hidden: Tensor, output: Tensor) -> None:
        """Take one sample of a chain."""
        row, moments = self.offset + chain, self.moments
        offset = self.outside[chain].sample()
        f = predict(readout, hidden, self.tests[chain], self.strengths[chain], self.activation, offset).cpu().numpy()
        moments.count[row] += 1
        moments.test[row] += f
        moments.square[row] += f**2
        moments.train[row] += output.cpu().numpy()
        moments.kernel[row] += feature_kernel(hidden[None], self.inputs[chain][None], self.activation)[0].cpu().numpy()
        if self.observe is not None and number in self.shown:
            self.observe(row, hidden @ self.inputs[chain].mT)
