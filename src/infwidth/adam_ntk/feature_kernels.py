"""Kernels of random features in closed form, Θ(x, x') = E_ω[g_ω(x) g_ω(x')], and their products (docs/theory.md §4).

With ω ~ N(0, I), h = ω·x/√d and k = x·x'/d, a = |x|²/d, b = |x'|²/d (each + 1 with a bias of unit variance):

    relu     g = √2 max(h, 0)   Θ = √(ab)/π · (sin θ + (π − θ) cos θ),   cos θ = k/√(ab)     (arc-cosine, order 1)
    erf      g = erf(h)         Θ = 2/π · arcsin(2k/√((1 + 2a)(1 + 2b)))
    linear   g = h              Θ = k

All are Θ = ρ(a) ρ(b) F(s), where s is the product of the two inputs after each was scaled by an r(a) of its own: the
work on (n, m) entries is F alone. Backward is written by hand, because autograd's is ∞ · 0 where x = x'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from infwidth.numerics.checks import InputError, check_choice

CHUNK = 2**17
"""Kernel entries at once in a product: few enough to stay in a core's cache."""


def feature_kernel(x: Tensor, other: Tensor, *, activation: str, bias: bool = False) -> Tensor:
    """Return the kernel of infinitely many random features between two sets of inputs.

    Args:
        x: (n, d).
        other: (m, d), of the same dtype.
        activation: "relu" (features √2 relu), "erf" or "linear".
        bias: whether features have a bias of unit variance.

    Returns:
        Θ, (n, m): the mean over ω of g_ω(x) g_ω(x'); differentiable once in both, also where two inputs are the same.
        The derivative at an input of norm 0 is the one with relu'(0) = ½.

    Raises:
        InputError: an unknown activation, or inputs that aren't matrices with as many columns.
    """
    check_kernel(activation)
    _check_matrices(x, other)
    with torch.autocast(x.device.type, enabled=False):
        return _Kernel.apply(x, other, activation, bias)


def kernel_product(x: Tensor, other: Tensor, coefficients: Tensor, *, activation: str, bias: bool = False) -> Tensor:
    """Return Σ_j Θ(x, x'_j) c_j in chunks, so that no (n, m) matrix is held.

    Args:
        x: (n, d).
        other: x', (m, d), m ≥ 0.
        coefficients: c, (m, E).
        activation: "relu" (features √2 relu), "erf" or "linear".
        bias: whether features have a bias of unit variance.

    Returns:
        (n, E); differentiable once, in x alone. Backward computes the kernel's entries again.

    Raises:
        InputError: an unknown activation, or inputs that aren't matrices with as many columns.
    """
    check_kernel(activation)
    _check_matrices(x, other)
    with torch.autocast(x.device.type, enabled=False):
        return _Product.apply(x, other, coefficients, activation, bias)


def check_kernel(activation: str) -> str:
    """Return the activation if its kernel is known; raises InputError naming the choices otherwise."""
    return check_choice("activation", activation, _KERNELS)


def _check_matrices(x: Tensor, other: Tensor) -> None:
    if x.ndim != 2 or other.ndim != 2 or x.shape[1] != other.shape[1]:
        found = f"{tuple(x.shape)} and {tuple(other.shape)}"
        raise InputError(f"x and other have shapes {found}: expected (n, d) and (m, d); reshape them")


@dataclass(frozen=True)
class _Formula:
    """Θ = ρ(a) ρ(b) F(s) with s = r(a) r(b) k.

    Attributes:
        scale: a ↦ r.
        size: a ↦ ρ.
        gain: a ↦ ρ r, given apart because it has a limit at a = 0.
        radial: a ↦ p, the part of ∂Θ/∂a = p(a) ρ(b) U(s) that depends on a.
        value: s ↦ F; may write over s.
        slopes: s ↦ F' and U; may write over s. U is None where it vanishes.
    """

    scale: Callable[[Tensor], Tensor]
    size: Callable[[Tensor], Tensor]
    gain: Callable[[Tensor], Tensor]
    radial: Callable[[Tensor], Tensor]
    value: Callable[[Tensor], Tensor]
    slopes: Callable[[Tensor], tuple[Tensor, Tensor | None]]


def _safe(a: Tensor) -> Tensor:
    return a.clamp(min=torch.finfo(a.dtype).tiny)


def _sine(cosine: Tensor) -> Tensor:
    """√(1 − s²) of an s in [−1, 1]."""
    return torch.addcmul(cosine.new_ones(()), cosine, cosine, value=-1).sqrt_()


def _relu_value(s: Tensor) -> Tensor:
    # with s' = −s, π − θ is arccos s': no pass over the entries for it
    opposite = s.neg_().clamp_(-1, 1)
    return _sine(opposite).addcmul_(opposite.acos(), opposite, value=-1).mul_(1 / math.pi)


def _relu_slopes(s: Tensor) -> tuple[Tensor, Tensor]:
    opposite = s.neg_().clamp_(-1, 1)
    return opposite.acos().mul_(1 / math.pi), _sine(opposite).mul_(1 / math.pi)


def _erf_slopes(s: Tensor) -> tuple[Tensor, Tensor]:
    # s² reaches 1 by rounding alone
    slope = _sine(s.clamp_(-1, 1)).clamp_(min=torch.finfo(s.dtype).eps).reciprocal_().mul_(2 / math.pi)
    return slope, slope * s


