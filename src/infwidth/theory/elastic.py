"""The two combinations in which decay ½λ_W|W|² and elastic tie ½δ|W − W̄|² enter (docs/theory.md §1 and §2)."""

from __future__ import annotations

import math


def stiffness(hidden_decay: float, elastic_coupling: float) -> float:
    """L = λ_W + δ, the rate at which W returns to δW̄/L; inf where δ is."""
    return hidden_decay + elastic_coupling


def pull(hidden_decay: float, elastic_coupling: float) -> float:
    """δ/L, the share of the anchor W̄ that W returns to: 0 without coupling, 1 at δ = ∞ (or without decay)."""
    if math.isinf(elastic_coupling):
        return 1.0
    return elastic_coupling / stiffness(hidden_decay, elastic_coupling) if elastic_coupling else 0.0
