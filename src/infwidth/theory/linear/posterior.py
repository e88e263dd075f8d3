"""The posterior of a linear network at infinite width, on arrays (docs/theory.md §1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from infwidth.theory.linear.concave_dual import Design, DualSolution, Potential, maximise


@dataclass(frozen=True)
class LinearPosterior:
    """The saddle point of one posterior.

    Attributes:
        saddle: the dual solution: dual vector g, weights v, domain margin, certificate.
        hidden: E WWᵀ, (D, D); the kernel is Φ(x, x') = x E WWᵀ x'/D.
    """

    saddle: DualSolution
    hidden: np.ndarray


def solve_posterior(
    design: Design | np.ndarray,
    labels: np.ndarray,
    *,
    strength: float,
    inverse_temperature: float,
    readout_precision: float = 1.0,
    hidden_precision: float = 1.0,
    elastic_coupling: float = 0.0,
    anchor: np.ndarray | None = None,
    max_iterations: int = 100,
) -> LinearPosterior:
    """Solve one saddle point, source (δ = 0) or target (δ > 0), eqs. (1) to (6).

    Args:
        design: X/√D, (P, D), or a prepared :class:`Design` when it is used more than once.
        labels: y, (P,).
        strength: γ > 0.
        inverse_temperature: β > 0.
        readout_precision: λ_w > 0.
        hidden_precision: λ_W > 0.
        elastic_coupling: δ ≥ 0; inf freezes the hidden weights at the anchor.
        anchor: E W̄W̄ᵀ, (D, D): the source's ``hidden``; needed if δ > 0.
        max_iterations: Newton steps allowed.

    Returns:
        The saddle point; look at its ``saddle.status``.
    """
    design = design if isinstance(design, Design) else Design.of(design)
    if anchor is None:
        anchor = np.zeros((design.matrix.shape[1],) * 2)
    potential = Potential.elastic(anchor, elastic_coupling, hidden_precision, readout_precision, spread=True)
    saddle = maximise(
        design, labels, potential, strength=strength, ridge=1 / inverse_temperature, max_iterations=max_iterations
    )
    return LinearPosterior(saddle, potential.second_moment(saddle.drive))


def ridge_prediction(
    kernel: np.ndarray,
    cross_kernel: np.ndarray,
    labels: np.ndarray,
    readout_precision: float,
    inverse_temperature: float,
) -> np.ndarray:
    """Kernel ridge regression Φ(x, X)(Φ/λ_w + I/β)⁻¹y/λ_w: eqs. (1) and (4) at a given kernel.

    Args:
        kernel: Φ(X, X), (P, P).
        cross_kernel: Φ(x, X), (Pt, P).
        labels: y, (P,).
        readout_precision: λ_w.
        inverse_temperature: β.

    Returns:
        f(x), (Pt,).
    """
    noisy = kernel / readout_precision + np.eye(len(labels)) / inverse_temperature
    return cross_kernel @ cho_solve(cho_factor(noisy), labels) / readout_precision
