"""The exact course on frozen features, δ = ∞, where only the readout moves (docs/theory.md §2 "Limits")."""

from __future__ import annotations

import math

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
        c(t), (T, P); of fresh readouts it is the same at every strength γ. Where the decay is below rounding it is 0
        along modes of Φ that are, which no output sees.
    """
    values, modes = np.linalg.eigh(kernel)
    rounding = np.finfo(np.float64).eps * len(values)
    if readout_decay <= math.sqrt(rounding) * values[-1]:
        # What features can't express has an eigenvalue of rounding alone, which long times would make an output.
        rank = np.count_nonzero(values > rounding * values[-1])
        values, modes = values[len(values) - rank :], modes[:, len(values) - rank :]
    values, times = np.maximum(values, 0.0), np.asarray(times, dtype=np.float64)[:, None]
    rates = values + readout_decay
    # ∫₀ᵗ e^{−λ_w(t−t')} Δ dt' along each mode: (1 − e^{−rate·t})/rate
    driven = -np.expm1(-rates * times) / rates * (modes.T @ labels)
    if initial_output is not None:
        # ∫₀ᵗ e^{−rate(t−t')} e^{−λ_w t'} dt' = e^{−λ_w t} (1 − e^{−φt})/φ: what f(0), decaying, takes off the labels
        left, flat = faded(times, readout_decay), values == 0
        with np.errstate(invalid="ignore"):
            lasting = np.where(flat, times, -np.expm1(-values * times) / np.where(flat, 1.0, values))
            driven = driven - np.where(left > 0, left * lasting, 0.0) * (modes.T @ initial_output)
    return driven @ modes.T


def faded(times: np.ndarray, decay: float) -> np.ndarray:
    """e^{−λ_w t}, what is left of an initial output at times that may be infinite; 1 without decay."""
    return np.exp(-decay * times) if decay else np.ones_like(times)
