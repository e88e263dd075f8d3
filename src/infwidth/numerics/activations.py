"""Activations φ that networks and theory both read: formulas on torch tensors and what theory must know."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from infwidth.numerics.checks import check_choice

if TYPE_CHECKING:
    from torch import Tensor

VECTOR = 64  # numbers that a processor computes with at once, or a multiple


@dataclass(frozen=True)
class Activation:
    """An activation φ without bias. Its functions are elementwise on tensors of any shape; ``out``, if given, is a
    tensor of h's shape that they may write their answer to.

    Attributes:
        name: its key in the registry.
        value: (h, out=None) ↦ φ(h).
        derivative: (h, out=None) ↦ φ'(h); 0 at a kink.
        gated: (h, weight, out=None) ↦ φ'(h) · weight, for a weight that broadcasts to h and shares no memory with out.
        homogeneity: degree k with φ(ch) = c^k φ(h) for c > 0, or None.
        growth: degree of |φ(h)| as |h| → ∞ (0 bounded, 1 linear); the Bayesian theory needs ≤ 1.
        odd: whether φ(−h) = −φ(h), to the last digit.
    """

    name: str
    value: Callable[..., Tensor]
    derivative: Callable[..., Tensor]
    gated: Callable[..., Tensor]
    homogeneity: int | None
    growth: int
    odd: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        value: Callable[[Tensor], Tensor],
        derivative: Callable[[Tensor], Tensor],
        *,
        homogeneity: int | None,
        growth: int,
        odd: bool = False,
    ) -> Activation:
        """Make one of plain functions h ↦ φ(h) and h ↦ φ'(h) that know of no ``out``."""

        def put(found: Tensor, out: Tensor | None) -> Tensor:
            return found if out is None else out.copy_(found)

        return cls(
            name,
            lambda h, out=None: put(value(h), out),
            lambda h, out=None: put(derivative(h), out),
            lambda h, weight, out=None: put(derivative(h) * weight, out),
            homogeneity=homogeneity,
            growth=growth,
            odd=odd,
        )


def _linear(h: Tensor, out: Tensor | None = None) -> Tensor:
    return h


def _linear_slope(h: Tensor, out: Tensor | None = None) -> Tensor:
    return h.new_ones(()).expand_as(h)


def _linear_gated(h: Tensor, weight: Tensor, out: Tensor | None = None) -> Tensor:
    return weight.expand_as(h)


def _relu(h: Tensor, out: Tensor | None = None) -> Tensor:
    return h.relu() if out is None else _torch().clamp(h, min=0, out=out)


def _relu_slope(h: Tensor, out: Tensor | None = None) -> Tensor:
    # written as numbers at once: a conversion of truth values takes several times as long
    return _torch().gt(h, 0, out=_torch().empty_like(h) if out is None else out)


def _relu_gated(h: Tensor, weight: Tensor, out: Tensor | None = None) -> Tensor:
    backward, weight = _torch().ops.aten.threshold_backward, weight.expand_as(h)
    return backward(weight, h, 0) if out is None else backward.grad_input(weight, h, 0, grad_input=out)


def _erf(h: Tensor, out: Tensor | None = None) -> Tensor:
    return _torch().erf(h, out=out)


def _erf_slope(h: Tensor, out: Tensor | None = None) -> Tensor:
    # e^{−h²} as a power of 2, which libraries raise several times as fast; added to 0, as whether a product and a sum
    # are rounded once or twice depends on an entry's place in memory
    exponent = _torch().addcmul(h.new_zeros(()), h, h, value=-1 / math.log(2), out=out)
    return _power_of_two(exponent).mul_(2 / math.sqrt(math.pi))


def _power_of_two(h: Tensor) -> Tensor:
    """2^h, in place, wherever an entry lies: those that fill no whole vector at the end are rounded another way."""
    rest = h.numel() % VECTOR if h.is_contiguous() else 0
    if not rest:
        return h.exp2_()
    end = h.view(-1)[-rest:]
    whole = h.new_zeros(VECTOR)
    whole[:rest] = end
    h.exp2_()
    end.copy_(whole.exp2_()[:rest])
    return h


def _erf_gated(h: Tensor, weight: Tensor, out: Tensor | None = None) -> Tensor:
    return _erf_slope(h, out).mul_(weight)


def _normal_cdf(h: Tensor) -> Tensor:
    return 0.5 * (-h / math.sqrt(2)).erfc()


def _gelu_slope(h: Tensor) -> Tensor:
    return _normal_cdf(h) + h * (-0.5 * h * h).exp() / math.sqrt(2 * math.pi)


def _torch() -> ModuleType:
    """Torch, read when a formula is used: theories that need none should not wait for it."""
    return importlib.import_module("torch")


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("linear", _linear, _linear_slope, _linear_gated, homogeneity=1, growth=1, odd=True),
        Activation("relu", _relu, _relu_slope, _relu_gated, homogeneity=1, growth=1),
        Activation("erf", _erf, _erf_slope, _erf_gated, homogeneity=None, growth=0, odd=True),
        Activation.of(
            "tanh", lambda h: h.tanh(), lambda h: 1 - h.tanh().square(), homogeneity=None, growth=0, odd=True
        ),
        Activation.of("gelu", lambda h: h * _normal_cdf(h), _gelu_slope, homogeneity=None, growth=1),
        Activation.of(
            "softplus", lambda h: h.logaddexp(h.new_zeros(())), lambda h: h.sigmoid(), homogeneity=None, growth=1
        ),
    )
}


def get_activation(name: str) -> Activation:
    """Return the registered activation of that name; raises InputError naming the choices otherwise."""
    return ACTIVATIONS[check_choice("activation", name, ACTIVATIONS)]
