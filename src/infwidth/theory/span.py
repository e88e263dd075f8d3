"""An orthonormal basis of what inputs span."""

from __future__ import annotations

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
