"""The exact course on frozen features, δ = ∞, where only the readout moves (docs/theory.md §2 "Limits")."""

from __future__ import annotations

import numpy as np


def frozen_course(
    kernel: np.ndarray,
    labels: np.ndarray,
    times: np.ndarray,
    *,
    readout_decay: float,
    initial_output: np.ndarray | None = None,
) -> np.ndarray:
    """Dual coefficients c(t) at δ = ∞, where df/dt = Φ(y − f) − λ_w f with frozen Φ.

    f(x, t) = e^{−λ_w t} f(x, 0) + Φ(x, X) c(t).

    Args:
        kernel: Φ = E φ(h̄)φ(h̄)ᵀ on the training inputs, (P, P).
        labels: y, (P,).
        times: times ≥ 0, inf allowed if λ_w > 0, (T,).
        readout_decay: λ_w.
        initial_output: f(X, 0), (P,); None is 0, that of fresh readouts.

    Returns:
        c(t), (T, P); of fresh readouts it is the same at every strength γ.
    """
    values, modes = np.linalg.eigh(kernel)
    rates = np.maximum(values, 0.0) + readout_decay
    # ∫₀ᵗ e^{−λ_w(t−t')} Δ dt' along each mode: (1 − e^{−rate·t})/rate, or t for a mode that does not decay.
    times = np.asarray(times, dtype=np.float64)[:, None]
    moving = rates > 0
    with np.errstate(invalid="ignore"):
        grown = np.where(moving, -np.expm1(-rates * times) / np.where(moving, rates, 1.0), times)
    driven = grown * (modes.T @ labels)
    if initial_output is not None:
        # ∫₀ᵗ e^{−rate(t−t')} e^{−λ_w t'} dt' = e^{−λ_w t} (1 − e^{−φt})/φ: what f(0), decaying, takes off the labels
        own = np.maximum(values, 0.0)
        left = faded(times, readout_decay)
        with np.errstate(invalid="ignore"):
            lasting = np.where(own > 0, -np.expm1(-own * times) / np.where(own > 0, own, 1.0), times)
            driven = driven - np.where(left > 0, left * lasting, 0.0) * (modes.T @ initial_output)
    return driven @ modes.T


def faded(times: np.ndarray, decay: float) -> np.ndarray:
    """e^{−λ_w t}, what is left of an initial output at times that may be infinite; 1 without decay."""
    return np.exp(-decay * times) if decay else np.ones_like(times)
