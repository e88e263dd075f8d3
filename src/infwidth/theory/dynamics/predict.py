"""f of particle populations on test points, in blocks that fit in the cache (docs/theory.md §2)."""

from __future__ import annotations

import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.theory.dynamics.step import Geometry, Snapshot


class Predictor:
    """f on the test points of populations that share R sets of starting weights."""

    def __init__(
        self, anchor_weights: Tensor, x_test: Tensor, geometry: Geometry, strength: float, activation: Activation
    ):
        self.anchor_weights, self.x_test, self.geometry = anchor_weights, x_test, geometry
        self.strength, self.activation = strength, activation
        self.block = max(1, working_set(x_test) // (2 * anchor_weights.shape[1]))
        self.fields = x_test @ anchor_weights.mT if geometry.by_sample else None
        self.product = x_test @ geometry.inputs.T if geometry.by_sample else x_test

    def starting(self, replica: int) -> Tensor:
        """h̄ on the test points, (S, Pt)."""
        return self.anchor_weights[replica] @ self.x_test.T if self.fields is None else self.fields[replica].T

    def __call__(self, replica: int, shot: Snapshot) -> Tensor:
        """f, (Pt,), of a population of 2S particles."""
        count = self.anchor_weights.shape[1]
        weights = None if self.geometry.by_sample else shot.weights(self.anchor_weights[replica].to(shot.moved))
        pieces = []
        for low in range(0, len(self.x_test), self.block):
            part = slice(low, low + self.block)
            product = self.product[part].to(shot.moved)
            if weights is None:
                field = product @ shot.moved
                field.view(len(field), 2, count).add_(self.fields[replica][part, None], alpha=shot.anchoring)
            else:
                field = product @ weights.T
            pieces.append(self.activation.value(field) @ shot.readout)
        return torch.cat(pieces) / (self.strength * 2 * count)


def working_set(like: Tensor) -> int:
    """Elements of the largest temporary worth making: a cache's worth on a CPU, a GPU's worth on a GPU."""
    return 2**26 if like.is_cuda else 2**16
