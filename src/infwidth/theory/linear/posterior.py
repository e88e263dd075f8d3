"""The posterior of a linear network at infinite width, on arrays (docs/theory.md §1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.theory.linear.concave_dual import DualSolution, Potential, maximise
from infwidth.theory.linear.design import Design
from infwidth.theory.linear.several_outputs import MatrixPotential


@dataclass(frozen=True)
class LinearPosterior:
    """The saddle point of one posterior.

    Attributes:
        saddle: the dual solution: dual vector g, weights v, domain margin, certificate.
        hidden_moment: E WWᵀ, (D, D); the kernel is Φ(x, x') = x E WWᵀ x'/D.
        reduced_kernel: UᵀΦU/λ_w in the singular basis of the training inputs, (r, r).
        residual: |y − g/β − Φg/λ_w| at this g and this kernel over |y| + |Φ||g|/λ_w, or |slope of S|/|y| if larger.
    """

    saddle: DualSolution
    hidden_moment: np.ndarray
    reduced_kernel: np.ndarray
    residual: float


def solve_posterior(
    design: Design | np.ndarray,
    labels: np.ndarray,
    *,
    strength: float,
    inverse_temperature: float,
    readout_precision: float = 1.0,
    hidden_precision: float = 1.0,
    elastic_coupling: float = 0.0,
    anchor_moment: np.ndarray | None = None,
    max_iterations: int = 100,
    accurate: bool = False,
) -> LinearPosterior:
    """Solve one saddle point, source (δ = 0) or target (δ > 0), eqs. (1) to (6).

    Args:
        design: X/√D, (P, D), or a prepared :class:`Design` when it is used more than once.
        labels: y, (P,), or (P, C) of C > 1 outputs.
        strength: γ > 0.
        inverse_temperature: β > 0.
        readout_precision: λ_w > 0.
        hidden_precision: λ_W > 0.
        elastic_coupling: δ ≥ 0; inf freezes the hidden weights at the anchor.
        anchor_moment: E W̄W̄ᵀ, (D, D): the source's ``hidden_moment``; needed if δ > 0.
        max_iterations: Newton steps allowed.
        accurate: whether g is needed to more digits than rounding times β leaves it.

    Returns:
        The saddle point; look at its ``saddle.status``.
    """
    design = design if isinstance(design, Design) else Design.of(design)
    if anchor_moment is None:
        anchor_moment = np.zeros((design.matrix.shape[1],) * 2)
    kind = Potential if labels.ndim == 1 else MatrixPotential
    potential = kind.elastic(anchor_moment, elastic_coupling, hidden_precision, readout_precision, scatters=True)
    saddle = maximise(
        design,
        labels,
        potential,
        strength=strength,
        ridge=1 / inverse_temperature,
        max_iterations=max_iterations,
        accurate=accurate,
    )
    hidden_moment = potential.second_moment(saddle.drive)
    kernel = _inner_kernel(design, hidden_moment) / readout_precision
    fit = design.matrix @ (hidden_moment @ (design.matrix.T @ saddle.dual)) / readout_precision
    left = labels - saddle.dual / inverse_temperature - fit
    size = np.linalg.norm(labels) + np.linalg.norm(kernel) * np.linalg.norm(saddle.dual)
    residual = max(saddle.residual, float(np.linalg.norm(left) / (size or 1.0)))
    return LinearPosterior(saddle, hidden_moment, kernel, residual)


def _inner_kernel(design: Design, hidden_moment: np.ndarray) -> np.ndarray:
    """UᵀΦU = ΣVᵀMVΣ, all there is of Φ = XMXᵀ/D, (r, r)."""
    inputs = design.right * design.singular
    return inputs.T @ hidden_moment @ inputs
