"""Orthonormal bases of what inputs, and labels of several outputs, span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DEPENDENT = 1e-9
"""Share of an input's norm outside the span of those before it that counts as rounding."""


def orthonormal_basis(inputs: np.ndarray) -> np.ndarray:
    """Return orthonormal columns that span the rows of the inputs.

    An input that depends on others to rounding, as the last of centred images does, adds no column: its direction
    would be rounding's, and random draws in the basis another sample on another processor.

    Args:
        inputs: (P, D) with P ≤ D.

    Returns:
        (D, r) with r the inputs' rank.
    """
    basis, triangle = np.linalg.qr(inputs.T)
    size = np.abs(inputs).max() or 1.0  # whose square may be out of range
    new = np.abs(np.diag(triangle)) / size > DEPENDENT * np.linalg.norm(inputs / size, axis=1)
    if new.all():
        return basis
    return orthonormal_basis(inputs[new]) if new.any() else basis[:, :0]


@dataclass(frozen=True)
class OutputSpan:
    """Labels of C outputs in an orthonormal basis of the r directions of output space that they reach.

    The posterior is isotropic in output space outside them and predicts 0 there, so nothing is lost: one-hot classes
    have C − 1 directions. Labels of one direction are one output's.

    Attributes:
        labels: y, (P,) for one direction, else (P, r).
        basis: (C, r) with orthonormal columns; None where the task has one output without an axis of its own.
    """

    labels: np.ndarray
    basis: np.ndarray | None

    @classmethod
    def of(cls, labels: np.ndarray) -> OutputSpan:
        """Find the directions of labels, (P,) or (P, C)."""
        if labels.ndim == 1:
            return cls(labels, None)
        _, sizes, directions = np.linalg.svd(labels, full_matrices=False)
        noise = np.finfo(np.float64).eps * max(labels.shape) * sizes[0]
        rank = max(1, int(np.count_nonzero(sizes > noise)))
        basis = directions[:rank].T
        within = labels @ basis
        return cls(within[:, 0] if rank == 1 else within, basis)

    def expand(self, values: np.ndarray) -> np.ndarray:
        """Values (…,) or (…, r) of the directions as those of all outputs, (…, C); one without an axis stays."""
        if self.basis is None:
            return values
        return (values if self.basis.shape[1] > 1 else values[..., None]) @ self.basis.T
