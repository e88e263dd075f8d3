"""Averages over a population at a fixed dual vector, in independent blocks, and the answer they imply."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.theory.posterior.particles import Layer, Population, of_outputs, scored_features

BLOCKS = 16
CHUNK = 500
"""Test points held at once."""
SWEEPS = 20
"""Measurements at the final dual vector."""


@dataclass
class Windows:
    """Averages at fixed g over sweeps; blocks b hold particles, and source particles, of their own.

    Of C outputs P is PC and Pt is PtC but for kernels, the outputs running fastest.

    Attributes:
        fits: f̂ = Φg/λ_w on the training points in the first and second half of the sweeps, (2, B, P).
        test_fits: the same on the test points, over all sweeps, (B, Pt).
        kernels: Φ on the training points, (B, P, P).
        hessians: H of eq. (5a), (B, P, P).
        cross_kernel: Φ(x, X), (Pt, P).
        cross_hessian: H between test and training points, (Pt, P).
        kernel_shift: change of Φ with g from its value here to each block's own solution, (B, P, P).
        correction: what to add to ``fits`` for the draw of W̄ they were taken at, (B, P); 0 if nothing is known.
    """

    fits: Tensor
    test_fits: Tensor
    kernels: Tensor
    hessians: Tensor
    cross_kernel: Tensor
    cross_hessian: Tensor
    kernel_shift: Tensor
    correction: Tensor


def fields_outside(
    hidden: Tensor, test_points: tuple[Tensor, Tensor], part: slice, generator: torch.Generator
) -> Tensor:
    """Preactivations (S, n) of particles on some test points; ``test_points`` as in ``observe_windows``."""
    field, spread = hidden @ test_points[0][part].T, test_points[1][part]
    if not bool((spread > 0).any()):
        return field
    noise = torch.randn(field.shape, generator=generator, dtype=field.dtype, device=field.device)
    return field + spread * noise


def observe_windows(
    population: Population,
    layer: Layer,
    dual: Tensor,
    labels: Tensor,
    test_points: tuple[Tensor, Tensor],
    advance: Callable[[int], None],
    *,
    sweeps: int,
    strength: float,
    inverse_temperature: float,
    readout_precision: float,
    frozen: bool = False,
) -> Windows:
    """Average over sweeps at fixed g.

    Args:
        population: equally weighted particles at equilibrium; moved by ``advance``.
        layer: the tilt.
        dual: g, (P,), or (P, C) of C outputs.
        labels: y, as g.
        test_points: test inputs in the particles' coordinates, (Pt, d), and the standard deviation of the part of h
            outside them, (Pt,), which is Gaussian and untilted.
        advance: called as advance(sweep) before each measurement.
        sweeps: measurements, even; every second one includes the test points.
        strength: γ.
        inverse_temperature: β.
        readout_precision: λ_w.
        frozen: whether the hidden weights do not respond to g (δ = ∞).

    Returns:
        The averages.
    """
    samples, points, count = len(labels), len(test_points[0]), len(population.hidden)
    blocks, r, outputs = BLOCKS, population.siblings, dual[0].numel()
    size, chunk = samples * outputs, max(1, CHUNK // outputs)
    zeros = labels.new_zeros
    fits, kernels = zeros(2, blocks, size), zeros(blocks, samples, samples)
    found, cross, bent = zeros(blocks, points * outputs), zeros(points, samples), zeros(points * outputs, size)
    covariances = zeros(blocks, size, size)
    factor = (strength / readout_precision) ** 2
    for sweep in range(sweeps):
        advance(sweep)
        features = population.features(layer)
        score = features @ dual.to(features.dtype)
        grouped = features.view(blocks, -1, samples)
        block_kernels = (grouped.transpose(1, 2) @ grouped / grouped.shape[1]).double()
        kernels += block_kernels / sweeps
        fits[2 * sweep // sweeps] += (block_kernels @ dual).flatten(1) / (readout_precision * (sweeps / 2))
        scored = scored_features(features, score)
        if not frozen:
            covariances += _covariance(scored.view(blocks, -1, size), r).double() / sweeps
        if sweep % 2:
            # s times what sφ is beyond its group's mean: with φ(x) of test points it makes their covariance
            beyond = scored - scored.view(-1, r, size).mean(1).repeat_interleave(r, 0)
            beyond = (score.view(count, outputs, 1) * beyond[:, None]).flatten(1)
            for start in range(0, points, chunk):
                part = slice(start, start + chunk)
                rows = slice(start * outputs, (start + chunk) * outputs)
                field = fields_outside(population.hidden, test_points, part, population.generator)
                outside = layer.activation.value(field)
                cross[part] += outside.T @ features / (count * (sweeps // 2))
                means = outside.view(blocks, -1, outside.shape[1]).mT @ score.view(blocks, -1, outputs)
                found[:, rows] += means.flatten(1) * (blocks / (count * readout_precision * (sweeps // 2)))
                if not frozen:
                    covariance = (outside.T @ beyond).view(-1, size) * (r / (count * (r - 1)))
                    bent[rows] += factor * covariance / (sweeps // 2)
    kernel_shift = zeros(blocks, samples, samples)
    hessians = of_outputs(kernels, dual) / readout_precision + factor * covariances
    if not frozen:
        eye = torch.eye(size, dtype=labels.dtype, device=labels.device) / inverse_temperature
        errors = (labels - dual / inverse_temperature).flatten() - fits.mean(0)
        moves = torch.linalg.solve(hessians.mean(0) + eye, errors.T).T.to(features.dtype)
        change = features.view(blocks, -1, samples) @ moves.view(blocks, samples, outputs)
        old = score.view(blocks, -1, outputs)
        gain = 0.5 * layer.sharpness * ((old + change).square() - old.square()).sum(-1)
        inside = min(r, gain.shape[1])
        weight = torch.softmax(gain.view(blocks, -1, inside), 2).view(blocks, -1) * (inside / gain.shape[1])
        grouped = features.view(blocks, -1, samples)
        kernel_shift = (grouped * weight[..., None]).transpose(1, 2) @ grouped - block_kernels.to(grouped.dtype)
    bent += of_outputs(cross, dual) / readout_precision
    return Windows(fits, found, kernels, hessians, cross, bent, kernel_shift.double(), zeros(blocks, size))


def _covariance(scored: Tensor, siblings: int) -> Tensor:
    """Covariance of s φ, (B, n, P), within groups of ``siblings`` neighbours, or within a block that is one group's."""
    blocks, count, size = scored.shape
    inside = min(siblings, count)
    groups = scored.view(blocks, -1, inside, size).mean(2)
    between = groups.mT @ groups / groups.shape[1]
    return (scored.mT @ scored / count - between) * (inside / (inside - 1))
