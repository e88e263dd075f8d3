"""Activations φ that networks and theory both read: formulas on torch tensors and what theory must know."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infwidth.numerics.checks import check_choice

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """An activation φ without bias.

    Attributes:
        name: its key in the registry.
        value: h ↦ φ(h), elementwise on a tensor of any shape.
        derivative: h ↦ φ'(h), elementwise; 0 at a kink.
        homogeneity: degree k with φ(ch) = c^k φ(h) for c > 0, or None.
        growth: degree of |φ(h)| as |h| → ∞ (0 bounded, 1 linear); the Bayesian theory needs ≤ 1.
    """

    name: str
    value: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    homogeneity: int | None
    growth: int


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("linear", lambda h: h, lambda h: h.new_ones(()).expand_as(h), homogeneity=1, growth=1),
        Activation("relu", lambda h: h.clamp(min=0), lambda h: (h > 0).to(h.dtype), homogeneity=1, growth=1),
        Activation(
            "erf",
            lambda h: h.erf(),
            lambda h: (2 / math.sqrt(math.pi)) * (-h * h).exp(),
            homogeneity=None,
            growth=0,
        ),
    )
}


def get_activation(name: str) -> Activation:
    """Return the registered activation of that name; raises InputError naming the choices otherwise."""
    return ACTIVATIONS[check_choice("activation", name, ACTIVATIONS)]
