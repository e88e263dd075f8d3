"""Training inputs with their singular value decomposition, and what of the labels they cannot explain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

# Refinements at most: each gains the digits that the condition of X leaves of a double.
REFINEMENTS = 8
# A leverage closer to 1 than this has its distance from 1 computed anew, not by subtraction.
CLOSE = 1e-3
# Absolute error of a squared distance from the range found so: a few units of rounding, squared.
UNEXPLAINED_ERROR = 10 * float(np.finfo(np.float64).eps) ** 2
# Factor that splits a double into two halves whose products are exact.
SPLIT = 2.0**27 + 1


@dataclass(frozen=True)
class Design:
    """Training inputs over √D with their thin singular value decomposition, computed once for all couplings.

    Singular values below rounding, of repeated inputs, are left out: r is the numerical rank.

    Attributes:
        matrix: X/√D, (P, D), in an orthonormal basis that holds it.
        left: U, (P, r).
        singular: σ, (r,), falling.
        right: V, (D, r).
        exact: X, or whatever has the same range free of the rounding of ``matrix``, (P, D').
        scale: √D, what ``exact`` is divided by in ``matrix``.
        left_out: below what singular values were left out; 0 where none was.
    """

    matrix: np.ndarray
    left: np.ndarray
    singular: np.ndarray
    right: np.ndarray
    exact: np.ndarray
    scale: float
    left_out: float = 0.0

    @classmethod
    def of(cls, matrix: np.ndarray, exact: np.ndarray | None = None, scale: float = 1.0) -> Design:
        """Decompose X/√D, (P, D)."""
        left, singular, right = np.linalg.svd(matrix, full_matrices=False)
        noise = np.finfo(np.float64).eps * max(matrix.shape) * singular[0]
        rank = max(1, int(np.count_nonzero(singular > noise)))
        exact = matrix if exact is None else exact
        left_out = noise if rank < len(singular) else 0.0
        return cls(matrix, left[:, :rank], singular[:rank], right[:rank].T, exact, scale, float(left_out))

    def outside(self, vector: np.ndarray) -> tuple[np.ndarray, float, float]:
        """The part of a vector (P,), or of each column of (P, C), outside the range of X, and the norm of its error.

        Third is what of it singular values that were left out may make of |Xᵀ(y − Xc)|/√D.
        Of labels without noise almost nothing is outside, and what is left of the subtraction is its rounding.
        """
        if len(self.singular) == len(vector):
            return np.zeros_like(vector), 0.0, 0.0
        rest = vector - self.left @ (self.left.T @ vector)
        rounding = float(np.finfo(np.float64).eps * np.linalg.norm(vector))
        return rest, rounding, self.left_out * float(np.linalg.norm(rest))

    def outside_accurately(self, vector: np.ndarray) -> tuple[np.ndarray, float, float]:
        """The same to about twice the digits, point by point, by iterative refinement of the least-squares problem.

        So is |Xᵀ(y − Xc)|/√D, third: not zero where a singular value below rounding, left out, is none of a copy.
        Coefficients c and what they leave, y − Xc, are held as sums of two doubles, and Xᵀ(y − Xc) is found from them.
        """
        if vector.ndim > 1:
            parts, *errors = zip(*map(self.outside_accurately, vector.T), strict=True)
            return np.stack(parts, 1), *(float(np.linalg.norm(error)) for error in errors)
        nothing = np.zeros(self.exact.shape[1])
        high, low, rest = nothing, nothing, (vector, np.zeros_like(vector))
        inside = self.left.T @ vector
        for _ in range(REFINEMENTS):
            step = self.exact.T @ (self.left @ (inside / self.singular**2)) / self.scale**2
            high, error = _two_sum(high, step)
            low = low + error
            rest = _accurate_residual(vector, self.exact, high, low)
            slope, _ = _accurate_residual(nothing, self.exact.T, *rest)
            last = inside
            inside = -(self.left.T @ (self.exact @ slope)) / (self.singular * self.scale) ** 2
            if np.linalg.norm(inside) > 0.1 * np.linalg.norm(last):
                break
        return rest[0], float(np.linalg.norm(inside)), float(np.linalg.norm(slope)) / self.scale

    def inverse_diagonal(self, cholesky: np.ndarray, ridge: float) -> tuple[np.ndarray, float]:
        """Diagonal of (U A Uᵀ + ρ(I − UUᵀ))⁻¹, (P,), from the Cholesky factor of A in the range of X, and its error.

        U A⁻¹Uᵀ + (I − UUᵀ)/ρ costs P r² where inverting P × P costs P³, and nothing cancels where β = 1/ρ is large.
        """
        inside = np.square(solve_triangular(cholesky, self.left.T, lower=True, check_finite=False)).sum(0)
        rest = self._unexplained()
        return inside + rest / ridge, float(np.any(rest)) * UNEXPLAINED_ERROR / ridge

    def inverse_blocks(self, cholesky: np.ndarray, ridge: float, output_count: int) -> tuple[np.ndarray, float]:
        """The same of C outputs, the fastest running: the C × C block of each sample, (P, C, C)."""
        eye, rest = np.eye(output_count), self._unexplained()
        blocks = rest[:, None, None] * eye / ridge
        for block, direction in zip(blocks, self.left, strict=True):
            half = solve_triangular(cholesky, np.kron(direction[:, None], eye), lower=True, check_finite=False)
            block += half.T @ half
        return blocks, float(np.any(rest)) * UNEXPLAINED_ERROR / ridge

    def _unexplained(self) -> np.ndarray:
        """1 − |U_μ|², the squared part outside the range of each unit vector, (P,)."""
        points, rank = self.left.shape
        if points == rank:
            return np.zeros(points)
        rest = 1 - np.square(self.left).sum(1)
        close = np.flatnonzero(rest < CLOSE)
        parts = np.zeros((points, len(close)))
        parts[close, np.arange(len(close))] = 1.0
        for _ in range(2):
            parts = parts - self.left @ (self.left.T @ parts)
        rest[close] = np.square(parts).sum(0)
        return rest


def _two_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a + b as it rounds, and its error, exactly (Knuth)."""
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)


def _halves(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A double as the sum of two of half its digits (Veltkamp)."""
    shifted = SPLIT * a
    high = shifted - (shifted - a)
    return high, a - high


def _accurate_residual(
    vector: np.ndarray, matrix: np.ndarray, high: np.ndarray, low: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return y − A(high + low) and its rounding, (P,) each: Dekker's exact products, exact sums.

    Raises:
        ArithmeticError: numbers out of range.
    """
    (a, b), (c, d) = _halves(matrix), _halves(high)
    product = matrix * high
    error = ((a * c - product) + a * d + b * c) + b * d
    terms = np.concatenate([vector[:, None], -product, -error, -matrix * low], axis=1)
    if not np.isfinite(terms).all():
        raise ArithmeticError("a product is out of range")
    rows = terms.tolist()
    rest = np.array([math.fsum(row) for row in rows])
    return rest, np.array([math.fsum([*row, -first]) for row, first in zip(rows, rest.tolist(), strict=True)])
