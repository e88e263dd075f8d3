"""Sampling a posterior in the span of its training inputs: outside it weights follow their prior, independently.

With fewer samples than dimensions that is exact and cheaper, and keeps single precision enough: the energy of thousands
of idle oscillators would drown the differences that decide whether a trajectory is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from infwidth.networks.two_layer.span import TrainingSpan
from infwidth.numerics.seeds import derive_seed


def coordinates(spans: Sequence[TrainingSpan], vectors: Tensor) -> Tensor:
    """Return the coordinates (K, n, r) of vectors (K, n, D), each in the span of its own training inputs."""
    return torch.stack([span.coordinates(some) for span, some in zip(spans, vectors, strict=True)])


class OutsideSpan:
    """Weights outside the span of the training inputs, drawn anew for each sample, in as few coordinates as test inputs
    need there.

    Args:
        span: of the training inputs.
        prior_mean: m, prior mean of the weights, (N, D).
        tests: test inputs x/√D, (Pt, D).
        stiffness: L, of the prior; inf for weights held at m.
        seed: what the draws derive from; chains of one seed share them.

    Attributes:
        inputs: the test inputs' coordinates there, (Pt, k); None where the training inputs span everything.
    """

    def __init__(self, span: TrainingSpan, prior_mean: Tensor, tests: Tensor, stiffness: float, seed: int):
        self.inputs: Tensor | None = None
        if span.basis is not None:
            outside = tests - span.coordinates(tests) @ span.basis.T
            basis, coordinates = torch.linalg.qr(outside.T)
            self.inputs, self.mean, self.spread = coordinates.T, prior_mean @ basis, stiffness**-0.5
        self.generator = torch.Generator(prior_mean.device).manual_seed(derive_seed(seed, "outside the training span"))

    def sample(self) -> Tensor | None:
        """Return one draw, (k, N); None where the training inputs span everything."""
        if self.inputs is None:
            return None
        like = self.mean
        noise = torch.randn(like.shape, generator=self.generator, device=like.device, dtype=like.dtype)
        return torch.add(like, noise, alpha=self.spread).mT
