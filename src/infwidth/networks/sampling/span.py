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
    """What weights outside the span of the training inputs add to test preactivations, anew for each sample.

    Args:
        span: of the training inputs.
        prior_mean: m, prior mean of the weights, (N, D).
        tests: test inputs x/√D, (Pt, D).
        stiffness: L, of the prior; inf for weights held at m.
        seed: what the draws derive from; chains of one seed share them.
    """

    def __init__(self, span: TrainingSpan, prior_mean: Tensor, tests: Tensor, stiffness: float, seed: int):
        self.width = len(prior_mean)
        self.prior_mean = span.passive_products(prior_mean, tests)  # None where the inputs span everything
        self.root = None
        if self.prior_mean is not None:
            outside = tests - span.coordinates(tests) @ span.basis.T
            # its Gram matrix is that of the test inputs, in as few coordinates as there are of these
            self.root = torch.linalg.qr(outside.T, mode="r").R / stiffness**0.5
        self.generator = torch.Generator(prior_mean.device).manual_seed(derive_seed(seed, "outside the training span"))

    def sample(self) -> Tensor | None:
        """Return one draw, (N, Pt); None where the training inputs span everything."""
        if self.prior_mean is None or self.root is None:
            return None
        shape = (self.width, len(self.root))
        noise = torch.randn(shape, generator=self.generator, device=self.prior_mean.device, dtype=self.prior_mean.dtype)
        return torch.addmm(self.prior_mean, noise, self.root)
