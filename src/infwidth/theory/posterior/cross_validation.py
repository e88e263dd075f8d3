"""Cross-validation by solving again: what the target predicts for samples that it was not given.

A fold is left out by a solution of its own, from the prior around the same source particles. From the whole set's
particles the samples could be taken away in steps, too, but neurons that they have drawn across a barrier come back
too slowly, and remember (docs/trust.md). First order in the removal, r_F = ([A⁻¹]_FF)⁻¹ g_F with
A = H + I/β, costs nothing and errs where features move.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.status import Status
from infwidth.theory.posterior.folds import FoldsLeftOut, diagonal, pairs_from_fold, pairs_from_whole, rows_of
from infwidth.theory.posterior.particles import Layer, Population, scored_features
from infwidth.theory.posterior.saddle import descend, measure_hessian
from infwidth.theory.posterior.windows import BLOCKS, Windows
from infwidth.theory.span import OutputSpan

POLISH, AVERAGE = 3, 12
"""Newton steps at the full labels, and Robbins–Monro steps after them: few, as one more step is taken at the end."""
SWEEPS, CURVED = 12, 3
"""Measurements at a fold's solution, and every which of them is one of H, too."""


def leave_folds_out(
    population: Population,
    layer: Layer,
    dual: Tensor,
    averages: Windows,
    labels: Tensor,
    folds: np.ndarray,
    folds_solved: int,
    generator: torch.Generator,
    *,
    strength: float,
    inverse_temperature: float,
    readout_precision: float,
    descent: Mapping[str, Any],
    frozen: bool = False,
    basis: Tensor | None = None,
    leave_each: bool = False,
) -> FoldsLeftOut:
    """Leave each fold out, the first ``folds_solved`` of them by solving again.

    The draw of W̄ that the particles are tied to is that of the whole set's solution, whose correction for it is
    taken over by first order.

    Args:
        population: particles at equilibrium with g; unchanged.
        layer: the tilt.
        dual: g, (P,), or (P, r) in r directions of output space.
        averages: averages at g.
        labels: y, as g.
        folds: the fold 0, 1, … of each sample, (P,).
        folds_solved: folds to solve again.
        generator: the random stream.
        strength: γ.
        inverse_temperature: β.
        readout_precision: λ_w.
        descent: further arguments of :func:`~infwidth.theory.posterior.saddle.descend`.
        frozen: whether the hidden weights do not respond to g (δ = ∞), so that first order is exact.
        basis: the directions of output space, (C, r); None of one output without an axis of its own.
        leave_each: whether to solve again without each sample of those folds alone, too.
    """
    scales = {"strength": strength, "inverse_temperature": inverse_temperature, "readout_precision": readout_precision}
    hessian, shape = averages.hessians.mean(0), tuple(labels.shape)
    ridge = torch.eye(labels.numel()).to(hessian) / inverse_temperature
    errors = (labels - dual / inverse_temperature).flatten() - averages.fits.mean((0, 1))
    inverse = torch.linalg.inv(hessian + ridge)
    moves = inverse @ torch.stack([errors, errors - averages.correction.mean(0)], 1)
    raw, better = (dual + move.view_as(dual) for move in moves.unbind(1))
    linearised, uncorrected = (
        pairs_from_whole(g.cpu().numpy(), hessian.cpu().numpy(), inverse_temperature) for g in (better, raw)
    )
    size, outputs = len(labels), dual[0].numel()
    expand = OutputSpan(labels.cpu().numpy(), None if basis is None else basis.cpu().numpy()).expand
    residuals, pairs = np.full(shape, np.nan), np.full((size, *shape), np.nan)
    stderr = np.full(shape if basis is None else (size, len(basis)), np.nan)
    outs = [np.flatnonzero(folds == fold) for fold in range(folds.max() + 1)]

    if frozen:
        inverse = inverse.cpu().numpy()
        for out in outs:
            rows = rows_of(out, outputs)
            duals = better.cpu().numpy()[out]
            residuals[out] = np.linalg.solve(inverse[np.ix_(rows, rows)], duals.ravel()).reshape(duals.shape)
        linearised = expand(linearised)
        return FoldsLeftOut(expand(residuals), np.zeros(stderr.shape), linearised, linearised)
    shift = diagonal(linearised - uncorrected)

    def without(out: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Residuals of samples left out, in blocks, and their rows of pairs."""
        stays = torch.from_numpy(~np.isin(np.arange(size), out)).to(labels.device)
        found = _solve_without(population, layer, labels, stays, generator, **scales, **descent)
        if found is None:
            return None
        blocks, *rest = (array.cpu().numpy() for array in found)
        blocks = blocks + shift[out]
        return blocks, pairs_from_fold(blocks.mean(0), *rest, inverse_temperature, out)

    for out in outs[:folds_solved]:
        singles = out[:, None] if leave_each and len(out) > 1 else ()
        found, *each = (without(samples) for samples in (out, *singles))
        if found is None or None in each:
            continue
        residuals[out], pairs[out] = found[0].mean(0), found[1]
        stderr[out] = expand(found[0]).std(0) / math.sqrt(BLOCKS)
        for sample, (_, row) in zip(singles, each, strict=True):
            pairs[sample] = row
    return FoldsLeftOut(expand(residuals), stderr, expand(pairs), expand(linearised))


def _solve_without(
    population: Population,
    layer: Layer,
    labels: Tensor,
    stays: Tensor,
    generator: torch.Generator,
    *,
    inverse_temperature: float,
    **scales: Any,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Residuals of all samples but those that stay, in blocks, (B, n, …), the dual without them, as g, and H of all.

    None where there is no solution without them.
    """
    population = Population.prior(
        population.centre, len(population.hidden), population.siblings, layer.stiffness, generator
    )
    fewer = dataclasses.replace(layer, inputs=layer.inputs[stays])
    length = {"polish": POLISH, "average": AVERAGE}
    saddle = descend(fewer, population, labels[stays], inverse_temperature=inverse_temperature, **length, **scales)
    if saddle.status is not Status.CONVERGED:
        return None
    population.forget_points()
    dual, hessian, fits = torch.zeros_like(labels), 0.0, 0.0
    dual[stays] = saddle.dual
    kind = {name: scales[name] for name in ("strength", "readout_precision")}
    for sweep in range(SWEEPS):
        population.move(layer, dual)
        features = population.features(layer)
        scored = scored_features(features, features @ dual.to(features.dtype))
        fits = fits + scored.view(BLOCKS, -1, labels.numel()).mean(1).double() / (SWEEPS * kind["readout_precision"])
        if sweep % CURVED == 0:
            hessian = hessian + measure_hessian(population, features, dual, **kind) * (CURVED / SWEEPS)
    kept = stays.repeat_interleave(dual[0].numel())  # of all outputs of a sample
    errors = ((labels - dual / inverse_temperature).flatten() - fits)[:, kept]
    eye = torch.eye(int(kept.sum())).to(hessian) / inverse_temperature
    moves = torch.linalg.solve(hessian[kept][:, kept] + eye, errors.T)
    dual.view(-1)[kept] += moves.mean(1)
    left = (labels.flatten() - fits)[:, ~kept] - (hessian[~kept][:, kept] @ moves).T
    return left.view(BLOCKS, -1, *labels.shape[1:]), dual, hessian
