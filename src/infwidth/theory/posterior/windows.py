"""Averages over a population at a fixed dual vector, in independent blocks, and the answer they imply."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.numerics.batching import working_set
from infwidth.theory.posterior.particles import Layer, Population, of_outputs, scored_features

BLOCKS = 16
SWEEPS = 20
"""Measurements at the final dual vector."""
CROSSED = 10
"""Every which of them includes what test points have in common with training points: it only multiplies what f̂ leaves
on these, so that its noise enters in second order."""


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
        test_correction: the same of ``test_fits``, (B, Pt).
    """

    fits: Tensor
    test_fits: Tensor
    kernels: Tensor
    hessians: Tensor
    cross_kernel: Tensor
    cross_hessian: Tensor
    kernel_shift: Tensor
    correction: Tensor
    test_correction: Tensor


def features_outside(
    hidden: Tensor, layer: Layer, test_points: tuple[Tensor, Tensor], generator: torch.Generator
) -> Iterator[tuple[int, slice, Tensor]]:
    """Yield φ(h) of each block of particles (S, d) on some test points, with the block and which points they are.

    As many as the cache holds at once, (S/B, n); ``test_points`` are as in ``observe_windows``.
    """
    inputs, spread = test_points
    noisy = bool((spread > 0).any())
    for block, particles in enumerate(hidden.chunk(BLOCKS)):
        size = max(1, working_set(hidden) // len(particles))
        for start in range(0, len(inputs), size):
            part = slice(start, start + size)
            field = particles @ inputs[part].T
            if noisy:
                noise = torch.randn(field.shape, generator=generator, dtype=field.dtype, device=field.device)
                field += spread[part] * noise
            yield block, part, layer.activation.value(field)


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
        sweeps: measurements, even; every second one includes the test points, every ``CROSSED``-th, from the last one
            back, their products with the training points.
        strength: γ.
        inverse_temperature: β.
        readout_precision: λ_w.
        frozen: whether the hidden weights do not respond to g (δ = ∞).

    Returns:
        The averages.
    """
    samples, points = len(labels), len(test_points[0])
    blocks, r, outputs = BLOCKS, population.siblings, dual[0].numel()
    size, zeros = samples * outputs, labels.new_zeros
    fits, kernels = zeros(2, blocks, size), zeros(blocks, samples, samples)
    found, cross, bent = zeros(blocks, points, outputs), zeros(points, samples), zeros(points * outputs, size)
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
        if sweep % 2 and points:
            crossed = (sweeps - 1 - sweep) % CROSSED == 0
            seen = _at_test_points(population, layer, features, score, test_points, crossed, bend=not frozen)
            found += seen[0] / (readout_precision * (sweeps // 2))
            if crossed:
                share = 1 / len(range(sweeps - 1, -1, -CROSSED))
                cross += seen[1] * share
                bent += seen[2] * (factor * share)
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
    nothing = zeros(blocks, size), zeros(blocks, points * outputs)
    return Windows(fits, found.flatten(1), kernels, hessians, cross, bent, kernel_shift.double(), *nothing)


def _at_test_points(
    population: Population,
    layer: Layer,
    features: Tensor,
    score: Tensor,
    test_points: tuple[Tensor, Tensor],
    crossed: bool,
    *,
    bend: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Averages of φ(x) of test points: times s in blocks, (B, Pt, C); if ``crossed`` times φ on the training points,
    (Pt, P), and, to ``bend`` these, covariances of the two within groups, each times s, (PtC, PC).
    """
    points, (count, samples), r = len(test_points[0]), features.shape, population.siblings
    outputs = score[0].numel()
    size, score = samples * outputs, score.view(count, outputs)
    means = score.new_zeros(BLOCKS, points, outputs)
    cross, covariance = score.new_zeros(points, samples), score.new_zeros(points, outputs, size)
    if crossed and bend:
        # s times what sφ is beyond its group's mean: with φ(x) of test points it makes their covariance
        scored = scored_features(features, score.squeeze(1))
        beyond = scored - scored.view(-1, r, size).mean(1).repeat_interleave(r, 0)
        beyond = (score.view(count, outputs, 1) * beyond[:, None]).flatten(1).chunk(BLOCKS)
    scores, known = score.chunk(BLOCKS), features.chunk(BLOCKS)
    for block, part, outside in features_outside(population.hidden, layer, test_points, population.generator):
        means[block, part] = outside.T @ scores[block] / len(outside)
        if crossed:
            cross[part] += outside.T @ known[block]
        if crossed and bend:
            covariance[part] += (outside.T @ beyond[block]).view(-1, outputs, size)
    return means, cross / count, covariance.view(-1, size) * (r / (count * max(r - 1, 1)))


def _covariance(scored: Tensor, siblings: int) -> Tensor:
    """Covariance of s φ, (B, n, P), within groups of ``siblings`` neighbours, or within a block that is one group's."""
    blocks, count, size = scored.shape
    inside = min(siblings, count)
    groups = scored.view(blocks, -1, inside, size).mean(2)
    between = groups.mT @ groups / groups.shape[1]
    return (scored.mT @ scored / count - between) * (inside / (inside - 1))
