"""What hidden layers look like: kernel–task alignment, spread and shape of preactivations, kernels to draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.numerics.tolerance import left_open

EDGES = np.linspace(-10.0, 10.0, 101)
"""Bins of the densities; what lies outside is left out, so that a density may integrate to less than 1."""
DRAWN = 32
"""Samples of a kernel that is kept for a figure."""


@dataclass(frozen=True)
class Representation:
    """One population of neurons on P samples.

    Attributes:
        metrics: ``kernel_alignment``, ``centred_kernel_alignment``, ``preactivation_std``,
            ``preactivation_variance``, ``preactivation_fourth_moment`` (both centred) and
            ``preactivation_excess_kurtosis``, pooled over neurons and samples.
        kernel: Φ = E φφᵀ on at most ``DRAWN`` samples, evenly chosen in the order of their labels, (DRAWN, DRAWN); NaN
            beyond them.
        density: of the preactivations, over the bins of ``EDGES``.
    """

    metrics: dict[str, float]
    kernel: np.ndarray
    density: np.ndarray


def represent(preactivation: Tensor, labels: np.ndarray, activation: Activation) -> Representation:
    """Describe a population by its preactivations h (neurons, P) and the samples' labels y, (P,) or (P, C)."""
    preactivation = preactivation.double()
    features = activation.value(preactivation)
    kernel = (features.mT @ features / len(features)).cpu().numpy()
    offset = preactivation - preactivation.mean()
    variance = float(offset.square().mean())
    fourth = float(offset.square().square().mean())
    values = preactivation.cpu().numpy()
    counts = np.histogram(values, EDGES)[0] if np.isfinite(values).all() else np.full(len(EDGES) - 1, np.nan)
    chosen = sorted_subset(labels)
    drawn = np.full((DRAWN, DRAWN), np.nan)
    drawn[: len(chosen), : len(chosen)] = kernel[np.ix_(chosen, chosen)]
    return Representation(
        {
            "kernel_alignment": kernel_alignment(kernel, labels),
            "centred_kernel_alignment": centred_kernel_alignment(kernel, labels),
            "preactivation_std": math.sqrt(variance),
            "preactivation_variance": variance,
            "preactivation_fourth_moment": fourth,
            "preactivation_excess_kurtosis": fourth / variance**2 - 3 if variance else math.nan,
        },
        drawn,
        counts / (values.size * np.diff(EDGES)),
    )


def kernel_alignment(kernel: np.ndarray, labels: np.ndarray) -> float:
    """Kernel–task alignment tr(YᵀΦY)/(‖YYᵀ‖‖Φ‖), 0 … 1 for a positive kernel; Φ (P, P), y (P,) or Y (P, C)."""
    labels = labels.reshape(len(labels), -1)
    norm = float(np.linalg.norm(labels.T @ labels) * np.linalg.norm(kernel))
    return float(np.sum(labels * (kernel @ labels))) / norm if norm else 0.0


def centred_kernel_alignment(kernel: np.ndarray, labels: np.ndarray) -> float:
    """The alignment after the mean over samples is taken off features and labels."""
    centred = kernel - kernel.mean(0) - kernel.mean(1)[:, None] + kernel.mean()
    return kernel_alignment(centred, labels - labels.mean(0))


def sorted_subset(labels: np.ndarray, count: int = DRAWN) -> np.ndarray:
    """At most ``count`` indices, evenly spaced in the order of the labels; of two classes equally many each."""
    if labels.ndim > 1:
        labels = np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if len(groups) != 2:
        groups = [np.argsort(labels, kind="stable")]
    share = count // len(groups)
    return np.concatenate([g[np.linspace(0, len(g) - 1, min(share, len(g))).round().astype(int)] for g in groups])


def average(
    found: Sequence[Sequence[Representation]], coarser: Representation | None = None
) -> tuple[Representation, dict[str, float]]:
    """Mean over networks or replicas, and the standard error of each metric (nan for a single one).

    What a chain shows again and again is no sample of its own: neurons pass slowly between modes, and the source that
    it is tied to stays.

    Args:
        found: of each network or replica, all that was seen of it, as often of each.
        coarser: of the first replica at a coarser tolerance of the integrator, whose error then counts too.
    """
    metrics, errors = {}, {}
    for name in found[0][0].metrics:
        values = np.array([np.mean([one.metrics[name] for one in seen]) for seen in found])
        metrics[name] = float(values.mean())
        errors[name] = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan
        if coarser is not None:
            errors[name] = math.hypot(errors[name], left_open(values[0], np.array(coarser.metrics[name])))
    everything = [one for seen in found for one in seen]
    kernel, density = (np.mean([getattr(one, name) for one in everything], axis=0) for name in ("kernel", "density"))
    return Representation(metrics, kernel, density), errors
