"""Small image classifiers around blocks of random features, side by side: what the ablation of optimisers trains."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.adam_ntk.random_features import preactivations
from infwidth.numerics.checks import check_choice
from infwidth.numerics.seeds import derive_seed

ARCHITECTURES = ("mlp", "cnn")
CHANNELS, POOLED = (8, 16), 2
"""Channels of the convolutions, and the side that their output is pooled to."""


class Classifiers(nn.Module):
    """K blocks, each behind a backbone of its own, from one start: images (n, d) → logits (K, n, E).

    Small networks cost their calls, not their numbers: K of them together are several times as fast.

    Args:
        architecture: "mlp" (no backbone) or "cnn".
        shape: (channels, height, width) of an image, each side ≥ 2.
        make_block: number of inputs d' → what takes the inputs (K, n, d'), or (1, n, d') where all have the same, of
            the K blocks to logits.
        count: number of blocks, K.
        seed: whole number ≥ 0 that the backbones' weights derive from.

    Raises:
        InputError: an unknown architecture.

    Attributes:
        backbone: convolutions, (n, d) → (K, n, d') with |x|² = d'; for "mlp" it gives the images, (1, n, d).
        block: what reads its output.
    """

    def __init__(
        self,
        architecture: str,
        shape: tuple[int, int, int],
        make_block: Callable[[int], nn.Module],
        *,
        count: int = 1,
        seed: int,
    ):
        super().__init__()
        if check_choice("architecture", architecture, ARCHITECTURES) == "mlp":
            self.backbone: nn.Module = nn.Unflatten(0, (1, -1))
            inputs = math.prod(shape)
        else:
            self.backbone = _Convolutions(shape, count, seed)
            inputs = self.backbone.outputs
        self.block = make_block(inputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (K, n, E) of images (n, d)."""
        return self.block(self.backbone(x))


class _Convolutions(nn.Module):
    """Two convolutions of K networks, whose channels are groups of one: (n, d) → (K, n, outputs)."""

    def __init__(self, shape: tuple[int, int, int], count: int, seed: int):
        super().__init__()
        first, second = CHANNELS
        self.shape, self.count, self.outputs = shape, count, second * POOLED**2
        random = torch.Generator().manual_seed(derive_seed(seed, "backbone"))
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for channels, inputs in ((first, shape[0]), (second, first)):
            drawn = torch.randn(channels, inputs, 3, 3, generator=random) * math.sqrt(2 / (9 * inputs))
            # channels last is how grouped convolutions are fastest
            weight = drawn.repeat(count, 1, 1, 1).contiguous(memory_format=torch.channels_last)
            self.weights.append(nn.Parameter(weight))
            bias = 0 * torch.randn(channels, generator=random)  # drawn all the same: seeds keep their second weights
            self.biases.append(nn.Parameter(bias.repeat(count)))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the blocks read of images (n, d)."""
        convolve = nn.functional.conv2d
        x = x.unflatten(1, self.shape).contiguous(memory_format=torch.channels_last)
        x = convolve(x, self.weights[0], self.biases[0], padding=1)
        x = nn.functional.max_pool2d(x.relu(), 2)
        x = convolve(x, self.weights[1], self.biases[1], padding=1, groups=self.count)
        x = nn.functional.adaptive_avg_pool2d(x.relu(), POOLED)
        x = x.reshape(len(x), self.count, self.outputs).transpose(0, 1)
        return nn.functional.layer_norm(x, (self.outputs,))


class Readouts(nn.Module):
    """K blocks y = M g(x)/H of ReLU features with a bias, all from the start of one FrozenReadout.

    Args:
        in_features: d ≥ 1.
        out_features: E ≥ 1.
        width: H ≥ 1.
        count: number of blocks, K.
        train_features: whether each has features of its own, to be trained as well.
        seed: of the FrozenReadout.

    Raises:
        InputError: a number out of range.

    Attributes:
        readouts: M of each, (E, H).
        hidden: ω, (H, d + 1): a buffer, or where it is trained a parameter of each.
    """

    def __init__(self, in_features: int, out_features: int, *, width: int, count: int, train_features: bool, seed: int):
        super().__init__()
        start = FrozenReadout(in_features, out_features, width=width, bias=True, seed=seed)
        self.scale = start.gain / width
        self.readouts = nn.ParameterList(start.readout.detach().clone() for _ in range(count))
        if train_features:
            self.hidden = nn.ParameterList(start.hidden.clone() for _ in range(count))
        else:
            self.register_buffer("hidden", start.hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (K, n, E) of each one's inputs (K, n, d), or of the same for all (1, n, d)."""
        if isinstance(self.hidden, nn.ParameterList):
            *weights, bias = torch.stack([*self.hidden]).split([x.shape[-1], 1], -1)
            shown = (x / math.sqrt(x.shape[-1])) @ weights[0].mT + bias.mT
        else:
            shown = preactivations(x, self.hidden)
        return shown.relu() @ torch.stack([*self.readouts]).mT * self.scale
