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

from infwidth.theory.posterior.folds import FoldsLeftOut, pairs_from_fold, pairs_from_whole
from infwidth.theory.posterior.particles import Layer, Population
from infwidth.theory.posterior.saddle import (
    LEAST_EFFECTIVE,
    MEMORY,
    SHORTEST,
    THINNER,
    THINNEST,
    TRUST,
    measure,
)
from infwidth.theory.posterior.windows import BLOCKS, Windows

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
) -> FoldsLeftOut:
    """Leave each fold out, the first ``folds_solved`` of them by solving again.

    The draw of W̄ that the particles are tied to is that of the whole set's solution, whose correction for it is
    taken over by first order.

    Args:
        population: particles at equilibrium with g; unchanged.
        layer: the tilt.
        dual: g, (P,).
        averages: averages at g.
        labels: y, (P,).
        folds: the fold 0, 1, … of each sample, (P,).
        folds_solved: folds to solve again.
        generator: the random stream.
        strength: γ.
        inverse_temperature: β.
        readout_precision: λ_w.
        frozen: whether the hidden weights do not respond to g (δ = ∞), so that first order is exact.
    """
    hessian = averages.hessians.mean(0)
    ridge = torch.eye(len(labels)).to(hessian) / inverse_temperature
    errors = (labels - dual / inverse_temperature - averages.fits.mean(0)).mean(0)
    inverse = torch.linalg.inv(hessian + ridge)
    raw, better = dual + inverse @ errors, dual + inverse @ (errors - averages.correction.mean(0))

    linearised, uncorrected = (
        pairs_from_whole(g.cpu().numpy(), hessian.cpu().numpy(), inverse_temperature) for g in (better, raw)
    )
    size = len(labels)
    residuals, stderr, pairs = (np.full(shape, np.nan) for shape in (size, size, (size, size)))
    outs = [np.flatnonzero(folds == fold) for fold in range(folds.max() + 1)]
    if frozen:
        inverse = inverse.cpu().numpy()
        for out in outs:
            residuals[out] = np.linalg.solve(inverse[np.ix_(out, out)], better.cpu().numpy()[out])
        return FoldsLeftOut(residuals, np.zeros(size), linearised, linearised)
    shift = np.diagonal(linearised - uncorrected)
    for out in outs[:folds_solved]:
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
        if found is not None:
            blocks, *rest = (array.cpu().numpy() for array in found)
            residuals[out] = blocks.mean(0) + shift[out]
            stderr[out] = blocks.std(0) / math.sqrt(BLOCKS)
            pairs[out] = pairs_from_fold(residuals[out], *rest, inverse_temperature, out)
    return FoldsLeftOut(residuals, stderr, pairs, linearised)


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
    """Residuals of the samples left out, in blocks, (B, n), the dual without them, (P,), and H there of all samples.

    None where the neurons condense on the way.
    """
    population = population.copy(generator)
    scales = {"readout_precision": readout_precision, "strength": strength}
    kept, dual, smooth = ~out, dual.clone(), hessian
    kappa = max(TRUST, 2 * len(labels) / len(population.hidden))
    eye = torch.eye(int(kept.sum())).to(smooth) / inverse_temperature
    features = population.features(layer)
    margin = layer.margin(dual, population.hidden[:32])
    polished = steps = 0
    while polished < POLISH + AVERAGE:
        moments = measure(population, features, dual, **scales)
        averaging = polished >= POLISH
        gain = SETTLE / (SETTLE + polished - POLISH) if averaging else 1.0
        smooth = MEMORY * smooth + (1 - MEMORY) * moments.hessian
        errors = (labels - dual / inverse_temperature - moments.kernel @ dual / readout_precision)[kept]
        step = torch.where(out, -dual, 0.0)
        drag = smooth[kept][:, out] @ step[out]
        correction, answer = torch.linalg.solve(smooth[kept][:, kept] + eye, torch.stack([errors, -drag], 1)).unbind(1)
        step[kept] = answer
        speed = 0.5 * strength**2 * float(step @ smooth @ step)
        share = min(1.0, math.sqrt(kappa / speed)) if speed > 0 else 1.0
        step *= share
        step[kept] += gain * correction
        length = min(1.0, math.sqrt(kappa / max(0.5 * strength**2 * float(step @ smooth @ step), 1e-300)))
        score = (features @ dual.to(features.dtype)).abs() / population.hidden.norm(dim=1)
        starts = population.hidden[score.topk(32).indices]
        while (ahead := layer.margin(dual + length * step, starts)) < max(THINNER * margin, THINNEST):
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
        scored = features * (features @ dual.to(features.dtype))[:, None]
        fits = fits + scored.view(BLOCKS, -1, len(dual)).mean(1).double() / (SWEEPS * readout_precision)
    errors = (labels - dual / inverse_temperature - fits)[:, kept]
    moves = torch.linalg.solve(smooth[kept][:, kept] + eye, errors.T)
    dual[kept] += moves.mean(1)
    return (labels - fits)[:, out] - (smooth[out][:, kept] @ moves).T, dual, smooth
