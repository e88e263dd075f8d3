"""Frozen random features g_ω(x) and the distributions Ω they are drawn from (docs/theory.md §4)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError, check_choice, check_count
from infwidth.numerics.seeds import derive_seed

SUPPORTS = ("gaussian", "half_space", "rank_deficient")
"""Distributions of ω: N(0, I); the same with ω_1 made ≥ 0; the same with the second half of its coordinates 0."""


def draw_hidden(width: int, in_features: int, *, bias: bool = False, support: str = "gaussian", seed: int) -> Tensor:
    """Draw the weights ω of random features.

    Args:
        width: H ≥ 1, how many.
        in_features: d ≥ 1.
        bias: whether each has a bias, ~ N(0, 1) whatever the support.
        support: "gaussian" (ω ~ N(0, I), the first weights of a TrainedReadout of that seed), "half_space" (ω_1
            replaced by |ω_1|) or "rank_deficient" (the last ⌊d/2⌋ coordinates 0, the others scaled so that E|ω|² = d).
        seed: whole number ≥ 0 that ω derives from.

    Returns:
        ω, (H, d), or (H, d + 1) with the bias last; of torch's default dtype.

    Raises:
        InputError: a number out of range, or an unknown support.
    """
    width, d = check_count("width", width), check_count("in_features", in_features)
    check_choice("support", support, SUPPORTS)
    random = torch.Generator().manual_seed(derive_seed(check_count("seed", seed, minimum=0), "features"))
    hidden = torch.randn(width, d + bool(bias), generator=random)
    if support == "half_space":
        hidden[:, 0].abs_()
    elif support == "rank_deficient":
        kept = d - d // 2
        hidden[:, :kept] *= math.sqrt(d / kept)
        hidden[:, kept:d] = 0
    return hidden


def features(x: Tensor, hidden: Tensor, activation: str) -> Tensor:
    """Return the features g_ω(x): √2 relu(h), or φ(h) for another φ, with h = ω·x/√d.

    Args:
        x: (…, d).
        hidden: ω, (H, d), or (H, d + 1) where the last column meets an input √d: a bias.
        activation: "relu", "erf" or "linear".

    Returns:
        (…, H).

    Raises:
        InputError: an unknown activation, or inputs whose size isn't that of the weights.
    """
    found = get_activation(activation).value(preactivations(x, hidden))
    return found * math.sqrt(2) if activation == "relu" else found


def preactivations(x: Tensor, hidden: Tensor) -> Tensor:
    """Return h = ω·x/√d, (…, H), of inputs (…, d); raises InputError where the sizes don't match."""
    d = x.shape[-1]
    if hidden.shape[1] - d not in (0, 1):
        raise InputError(f"x has {d} features: expected {hidden.shape[1]}, the weights' (or one fewer, with a bias)")
    bias = hidden[:, d] if hidden.shape[1] > d else None
    return torch.nn.functional.linear(x / math.sqrt(d), hidden[:, :d], bias)
