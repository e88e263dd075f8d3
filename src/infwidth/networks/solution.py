"""What a set of finite networks answers, averaged over their seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.status import Status, UnconvergedError, worst


@dataclass(frozen=True)
class NetworkSolution:
    """Observables of finite networks, means over seeds.

    A sequence of n elastic couplings adds a leading axis (n, …) to every array; a number adds none. Gradient
    flow has the axis T, Langevin sampling does not.

    Attributes:
        prediction: f on the test inputs, (…, T, Pt).
        train_loss: mean squared error on the target training set, (…, T).
        test_loss: mean squared error on the test set, (…, T).
        kernel: Φ = E φφᵀ on the target training inputs, at the last time, (…, P2, P2).
        status: how it ended, the worst over seeds; a tuple of n for a sequence of couplings.
        residual: gradient flow: the largest one-step relative difference between the first- and second-order
            solution; Langevin: 1/√(effective sample size). The largest over seeds, (…).
        stderr: observable → standard error of its mean over seeds; nan with a single seed.
        times: record times in units of the flow (7), (T,); None for Langevin sampling.
        sampled_test_loss: Langevin only: mean test loss of single sampled networks, (…).
    """

    prediction: np.ndarray
    train_loss: np.ndarray
    test_loss: np.ndarray
    kernel: np.ndarray
    status: Status | tuple[Status, ...]
    residual: np.ndarray
    stderr: Mapping[str, np.ndarray]
    times: np.ndarray | None = None
    sampled_test_loss: np.ndarray | None = None


def require_converged(statuses: Sequence[Status], names: Sequence[str]) -> None:
    """Raise UnconvergedError for the first network that did not converge, saying which it is."""
    for status, name in zip(statuses, names, strict=True):
        if status is not Status.CONVERGED:
            raise UnconvergedError(name, status)


def summarise(
    observables: Mapping[str, np.ndarray],
    status: Sequence[Sequence[Status]],
    residual: np.ndarray,
    *,
    single: bool,
    times: np.ndarray | None = None,
) -> NetworkSolution:
    """Average per-seed observables (B, n, …) over seeds.

    Args:
        observables: name → values, among them those of NetworkSolution.
        status: statuses, B × n.
        residual: residuals, (B, n).
        single: whether one elastic coupling was asked for, so that the axis n is dropped.
        times: record times, if any.

    Returns:
        The means, their standard errors and the worst status and residual.
    """
    pick = (lambda values: values[0]) if single else (lambda values: values)
    means, errors = {}, {}
    for name, values in observables.items():
        count = len(values)
        means[name] = pick(values.mean(0))
        spread = values.std(0, ddof=1) / math.sqrt(count) if count > 1 else np.full(values.shape[1:], np.nan)
        errors[name] = pick(spread)
    ended = tuple(worst(column) for column in zip(*status, strict=True))
    return NetworkSolution(**means, status=pick(ended), residual=pick(residual.max(0)), stderr=errors, times=times)
