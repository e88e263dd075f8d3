"""Train in the span of the training inputs when they are fewer than the dimensions: exact, and cheaper.

The forces of (7) on a row of W lie in the span of the training inputs. The component outside only decays and
relaxes to its anchor, in closed form (docs/theory.md §2): with start equal to anchor, or no anchor,
W_⊥(t) = [e^{−Lt} + (1 − e^{−Lt}) δ/L] W_⊥(0), L = λ_W + δ.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TrainingSpan:
    """The span of one training set's inputs.

    Attributes:
        basis: orthonormal columns, (D, r); None where the inputs (may) span everything.
    """

    basis: Tensor | None

    def coordinates(self, vectors: Tensor) -> Tensor:
        """Return the coordinates (n, r) of vectors (n, D) in the span."""
        return vectors if self.basis is None else vectors @ self.basis

    def replace(self, vectors: Tensor, coordinates: Tensor, passive: float) -> Tensor:
        """Return ``vectors`` (n, D) with new coordinates in the span, the part outside scaled by ``passive``."""
        if self.basis is None:
            return coordinates
        return passive * vectors + (coordinates - passive * self.coordinates(vectors)) @ self.basis.T

    def passive_products(self, vectors: Tensor, inputs: Tensor) -> Tensor | None:
        """Return the products (n, Pt) of the parts of vectors (n, D) and inputs (Pt, D) outside the span."""
        if self.basis is None:
            return None
        return vectors @ (inputs - self.coordinates(inputs) @ self.basis.T).T


def training_span(x: Tensor) -> TrainingSpan:
    """Return the span of inputs (P, D), as the whole space when P ≥ D."""
    samples, dimension = x.shape
    return TrainingSpan(None if samples >= dimension else torch.linalg.qr(x.T).Q)
