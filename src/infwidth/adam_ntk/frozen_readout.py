"""A block of frozen random features at finite width: only what reads them out is trained."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from infwidth.adam_ntk.random_features import draw_hidden, preactivations
from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError, check_count
from infwidth.numerics.kept_settings import KeepsSettings


class FrozenReadout(KeepsSettings):
    """y = (1/H) M g(x): H frozen random features g and a trained readout M that starts at 0 (docs/theory.md §4).

    Trained by AdamStar it has a limit H → ∞, DualReadout. Features are √2 relu(h), or φ(h) for another φ, with
    h = ω·x/√d.

    Args:
        in_features: d ≥ 1.
        out_features: E ≥ 1.
        width: H ≥ 1.
        activation: "relu", "erf" or "linear".
        bias: whether features have a bias of unit variance.
        support: what ω is drawn from: "gaussian", "half_space" or "rank_deficient"; see ``draw_hidden``.
        seed: whole number ≥ 0 that ω derives from; TrainedReadout of that seed starts from the same features.

    Raises:
        InputError: a number out of range, or an unknown activation or support.

    Attributes:
        hidden: ω, a buffer, (H, d), or (H, d + 1) with a bias.
        readout: M, (E, H): the only parameter.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        width: int,
        activation: str = "relu",
        bias: bool = False,
        support: str = "gaussian",
        seed: int,
    ):
        super().__init__()
        self.in_features = check_count("in_features", in_features)
        self.out_features, self.width = check_count("out_features", out_features), check_count("width", width)
        self.activation, self.bias, self.support = get_activation(activation), bool(bias), support
        self.gain = math.sqrt(2) if activation == "relu" else 1.0
        self.register_buffer("hidden", draw_hidden(width, in_features, bias=bias, support=support, seed=seed))
        self.readout = nn.Parameter(torch.zeros(out_features, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (…, E) of inputs (…, d); raises InputError for inputs of another size."""
        if x.shape[-1] != self.in_features:
            raise InputError(f"x has {x.shape[-1]} features: expected {self.in_features}, the block's in_features")
        shown = self.activation.value(preactivations(x, self.hidden))
        # scaling the outputs, not the features, saves passes over the larger arrays
        return (shown @ self.readout.T) * (self.gain / self.width)

    def settings(self) -> dict[str, object]:
        """Return what the state must have been made with."""
        return {"activation": self.activation.name, "bias": self.bias, "support": self.support}

    def extra_repr(self) -> str:
        """Return sizes and settings, for print."""
        return (
            f"{self.in_features}, {self.out_features}, width={self.width}, activation={self.activation.name!r}, "
            f"bias={self.bias}, support={self.support!r}"
        )
