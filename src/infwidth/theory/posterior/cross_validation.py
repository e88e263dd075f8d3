"""Cross-validation by solving again: what the target predicts for samples that it was not given.

A sample leaves as its inverse temperature goes to 0, g_μ → 0. From the whole set's particles the duals of a fold are
taken away in steps that the particles can follow, and those of the other samples answer by Newton's method with
A = H + I/β. First order in the removal, r_F = ([A⁻¹]_FF)⁻¹ g_F, costs nothing and errs where features move.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from infwidth.theory.posterior.border import Border
from infwidth.theory.posterior.folds import FoldsLeftOut, diagonal, pairs_from_fold, pairs_from_whole, rows_of
from infwidth.theory.posterior.particles import Layer, Population, scored_features
from infwidth.theory.posterior.saddle import (
    LEAST_EFFECTIVE,
    MEMORY,
    SHORTEST,
    THINNER,
    THINNEST,
    TRUST,
    measure_fits,
    measure_hessian,
)
from infwidth.theory.posterior.windows import BLOCKS, Windows
from infwidth.theory.span import OutputSpan

POLISH, AVERAGE, SETTLE = 3, 12, 4
"""Newton steps once the fold is out, Robbins–Monro steps after them, and t0 of the latter's gain t0/(t0 + t)."""
SWEEPS = 12
"""Measurements at the final dual vector."""
MOST = 100
"""Steps allowed the removal of a fold."""


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
        frozen: whether the hidden weights do not respond to g (δ = ∞), so that first order is exact.
        basis: the directions of output space, (C, r); None of one output without an axis of its own.
        leave_each: whether to solve again without each sample of those folds alone, too.
    """
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
        found = _solve_without(
            population,
            layer,
            dual,
            hessian,
            labels,
            torch.from_numpy(np.isin(np.arange(size), out)).to(labels.device),
            generator,
            strength=strength,
            inverse_temperature=inverse_temperature,
            readout_precision=readout_precision,
        )
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
    dual: Tensor,
    hessian: Tensor,
    labels: Tensor,
    out: Tensor,
    generator: torch.Generator,
    *,
    strength: float,
    inverse_temperature: float,
    readout_precision: float,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """Residuals of the samples left out, in blocks, (B, n, …), the dual without them, as g, and H there of all samples.

    None where the neurons condense on the way.
    """
    population = population.copy(generator)
    scales = {"readout_precision": readout_precision, "strength": strength}
    dual, smooth, outputs = dual.clone(), hessian, dual[0].numel()
    gone = out.repeat_interleave(outputs)  # of all outputs of a sample
    kept = ~gone
    kappa = max(TRUST, 2 * labels.numel() / len(population.hidden))
    eye = torch.eye(int(kept.sum())).to(smooth) / inverse_temperature
    features, border = population.features(layer), Border(layer)
    border.look(population, features, dual)
    margin = border.margin(dual)
    polished = steps = 0
    while polished < POLISH + AVERAGE:
        averaging = polished >= POLISH
        gain = SETTLE / (SETTLE + polished - POLISH) if averaging else 1.0
        smooth = MEMORY * smooth + (1 - MEMORY) * measure_hessian(population, features, dual, **scales)
        fit = measure_fits(population, features, dual, readout_precision)
        errors = (labels - dual / inverse_temperature - fit).flatten()[kept]
        step = torch.where(gone, -dual.flatten(), 0.0)
        drag = smooth[kept][:, gone] @ step[gone]
        correction, answer = torch.linalg.solve(smooth[kept][:, kept] + eye, torch.stack([errors, -drag], 1)).unbind(1)
        step[kept] = answer
        speed = 0.5 * strength**2 * float(step @ smooth @ step)
        share = min(1.0, math.sqrt(kappa / speed)) if speed > 0 else 1.0
        step *= share
        step[kept] += gain * correction
        length = min(1.0, math.sqrt(kappa / max(0.5 * strength**2 * float(step @ smooth @ step), 1e-300)))
        step = step.view_as(dual)
        border.look(population, features, dual)
        while (ahead := border.margin(dual + length * step)) < max(THINNER * margin, THINNEST):
            length /= 2
            if length < SHORTEST:
                return None
        margin, moved = ahead, dual + length * step
        if share * length == 1.0:
            moved[out] = 0.0
            polished += 1
        steps += 1
        if steps > MOST:
            return None
        if not averaging:
            population.reweight(layer, features, dual, moved)
        dual = moved
        if population.effective() < LEAST_EFFECTIVE or (polished == POLISH and not averaging):
            population.resample()
        population.move(layer, dual)
        features = population.features(layer)
    fits = 0.0
    for _ in range(SWEEPS):
        population.move(layer, dual)
        features = population.features(layer)
        scored = scored_features(features, features @ dual.to(features.dtype))
        fits = fits + scored.view(BLOCKS, -1, labels.numel()).mean(1).double() / (SWEEPS * readout_precision)
    errors = ((labels - dual / inverse_temperature).flatten() - fits)[:, kept]
    moves = torch.linalg.solve(smooth[kept][:, kept] + eye, errors.T)
    dual.view(-1)[kept] += moves.mean(1)
    left = (labels.flatten() - fits)[:, gone] - (smooth[gone][:, kept] @ moves).T
    return left.view(BLOCKS, -1, *labels.shape[1:]), dual, smooth
