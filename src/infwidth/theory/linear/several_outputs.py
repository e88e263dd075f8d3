"""Linear posteriors of several outputs: Λ(K) of a matrix, and left-out blocks (§1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.theory.linear.concave_dual import DualSolution, Potential
from infwidth.theory.linear.design import Design


@dataclass(frozen=True)
class MatrixPotential(Potential):
    """Λ(K) of C outputs on its domain M > 0, K of shape (D, C); eq. (6) is that of one column.

        Λ(K) = −½ log det M + (δ/L)² tr(KᵀA1K M⁻¹) / (2 λ_w),    M = I − KᵀK/(L λ_w)

    With T = (I − KKᵀ/(Lλ_w))⁻¹ the gradient is E WWᵀ K/λ_w, E WWᵀ = T/L + (δ/L)² T A1 T.
    """

    def margin(self, k: np.ndarray) -> float:
        """q, the least eigenvalue of M: 1 at K = 0."""
        return 1 - self._rate * float(np.linalg.norm(k, 2)) ** 2

    def _inverse(self, k: np.ndarray) -> np.ndarray:
        """M⁻¹, (C, C)."""
        return np.linalg.inv(np.eye(k.shape[1]) - self._rate * (k.T @ k))

    def value(self, k: np.ndarray) -> float:
        """Λ(K)."""
        losses = self._rate * np.linalg.svd(k, compute_uv=False) ** 2
        entropy = -0.5 * float(np.log1p(-losses).sum()) if self.scatters else 0.0
        energy = np.sum((k.T @ self.anchor_moment @ k) * self._inverse(k))
        return entropy + self.pull**2 * float(energy) / (2 * self.readout_decay)

    def gradient(self, k: np.ndarray) -> np.ndarray:
        """∇Λ(K), (D, C)."""
        rate, weight = self._rate, self.pull**2 / self.readout_decay
        inverse, image = self._inverse(k), self.anchor_moment @ k
        within = self.scatters * rate * np.eye(k.shape[1]) + weight * rate * inverse @ (k.T @ image)
        return k @ within @ inverse + weight * image @ inverse

    def hessian(self, k: np.ndarray) -> np.ndarray:
        """∇²Λ(K), (DC, DC) with the outputs running fastest, positive semidefinite."""
        rate, weight = self._rate, self.pull**2 / self.readout_decay
        inverse, spread = self._inverse(k), self._spread(k)
        turned = k @ inverse
        image = self.anchor_moment @ turned
        bent = spread @ image  # T A1 K M⁻¹
        within = rate * (self.scatters * inverse + weight * turned.T @ image)
        # dΛ'(E) = T E (…) + weight T A1 T E M⁻¹ + terms U Eᵀ V, as tensors ic,jd
        out = np.kron(spread, within) + np.kron(weight * spread @ self.anchor_moment @ spread, inverse)
        crossed = 0.5 * self.scatters * rate**2 * turned + weight * rate * bent
        swapped = np.einsum("id,jc->icjd", crossed, turned) + np.einsum("id,jc->icjd", turned, crossed)
        return out + swapped.reshape(out.shape)

    def _spread(self, k: np.ndarray) -> np.ndarray:
        """T = I + K M⁻¹Kᵀ/(Lλ_w), (D, D)."""
        return np.eye(len(k)) + self._rate * k @ self._inverse(k) @ k.T

    def second_moment(self, k: np.ndarray) -> np.ndarray:
        """E WWᵀ, (D, D), of hidden weights tilted by K."""
        spread = self._spread(k)
        return self.scatters * self.compliance * spread + self.pull**2 * spread @ self.anchor_moment @ spread


def left_out(design: Design, saddle: DualSolution, ridge: float) -> tuple[np.ndarray, list[float]]:
    """Residuals y_μ − f_{−μ}(x_μ) to first order, of g's shape, and relative errors of what they rest on.

    One output: g_μ/[(H + ρ)⁻¹]_μμ. Several: the C × C block of a sample in place of the number.

    Args:
        design: the training inputs.
        saddle: the solution, its Cholesky factor included.
        ridge: ρ.
    """
    if saddle.dual.ndim == 1:
        blocks, error = design.inverse_diagonal(saddle.cholesky, ridge)
        residuals, least = saddle.dual / blocks, float(np.min(blocks))
    else:
        blocks, error = design.inverse_blocks(saddle.cholesky, ridge, saddle.dual.shape[1])
        residuals = np.linalg.solve(blocks, saddle.dual[..., None])[..., 0]
        least = float(np.linalg.eigvalsh(blocks)[:, 0].min())
    size = float(np.linalg.norm(residuals)) or 1.0
    return residuals, [saddle.dual_error / least / size, error / least]
