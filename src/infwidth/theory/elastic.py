"""The two combinations in which decay ½λ_W|W|² and elastic tie ½δ|W − W̄|² enter (docs/theory.md §1 and §2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def stiffness(hidden_decay: ArrayLike, elastic_coupling: ArrayLike) -> float | np.ndarray:
    """L = λ_W + δ, the rate at which W returns to δW̄/L; inf where δ is."""
    return hidden_decay + elastic_coupling


def pull(hidden_decay: ArrayLike, elastic_coupling: ArrayLike) -> float | np.ndarray:
    """δ/L, the share of the anchor W̄ that W returns to: 0 without coupling, 1 at δ = ∞ (or without decay)."""
    tied = np.asarray(elastic_coupling, dtype=np.float64)
    with np.errstate(invalid="ignore"):  # 0/0 and ∞/∞, which the cases below answer
        share = tied / stiffness(np.asarray(hidden_decay, dtype=np.float64), tied)
    return np.where(np.isinf(tied), 1.0, np.where(tied == 0, 0.0, share))[()]
