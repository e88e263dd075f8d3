"""Small image classifiers around one block of random features: what the ablation of optimisers trains."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.numerics.checks import check_choice
from infwidth.numerics.seeds import derive_seed

ARCHITECTURES = ("mlp", "cnn")
CHANNELS, POOLED = (8, 16), 2
"""Channels of the convolutions, and the side that their output is pooled to."""


class Classifier(nn.Module):
    """A block behind a backbone: images (n, d) → logits (n, E).

    Args:
        architecture: "mlp" (no backbone) or "cnn".
        shape: (channels, height, width) of an image, each side ≥ 2.
        make_block: number of inputs → the block.
        seed: whole number ≥ 0 that the backbone's weights derive from.

    Raises:
        InputError: an unknown architecture.

    Attributes:
        backbone: convolutions, (n, d) → (n, inputs of the block) with |x|² = their number; the identity for "mlp".
        block: what reads its output.
    """

    def __init__(
        self, architecture: str, shape: tuple[int, int, int], make_block: Callable[[int], nn.Module], seed: int
    ):
        super().__init__()
        if check_choice("architecture", architecture, ARCHITECTURES) == "mlp":
            self.backbone: nn.Module = nn.Identity()
            inputs = math.prod(shape)
        else:
            first, second = CHANNELS
            inputs = second * POOLED**2
            self.backbone = nn.Sequential(
                nn.Unflatten(1, shape),
                nn.Conv2d(shape[0], first, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(first, second, 3, padding=1),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(POOLED),
                nn.Flatten(),
                nn.LayerNorm(inputs, elementwise_affine=False),
            )
            self._draw(seed)
        self.block = make_block(inputs)

    @torch.no_grad()
    def _draw(self, seed: int) -> None:
        random = torch.Generator().manual_seed(derive_seed(seed, "backbone"))
        for weight in self.backbone.parameters():
            drawn = torch.randn(weight.shape, generator=random)
            scale = math.sqrt(2 / math.prod(weight.shape[1:])) if weight.ndim > 1 else 0.0  # biases start at 0
            weight.copy_(scale * drawn)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, E) of images (n, d)."""
        return self.block(self.backbone(x))


class UnfrozenReadout(FrozenReadout):
    """The same block with its features trained too: ``hidden`` is a parameter."""

    def __init__(self, *sizes: int, **settings: Any):
        super().__init__(*sizes, **settings)
        hidden = self.hidden
        del self.hidden
        self.hidden = nn.Parameter(hidden)