_KERNELS = {
    "relu": _Formula(
        scale=lambda a: _safe(a).rsqrt(),
        size=torch.sqrt,
        gain=torch.ones_like,
        radial=lambda a: 0.5 * _safe(a).rsqrt(),
        value=_relu_value,
        slopes=_relu_slopes,
    ),
    "erf": _Formula(
        scale=lambda a: (a + 0.5).rsqrt(),
        size=torch.ones_like,
        gain=lambda a: (a + 0.5).rsqrt(),
        radial=lambda a: -1 / (1 + 2 * a),
        value=lambda s: s.clamp_(-1, 1).asin_().mul_(2 / math.pi),
        slopes=_erf_slopes,
    ),
    "linear": _Formula(
        scale=torch.ones_like,
        size=torch.ones_like,
        gain=torch.ones_like,
        radial=torch.zeros_like,
        value=lambda s: s,
        slopes=lambda s: (torch.ones_like(s), None),
    ),
}


class _Side:
    """One set of inputs, with what the formulas need of it: columns (n, 1), inputs with their bias (n, d [+ 1])."""

    def __init__(self, x: Tensor, formula: _Formula, bias: bool):
        self.dimension = x.shape[1]
        if bias:
            x = torch.cat([x, x.new_full((len(x), 1), math.sqrt(self.dimension))], dim=1)
        self.formula, self.x = formula, x
        self.a = x.square().sum(1, keepdim=True).div_(self.dimension)
        self.scaled = x * (formula.scale(self.a) / math.sqrt(self.dimension))
        self.size = formula.size(self.a)

    def gradient(self, pulled: Tensor, radial: Tensor | None) -> Tensor:
        """Put together the gradient in x, from Σ_j W ρ F' r x'_j/√d, (n, d [+ 1]), and Σ_j W ρ U, (n,)."""
        found = pulled * (self.formula.gain(self.a) / math.sqrt(self.dimension))
        if radial is not None:
            found += self.x * (self.formula.radial(self.a) * radial[:, None] * (2 / self.dimension))
        return found[:, : self.dimension]


class _Last(Function):
    """The identity, which can't be differentiated."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *origins: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *weights: Tensor) -> None:
        raise InputError(
            "a kernel of random features was differentiated twice (a gradient penalty?): expected once; use "
            "FrozenReadout of a large width instead"
        )


def _once(backward: Callable[..., tuple[Tensor | None, ...]]) -> Callable[..., tuple[Tensor | None, ...]]:
    """A backward that can't be differentiated itself, and says so; in full precision also under autocast."""

    def wrapped(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        with torch.no_grad(), torch.autocast(weight.device.type, enabled=False):
            found = backward(ctx, weight)
        if not torch.is_grad_enabled():
            return found
        return tuple(None if one is None else _Last.apply(one, weight, *ctx.saved_tensors) for one in found)

    return wrapped


class _Kernel(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, other: Tensor, activation: str, bias: bool) -> Tensor:
        ctx.save_for_backward(x, other)
        ctx.activation, ctx.bias = activation, bias
        formula = _KERNELS[activation]
        left, right = _Side(x, formula, bias), _Side(other, formula, bias)
        return formula.value(left.scaled @ right.scaled.T) * left.size * right.size.T

    @staticmethod
    @_once
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        formula = _KERNELS[ctx.activation]
        left, right = (_Side(x, formula, ctx.bias) for x in ctx.saved_tensors)
        slope, radial = formula.slopes(left.scaled @ right.scaled.T)
        found: list[Tensor | None] = [None, None]
        if ctx.needs_input_grad[0]:
            found[0] = _pull(left, right, weight, slope, radial)
        if ctx.needs_input_grad[1]:
            found[1] = _pull(right, left, weight.T, slope.T, None if radial is None else radial.T)
        return *found, None, None


def _pull(side: _Side, far: _Side, weight: Tensor, slope: Tensor, radial: Tensor | None) -> Tensor:
    """Gradient in one side's inputs of Σ W Θ; entries are (its inputs, the far side's)."""
    weighted = weight * far.size.T
    return side.gradient((weighted * slope) @ far.scaled, None if radial is None else (weighted * radial).sum(1))


class _Product(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, other: Tensor, coefficients: Tensor, activation: str, bias: bool) -> Tensor:
        ctx.save_for_backward(x, other, coefficients)
        ctx.activation, ctx.bias = activation, bias
        formula = _KERNELS[activation]
        left = _Side(x, formula, bias)
        out = x.new_zeros(len(x), coefficients.shape[1])
        for some in _chunks(len(x), len(other)):
            right = _Side(other[some], formula, bias)
            out.addmm_(formula.value(left.scaled @ right.scaled.T), right.size * coefficients[some])
        return out.mul_(left.size)

    @staticmethod
    @_once
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        x, other, coefficients = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return (None,) * 5
        formula = _KERNELS[ctx.activation]
        left = _Side(x, formula, ctx.bias)
        pulled, radial = torch.zeros_like(left.x), x.new_zeros(len(x))
        for some in _chunks(len(x), len(other)):
            right = _Side(other[some], formula, ctx.bias)
            slope, turning = formula.slopes(left.scaled @ right.scaled.T)
            weighted = weight @ (right.size * coefficients[some]).T
            if turning is not None:
                radial += turning.mul_(weighted).sum(1)
            pulled.addmm_(slope.mul_(weighted), right.scaled)
        return left.gradient(pulled, radial), None, None, None, None


def _chunks(n: int, m: int) -> Iterator[slice]:
    size = max(64, CHUNK // max(n, 1))
    return (slice(start, start + size) for start in range(0, m, size))
