"""The exact course on frozen features, δ = ∞, where only the readout moves (docs/theory.md §2 "Limits")."""

from __future__ import annotations

import numpy as np


def frozen_course(kernel: np.ndarray, labels: np.ndarray, times: np.ndarray, *, readout_decay: float) -> np.ndarray:
    """Dual coefficients c(t) at δ = ∞, where df/dt = Φ(y − f) − λ_w f with frozen Φ and f(x, t) = Φ(x, X) c(t).

    Args:
        kernel: Φ = E φ(h̄)φ(h̄)ᵀ on the training inputs, (P, P).
        labels: y, (P,).
        times: times ≥ 0, inf allowed if λ_w > 0, (T,).
        readout_decay: λ_w.

    Returns:
        c(t), (T, P), whatever the strength γ: f starts at 0.
    """
    values, modes = np.linalg.eigh(kernel)
    rates = np.maximum(values, 0.0) + readout_decay
    # ∫₀ᵗ e^{−λ_w(t−t')} Δ dt' along each mode: (1 − e^{−rate·t})/rate, or t for a mode that does not decay.
    times = np.asarray(times, dtype=np.float64)[:, None]
    moving = rates > 0
    with np.errstate(invalid="ignore"):
        grown = np.where(moving, -np.expm1(-rates * times) / np.where(moving, rates, 1.0), times)
    return (grown * (modes.T @ labels)) @ modes.T
