"""The lazy limit of the mean-field dynamics, γ → 0, which is linear in f (docs/theory.md §2 "Limits")."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp


def lazy_course(
    feature_kernel: np.ndarray,
    tangent_kernel: np.ndarray,
    labels: np.ndarray,
    times: np.ndarray,
    *,
    readout_decay: float,
    hidden_decay: float,
    rtol: float = 1e-9,
) -> np.ndarray:
    """f(t) as γ → 0 at fixed t, for δ = 0 and 1-homogeneous φ (docs/theory.md §2 "Limits").

        df/dt = [e^{−2λ_W t} Φ_0 + e^{−2λ_w t} K_W0] Δ − (λ_w + λ_W) f

    Args:
        feature_kernel: Φ_0 = E φφᵀ at t = 0 of n inputs with the P training inputs, which come first, (n, P).
        tangent_kernel: K_W0 = E[w²φ'φ'ᵀ]∘C likewise, (n, P).
        labels: y, (P,).
        times: increasing finite times ≥ 0, (T,).
        readout_decay: λ_w.
        hidden_decay: λ_W.
        rtol: relative tolerance of the integration.

    Returns:
        f on the n inputs, (T, n), from f(0) = 0.
    """
    count = len(labels)

    def kernel(time: float) -> np.ndarray:
        return np.exp(-2 * hidden_decay * time) * feature_kernel + np.exp(-2 * readout_decay * time) * tangent_kernel

    decay = readout_decay + hidden_decay
    eye = decay * np.eye(len(feature_kernel))

    def jacobian(time: float, _: np.ndarray) -> np.ndarray:
        full = -eye.copy()
        full[:, :count] -= kernel(time)
        return full

    answer = solve_ivp(
        lambda t, f: kernel(t) @ (labels - f[:count]) - decay * f,
        (0.0, float(times[-1])),
        np.zeros(len(feature_kernel)),
        method="Radau",
        t_eval=np.asarray(times, dtype=np.float64),
        jac=jacobian,
        rtol=rtol,
        atol=rtol * float(np.sqrt(np.mean(labels**2))),
    )
    return answer.y.T
