"""Posteriors of two-layer networks in whitened coordinates z = √L (W − m), v = √λ_w w (docs/theory.md §1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.networks.two_layer.model import Evaluator, Response
from infwidth.numerics.batching import Batch


def rows(values: Tensor, like: Tensor) -> Tensor:
    """One value a chain, (K,), shaped to go with an array (K, …)."""
    return values.view(-1, *[1] * (like.ndim - 1))


@dataclass(frozen=True)
class PosteriorBatch(Batch):
    """K posteriors ∝ exp(−½βγ²N Σ(f−y)² − ½λ_w|w|² − ½L|W − m|²).

    Attributes:
        prior_mean: m, (K, r, N), or None where it is 0.
        inputs: x/√D, (K, P, r).
        labels: y, (K, P), or (K, P, C) of C outputs.
        strength: γ, (K,).
        inverse_temperature: β, (K,).
        readout_precision: λ_w, (K,).
        stiffness: L = λ_W + δ, (K,); inf freezes W at m.
    """

    prior_mean: Tensor | None
    inputs: Tensor
    labels: Tensor
    strength: Tensor
    inverse_temperature: Tensor
    readout_precision: Tensor
    stiffness: Tensor

    def weights(self, v: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return w (K, N), or (K, C, N), and W (K, r, N) from whitened coordinates."""
        scale = self.stiffness.rsqrt()[:, None, None]
        hidden = z * scale if self.prior_mean is None else torch.addcmul(self.prior_mean, z, scale)
        return v * rows(self.readout_precision.rsqrt(), v), hidden

    def evaluate(self, v: Tensor, z: Tensor, evaluator: Evaluator) -> Response:
        """Return outputs and forces."""
        return evaluator.respond(*self.weights(v, z), self.inputs, self.labels, self.strength)

    def probe(self, v: Tensor, evaluator: Evaluator, vector: Tensor) -> Tensor:
        """Return the likelihood's whitened Gauss–Newton matrix times a vector like the labels, where evaluated last."""
        scales = (self.inverse_temperature / self.readout_precision, self.inverse_temperature / self.stiffness)
        return evaluator.probe(vector, scales, v * rows(self.readout_precision.rsqrt(), v), self.inputs)
