"""A linear posterior without a tie, exactly at any width: one integral (docs/finite_width.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from infwidth.theory.linear.design import Design

NODES = 4001
"""Nodes of the integral over ln|w|; its integrand is smooth and falls off at both ends, so it is exact to rounding."""
NEGLIGIBLE = 40.0
"""Fall of the log density from its peak beyond which nothing is integrated."""


@dataclass(frozen=True)
class NormLaw:
    """The posterior of u = Wᵀw/|w| and r = |w| of a network of width N: u is Gaussian given r.

    The predictor is f(x) = x·v/√D, v = ru/(γN). In the singular basis of X the coordinates of u are independent,
    u_j | r ~ N(βγr b_j/P_j, 1/P_j) with P_j = λ_W + βr²e_j/N.

    Attributes:
        norms: nodes r, (n,).
        probabilities: their probabilities, (n,).
        means: E[v | r] in the singular basis of X, (n, k).
        variances: of v given r along that basis, (n, k).
        free: variance of v given r along any direction off it, (n,).
        basis: that basis, (r, k) with orthonormal columns.
    """

    norms: np.ndarray
    probabilities: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    free: np.ndarray
    basis: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """⟨v⟩, (r,)."""
        return self.basis @ (self.probabilities @ self.means)

    def loss(self, inputs: np.ndarray, square_norms: np.ndarray, labels: np.ndarray) -> float:
        """Expected test loss of one network, mean over points of E(x·v/√D − y)².

        Args:
            inputs: x/√D in the basis of the training inputs, (Pt, r).
            square_norms: |x|²/D, (Pt,).
            labels: y, (Pt,).
        """
        seen = inputs @ self.basis
        residuals = self.means @ seen.T - labels
        power = np.mean(seen**2, 0)
        outside = max(float(np.mean(square_norms)) - float(power.sum()), 0.0)
        return float(self.probabilities @ (np.mean(residuals**2, -1) + self.variances @ power + outside * self.free))


def norm_law(
    design: Design,
    labels: np.ndarray,
    *,
    strength: float,
    inverse_temperature: float,
    readout_precision: float = 1.0,
    hidden_precision: float = 1.0,
    width: int,
) -> NormLaw:
    """The law of one network of width N trained without a tie (source, or target at δ = 0).

    With u integrated out p(r) ∝ r^{N−1} e^{−½λ_wr²} Π_j P_j^{−½} exp(½β²γ²r²b_j²/P_j), where (e_j, b_j) are the
    eigenvalues of XᵀX/D and the projections of Xᵀy/√D on its eigenvectors.

    Args:
        design: X/√D.
        labels: y, (P,).
        strength: γ > 0.
        inverse_temperature: β > 0.
        readout_precision: λ_w > 0.
        hidden_precision: λ_W > 0.
        width: N.

    Returns:
        The law on nodes of r.
    """
    power = design.singular**2
    force = inverse_temperature * strength * design.singular * (design.left.T @ labels)

    def log_density(log_norm):
        square = np.exp(2 * log_norm)[:, None]
        precisions = hidden_precision + inverse_temperature * square * power / width
        likelihood = 0.5 * np.sum(square * force**2 / precisions - np.log(precisions), -1)
        return width * log_norm - 0.5 * readout_precision * square[:, 0] + likelihood

    middle = 0.5 * math.log(width / readout_precision)
    log_norm = np.linspace(middle - 20, middle + 20, NODES)
    for _ in range(4):  # to where the density is not negligible
        height = log_density(log_norm)
        kept = np.flatnonzero(height > height.max() - NEGLIGIBLE)
        low, high = log_norm[max(kept[0] - 1, 0)], log_norm[min(kept[-1] + 1, NODES - 1)]
        log_norm = np.linspace(low, high, NODES)
    height = log_density(log_norm)
    weights = np.exp(height - height.max())
    weights /= weights.sum()
    norms = np.exp(log_norm)
    precisions = hidden_precision + inverse_temperature * np.square(norms)[:, None] * power / width
    scale = norms / (strength * width)
    return NormLaw(
        norms=norms,
        probabilities=weights,
        means=(scale * norms)[:, None] * force / precisions,
        variances=np.square(scale)[:, None] / precisions,
        free=np.square(scale) / hidden_precision,
        basis=design.right,
    )
