"""The dual vector of one posterior by Newton's method on moving particles (docs/theory.md §1 eqs. (1), (5), (5a))."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.numerics.status import Status
from infwidth.theory.posterior.border import Border
from infwidth.theory.posterior.particles import Layer, Population, of_outputs, scored_features

TRUST = 0.05
"""Largest Kullback–Leibler divergence of a step's tilt from the last one's, per neuron, at many particles."""
LEAST_EFFECTIVE = 0.8
POLISH, AVERAGE, SETTLE = 10, 50, 8
"""Newton steps at the full labels, Robbins–Monro steps after them, and t0 of the latter's gain t0/(t0 + t)."""
CURVED = 5
"""Every which of the latter measures H, which bends their direction only."""
MEMORY = 0.7
"""Weight of the past in the running average of H."""
THINNEST, THINNER = 0.02, 0.6
"""Domain margin q below which the neurons condense (1/q is their norms' variance over the prior's), and the least
fraction of q that a step may leave."""
SHORTEST, PATIENCE = 1e-3, 12
"""Least fraction of a step worth taking, and steps in a row that may fail to find one."""


CAREFUL = {"trust": 0.02, "moves": 4, "jumps": True}
"""How a saddle point is solved again whose averages drift: where neurons pass slowly between modes (rich erf networks)
particles lag behind g, and what they leave grows from sweep to sweep."""


@dataclass
class Saddle:
    """Where the iteration on g ended.

    Attributes:
        dual: g, (P,), or (P, C) as the labels.
        hessian: the running average of H, (P, P) or (PC, PC).
        margin: q.
        iterations: steps of homotopy, polishing and averaging.
        status: CONVERGED if the full labels were reached, CONDENSED if q vanished on the way, else STALLED.
    """

    dual: Tensor
    hessian: Tensor
    margin: float
    iterations: int
    status: Status


def measure_fits(population: Population, features: Tensor, dual: Tensor, readout_precision: float) -> Tensor:
    """f̂ = Φg/λ_w from features (S, P) of the particles, as g."""
    score = features @ dual.to(features.dtype)
    weighted = population.weights().view(-1, *[1] * (score.ndim - 1)) * score
    return (features.T @ weighted).double() / readout_precision


def measure_hessian(
    population: Population, features: Tensor, dual: Tensor, *, readout_precision: float, strength: float
) -> Tensor:
    """H of eq. (5a), (P, P), or (PC, PC), from features (S, P) of the particles; covariances are within groups."""
    weights, r, dual = population.weights(), population.siblings, dual.to(features.dtype)
    kernel = (weights[:, None] * features).T @ features
    scored = scored_features(features, features @ dual)
    weighted = weights[:, None] * scored
    second = weighted.T @ scored
    groups = weighted.view(-1, r, dual.numel()).sum(1) * (len(scored) / r)
    between = groups.T @ groups / len(groups)
    covariance = (second - between) * (r / (r - 1))
    hessian = of_outputs(kernel, dual) / readout_precision + (strength / readout_precision) ** 2 * covariance
    return hessian.double()


def descend(
    layer: Layer,
    population: Population,
    labels: Tensor,
    *,
    strength: float,
    inverse_temperature: float,
    readout_precision: float = 1.0,
    max_iterations: int = 300,
    trust: float = TRUST,
    moves: int = 1,
    jumps: bool = False,
    polish: int = POLISH,
    average: int = AVERAGE,
    trace: Callable[[float, Tensor], None] | None = None,
) -> Saddle:
    """Raise the labels from 0 to y, follow the maximiser g of S, then average it.

    A Newton step solves (H + I/β) Δg = τy − g/β − f̂ + dτ y; its length is limited by ½γ²Δgᵀ H Δg, the divergence
    between the tilted laws, because H is trusted no farther and the particles must follow.

    Args:
        layer: the tilt.
        population: particles distributed as the prior; they are moved.
        labels: y, (P,), or (P, C) of C outputs.
        strength: γ.
        inverse_temperature: β.
        readout_precision: λ_w.
        max_iterations: steps allowed the homotopy.
        trust: κ, the largest divergence of a step; at least 2P/S is allowed.
        moves: of the particles after each step.
        jumps: whether they jump between modes on the way, too; at its end modes are looked for anyway.
        polish: Newton steps at the full labels.
        average: Robbins–Monro steps after them.
        trace: called as trace(τ, g) after every step of the homotopy.

    Returns:
        The dual vector, the particles being at equilibrium with it.
    """
    size = labels.numel()
    kappa = max(trust, 2 * size / len(population.hidden))
    eye = torch.eye(size, dtype=labels.dtype, device=labels.device) / inverse_temperature
    dual, tau, smooth, margin = torch.zeros_like(labels), 0.0, None, 1.0
    features, border = population.features(layer), Border(layer)
    status, step_count, polished, stuck = Status.CONVERGED, 0, 0, 0

    while polished < polish + average:
        averaging = polished > polish
        gain = SETTLE / (SETTLE + polished - polish) if averaging else 1.0
        if not averaging or (polished - polish) % CURVED == 0:
            hessian = measure_hessian(
                population, features, dual, readout_precision=readout_precision, strength=strength
            )
            memory = MEMORY if not averaging else 1 - gain
            smooth = hessian if smooth is None else memory * smooth + (1 - memory) * hessian
            factor = torch.linalg.cholesky(smooth + eye)
        fit = measure_fits(population, features, dual, readout_precision)
        slope, ahead = torch.cholesky_solve(
            torch.stack([tau * labels - dual / inverse_temperature - fit, labels]).view(2, -1).T, factor
        ).unbind(1)
        speed = 0.5 * strength**2 * float(ahead @ smooth @ ahead)
        rise = min(1 - tau, math.sqrt(kappa / speed) if speed > 0 else 1.0)
        step = gain * slope + rise * ahead
        length = min(1.0, math.sqrt(kappa / max(0.5 * strength**2 * float(step @ smooth @ step), 1e-300)))
        border.look(population, features, dual)
        while (ahead_margin := border.margin(dual + length * step.view_as(dual))) < max(THINNER * margin, THINNEST):
            length /= 2
            if length < SHORTEST:
                length = 0.0
                break
        step_count += 1
        # A step that noise turned against the border is tried again with moved particles; many are no noise.
        stuck = 0 if length else stuck + 1
        if stuck == PATIENCE:
            status = Status.CONDENSED
            break
        margin = ahead_margin if length else margin
        tau = 1.0 if rise * length >= 1 - tau else tau + rise * length
        polished += tau == 1.0 and length > 0
        if tau < 1 and step_count >= max_iterations:
            status = Status.STALLED
            break
        moved = dual + length * step.view_as(dual)
        if not averaging:
            population.reweight(layer, features, dual, moved)
        dual = moved
        if population.effective() < LEAST_EFFECTIVE or (polished == polish and not averaging):
            population.resample()
        if jumps:
            population.find_modes(layer, dual)
        for _ in range(moves):
            population.move(layer, dual)
        features = population.features(layer)
        if trace is not None:
            trace(tau, dual)
    population.find_modes(layer, dual)
    return Saddle(dual, smooth, margin, step_count, status)
