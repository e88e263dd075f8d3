"""The log-evidence per neuron, −S(g) of docs/theory.md §1 eq. (5), by thermodynamic integration."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from infwidth.theory.posterior.particles import Layer, Population, squared
from infwidth.theory.posterior.windows import BLOCKS

NODES = 6
"""Gauss–Legendre nodes in the strength u of the tilt."""
SETTLING, MEASURED = 4, 2
"""Moves after a change of u, and moves measured, at each node."""


def log_evidence_density(
    population: Population,
    layer: Layer,
    dual: Tensor,
    labels: Tensor,
    *,
    strength: float,
    inverse_temperature: float,
    readout_precision: float,
    frozen: bool = False,
) -> tuple[float, float]:
    """Return −S(g) and its standard error from blocks of particles.

    S(g) = γ²g·y − γ²|g|²/(2β) − Λ(g). With the tilt raised to the power u, Λ = ½(γ²/λ_w) ∫₀¹ E_u(g·φ)² du: the
    particles follow u from 1 down to 0, drawn anew by their weights as it falls, since moves alone would leave too many
    in modes far out, where they began. S is largest at g*, so an error of g enters in second order only.

    Args:
        population: particles at equilibrium with g; they end near the prior.
        layer: the tilt.
        dual: g, (P,), or (P, C) of C outputs.
        labels: y, as g.
        strength: γ.
        inverse_temperature: β.
        readout_precision: λ_w.
        frozen: whether the hidden weights do not respond to g (δ = ∞), so that E_u does not depend on u.
    """

    def squares() -> np.ndarray:
        score = population.features(layer) @ dual.to(population.hidden.dtype)
        return squared(score).view(BLOCKS, -1).mean(1).double().cpu().numpy()

    if frozen:
        found = squares()
    else:
        roots, weights = np.polynomial.legendre.leggauss(NODES)
        found, before = np.zeros(BLOCKS), dual
        population.siblings = min(population.siblings, len(population.hidden) // BLOCKS)  # blocks stay independent
        for root, weight in zip(roots[::-1], weights[::-1], strict=True):
            tilt = math.sqrt((1 + root) / 2) * dual
            population.reweight(layer, population.features(layer), before, tilt)
            population.resample()
            before = tilt
            for _ in range(SETTLING):
                population.move(layer, tilt)
            for _ in range(MEASURED):
                population.move(layer, tilt)
                found += weight / 2 * squares() / MEASURED
    rate = strength**2 / readout_precision
    linear = strength**2 * float((dual * labels).sum() - dual.square().sum() / (2 * inverse_temperature))
    value, error = found.mean(), found.std(ddof=1) / math.sqrt(BLOCKS)
    return 0.5 * rate * float(value) - linear, 0.5 * rate * float(error)
