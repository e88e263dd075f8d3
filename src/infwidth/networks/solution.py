"""What finite networks answer: each of them, and their average over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from infwidth.numerics.status import Status, UnconvergedError, worst


class _WithExtras:
    """Numbers of ``extras`` can be read as attributes too."""

    extras: Mapping[str, np.ndarray]

    def __getattr__(self, name: str) -> Any:
        # dunders and extras itself are asked for before there are any, by copy and pickle
        if name.startswith("_") or name == "extras" or name not in self.extras:
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return self.extras[name]


@dataclass(frozen=True)
class TargetNetworks(_WithExtras):
    """Trained or sampled target networks: B source networks, G points.

    Attributes:
        prediction: f on the test inputs, (B, G, T, Pt) along a flow, its posterior mean (B, G, Pt), or (B, G, Pt, C) of
            C outputs, of a sample; nan where a network diverged.
        train_prediction: likewise on the target training inputs, (B, G, T, P2) or (B, G, P2).
        kernel: Φ = E φφᵀ on the training inputs, at the last time or its posterior mean, (B, G, P2, P2).
        status: how each ended, B × G.
        steps: integration steps tried, (B, G).
        residual: of a flow the largest rms difference, over the steps, between the first- and second-order f on the
            training set, relative to rms y: an upper bound in practice on one step's error; of a sample
            1/√(effective sample size), (B, G).
        times: record times in units of the flow (7), (T,); None for a sample.
        extras: further numbers of each network by name. Of a sample ``prediction_second_moment``, the posterior mean of
            f² on the test inputs (B, G, Pt), and (B, G) each: ``effective_samples`` and ``r_hat``, the split R̂, of the
            worst monitored scalar, ``drift``, the difference of two halves' means in standard errors, and
            ``acceptance``, the share of HMC's trajectories accepted (NaN for Langevin dynamics).
    """

    prediction: np.ndarray
    train_prediction: np.ndarray
    kernel: np.ndarray
    status: tuple[tuple[Status, ...], ...]
    steps: np.ndarray
    residual: np.ndarray
    times: np.ndarray | None = None
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class NetworkSolution(_WithExtras):
    """Observables of finite networks, means over seeds.

    A sequence of n elastic couplings adds a leading axis (n, …) to every array; a number adds none. Gradient
    flow has the axis T, sampling does not.

    Attributes:
        prediction: f on the test inputs, (…, T, Pt), or (…, Pt, C) of C outputs, over which losses are means too.
        train_loss: mean squared error on the target training set, (…, T).
        test_loss: mean squared error on the test set, (…, T).
        kernel: Φ = E φφᵀ on the target training inputs, at the last time, (…, P2, P2).
        status: how it ended, the worst over seeds and their sources; a tuple of n for a sequence of couplings.
        residual: as in TargetNetworks, the largest over seeds, (…).
        stderr: observable → standard error of its mean over seeds; nan with a single seed.
        times: record times in units of the flow (7), (T,); None for sampling.
        extras: further observables by name: of sampling ``sampled_test_loss``, the mean test loss of single sampled
            networks, (…).
    """

    prediction: np.ndarray
    train_loss: np.ndarray
    test_loss: np.ndarray
    kernel: np.ndarray
    status: Status | tuple[Status, ...]
    residual: np.ndarray
    stderr: Mapping[str, np.ndarray]
    times: np.ndarray | None = None
    extras: Mapping[str, np.ndarray] = field(default_factory=dict)


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
        observables: name → values, among them those of NetworkSolution; others are its extras.
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
        with np.errstate(over="ignore", invalid="ignore"):
            means[name] = pick(values.mean(0))
            spread = values.std(0, ddof=1) / math.sqrt(count) if count > 1 else np.full(values.shape[1:], np.nan)
        errors[name] = pick(spread)
    extras = {name: means.pop(name) for name in tuple(means) if name not in NetworkSolution.__dataclass_fields__}
    ended = tuple(worst(column) for column in zip(*status, strict=True))
    return NetworkSolution(
        **means, status=pick(ended), residual=pick(residual.max(0)), stderr=errors, times=times, extras=extras
    )
