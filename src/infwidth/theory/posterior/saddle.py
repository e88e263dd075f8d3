"""The dual vector of one posterior by Newton's method on moving particles (docs/theory.md §1 eqs. (1), (5), (5a))."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.numerics.status import Status
from infwidth.theory.posterior.particles import Layer, Population, of_outputs, scored_features, squared

TRUST = 0.05
"""Largest Kullback–Leibler divergence of a step's tilt from the last one's, per neuron, at many particles."""
LEAST_EFFECTIVE = 0.8
POLISH, AVERAGE, SETTLE = 10, 50, 8
"""Newton steps at the full labels, Robbins–Monro steps after them, and t0 of the latter's gain t0/(t0 + t)."""
MEMORY = 0.7
"""Weight of the past in the running average of H."""
THINNEST, THINNER = 0.02, 0.6
"""Domain margin q below which the neurons condense (1/q is their norms' variance over the prior's), and the least
fraction of q that a step may leave."""
SHORTEST, PATIENCE = 1e-3, 12
"""Least fraction of a step worth taking, and steps in a row that may fail to find one."""


CAREFUL = {"trust": 0.02, "moves": 4}
"""How a saddle point is solved again whose averages drift: where neurons pass slowly between modes (rich erf networks
on images) particles lag behind g, and what they leave grows from sweep to sweep."""


@dataclass
class Moments:
    """Averages over a population at fixed g.

    Attributes:
        kernel: Φ on the training points, (P, P).
        hessian: H of eq. (5a), (P, P); of C outputs, the fastest running, (PC, PC).
    """

    kernel: Tensor
    hessian: Tensor


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


def measure(
    population: Population, features: Tensor, dual: Tensor, *, readout_precision: float, strength: float
) -> Moments:
    """Φ and H from features (S, P) of the particles; covariances are taken within groups."""
    weights, r, dual = population.weights(), population.siblings, dual.to(features.dtype)
    kernel = (weights[:, None] * features).T @ features
    scored = scored_features(features, features @ dual)
    weighted = weights[:, None] * scored
    second = weighted.T @ scored
    groups = weighted.view(-1, r, dual.numel()).sum(1) * (len(scored) / r)
    between = groups.T @ groups / len(groups)
    covariance = (second - between) * (r / (r - 1))
    hessian = of_outputs(kernel, dual) / readout_precision + (strength / readout_precision) ** 2 * covariance
    return Moments(kernel.double(), hessian.double())


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
        trace: called as trace(τ, g) after every step of the homotopy.

    Returns:
        The dual vector, the particles being at equilibrium with it.
    """
    scales = {"readout_precision": readout_precision, "strength": strength}
    size = labels.numel()
    kappa = max(trust, 2 * size / len(population.hidden))
    eye = torch.eye(size, dtype=labels.dtype, device=labels.device) / inverse_temperature
    dual, tau, smooth, margin = torch.zeros_like(labels), 0.0, None, 1.0
    features = population.features(layer)
    status, step_count, polished, stuck = Status.CONVERGED, 0, 0, 0

    def starts() -> Tensor:
        score = squared(features @ dual.to(features.dtype)).sqrt() / population.hidden.norm(dim=1)
        return population.hidden[score.topk(min(32, len(score))).indices]

    while polished < POLISH + AVERAGE:
        moments = measure(population, features, dual, **scales)
        averaging = polished > POLISH
        gain = SETTLE / (SETTLE + polished - POLISH) if averaging else 1.0
        memory = MEMORY if not averaging else 1 - gain
        smooth = moments.hessian if smooth is None else memory * smooth + (1 - memory) * moments.hessian
        fit = moments.kernel @ dual / readout_precision
        factor = torch.linalg.cholesky(smooth + eye)
        slope, ahead = torch.cholesky_solve(
            torch.stack([tau * labels - dual / inverse_temperature - fit, labels]).view(2, -1).T, factor
        ).unbind(1)
        speed = 0.5 * strength**2 * float(ahead @ smooth @ ahead)
        rise = min(1 - tau, math.sqrt(kappa / speed) if speed > 0 else 1.0)
        step = gain * slope + rise * ahead
        length = min(1.0, math.sqrt(kappa / max(0.5 * strength**2 * float(step @ smooth @ step), 1e-300)))
        candidates = starts()
        while (ahead_margin := layer.margin(dual + length * step.view_as(dual), candidates)) < max(
            THINNER * margin, THINNEST
        ):
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
        if population.effective() < LEAST_EFFECTIVE or (polished == POLISH and not averaging):
            population.resample()
        for _ in range(moves):
            population.move(layer, dual)
        features = population.features(layer)
        if trace is not None:
            trace(tau, dual)
    return Saddle(dual, smooth, margin, step_count, status)
