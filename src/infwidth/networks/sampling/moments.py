"""Averages over posterior samples."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infwidth.networks.sampling.run import ChainOutcome
from infwidth.networks.sampling.span import OutsideSpan
from infwidth.networks.solution import TargetNetworks
from infwidth.networks.two_layer.model import feature_kernel, predict
from infwidth.numerics.activations import Activation
from infwidth.numerics.status import Status


class Sums:
    """Running sums of what is averaged over a chain, for all chains."""

    def __init__(self, n_chains: int, n_train: int, n_test: int, outputs: tuple[int, ...] = ()):
        self.count = np.zeros(n_chains)
        self.test, self.square = (np.zeros((n_chains, n_test, *outputs)) for _ in range(2))
        self.train, self.kernel = np.zeros((n_chains, n_train, *outputs)), np.zeros((n_chains, n_train, n_train))

    def reset(self, chain: int) -> None:
        """Forget a chain's samples."""
        for total in (self.count, self.test, self.square, self.train, self.kernel):
            total[chain] = 0

    def answer(self, outcomes: list[ChainOutcome], bodies: int, groups: int) -> TargetNetworks:
        """Return the averages, chains arranged as bodies × groups."""
        status = [status for outcome in outcomes for status in outcome.status]
        count = np.where(self.count > 0, self.count, np.nan)
        count[[s is Status.DIVERGED for s in status]] = np.nan

        def mean(total: np.ndarray) -> np.ndarray:
            return (total / count.reshape(-1, *[1] * (total.ndim - 1))).reshape(bodies, groups, *total.shape[1:])

        def each(name: str) -> np.ndarray:
            return np.concatenate([getattr(outcome, name) for outcome in outcomes]).reshape(bodies, groups)

        extras = {name: each(name) for name in ("effective_samples", "r_hat", "acceptance", "drift")}
        return TargetNetworks(
            prediction=mean(self.test),
            train_prediction=mean(self.train),
            kernel=mean(self.kernel),
            status=tuple(tuple(status[b * groups : (b + 1) * groups]) for b in range(bodies)),
            steps=each("steps"),
            residual=1 / np.sqrt(np.maximum(extras["effective_samples"], 1.0)),
            extras={"prediction_second_moment": mean(self.square)} | extras,
        )


@dataclass(frozen=True)
class MomentCollector:
    """Adds the samples of one chunk of chains to the sums, and shows those whose numbers are ``shown``.

    Inputs and tests are in the coordinates of the weights that are sampled; ``outside`` draws the rest.
    """

    sums: Sums
    first_row: int
    inputs: Tensor
    tests: list[Tensor]
    outside: list[OutsideSpan]
    strengths: list[float]
    activation: Activation
    show: Callable[[int, Tensor], None] | None = None
    shown: Collection[int] = ()

    def reset(self, chain: int) -> None:
        """Forget a chain's samples: it restarts."""
        self.sums.reset(self.first_row + chain)

    def add(self, chain: int, number: int, readout: Tensor, hidden: Tensor, output: Tensor) -> None:
        """Take one sample of a chain."""
        row, sums = self.first_row + chain, self.sums
        outside, tests, weights = self.outside[chain], self.tests[chain], hidden
        if outside.inputs is not None:
            tests, weights = torch.cat([tests, outside.inputs], 1), torch.cat([hidden, outside.sample()])
        f = predict(readout, weights, tests, self.strengths[chain], self.activation).cpu().numpy()
        sums.count[row] += 1
        sums.test[row] += f
        sums.square[row] += f**2
        sums.train[row] += output.cpu().numpy()
        sums.kernel[row] += feature_kernel(hidden, self.inputs[chain], self.activation).cpu().numpy()
        if self.show is not None and number in self.shown:
            self.show(row, (self.inputs[chain] @ hidden).mT)
