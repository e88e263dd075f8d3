"""Lazy limits of infinitely wide, fully connected networks: NNGP and NTK (docs/theory.md §2 "Lazy kernels").

With inputs x of dimension D, weights and readout ~ N(0, 1) and hidden layers 1 … L,

    h¹ = σ_w W¹x/√D + σ_b b¹,    h^{l+1} = σ_w W^{l+1}φ(h^l)/√N + σ_b b^{l+1},    f = h^{L+1}

the preactivations of layer l have covariance Σ^l, and with (u, v) ~ N(0, Σ^l(x, x'))

    Σ¹ = σ_w² x·x'/D + σ_b²      Σ^{l+1} = σ_w² E φ(u)φ(v) + σ_b²
    Θ¹ = Σ¹                      Θ^{l+1} = Σ^{l+1} + σ_w² Θ^l ∘ E φ'(u)φ'(v)

NNGP is Σ^{L+1} and NTK Θ^{L+1}. One hidden layer with σ_w = 1, σ_b = 0 is the start of the networks of §2: NNGP is
Φ_0, NTK Φ_0 + K_W0. The Gaussian means are closed forms for linear, relu and erf; of any other φ Mehler series,
E φ(u)φ(v) = Σ_j A_j(a)A_j(b)c^j with A_j(a) = E φ(√a z)He_j(z)/√j! and c the correlation of u and v.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function

from infwidth.numerics.activations import Activation, get_activation
from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.theory.mehler import gaussian_means

Array = TypeVar("Array", np.ndarray, Tensor)
BLOCK = 2**17
"""Kernel entries at once where no gradient is asked for: few enough to stay in a core's cache."""
NEAR = 1e-4
"""1 − cos θ below which it is computed from the inputs' difference, not from their product, whose rounding it is."""
SMALL = 5e-3
"""1 − cos θ below which sin θ − θ cos θ is computed by its series, to rounding."""


@dataclass(frozen=True)
class Kernels:
    """Kernels between two sets of inputs.

    Attributes:
        nngp: covariance of the outputs of networks at their random start, (n, m).
        ntk: tangent kernel of all weights and biases, (n, m): gradient flow in the lazy limit is kernel regression
            with it.
    """

    nngp: Array
    ntk: Array


def solve(
    x: Array,
    other: Array | None = None,
    *,
    activation: str | Activation,
    layers: int = 1,
    weight_variance: float = 1.0,
    bias_variance: float = 0.0,
) -> Kernels:
    """Return NNGP and NTK of a fully connected network of infinite width.

    Args:
        x: inputs, (n, D), float64 or float32, numpy or torch.
        other: a second set, (m, D), of the same kind; None takes ``x``.
        activation: φ, by its registered name or itself. One that is neither linear, relu nor erf has to be smooth.
        layers: L ≥ 1, hidden layers.
        weight_variance: σ_w² > 0.
        bias_variance: σ_b² ≥ 0.

    Returns:
        Both kernels, as arrays of the inputs' kind. Of torch inputs they are differentiable, also where two inputs are
        the same: the NTK of relu has a kink there, whose derivative is taken to be the mean of both sides, 0.

    Raises:
        InputError: an argument out of range, inputs that aren't finite matrices with as many columns, or a φ so rough
            that its series needs too many terms, or kernels out of range.
    """
    phi = get_activation(activation) if isinstance(activation, str) else activation
    layers = check_count("layers", layers)
    weight = check_number("weight_variance", weight_variance, minimum=0.0, open_minimum=True)
    bias = check_number("bias_variance", bias_variance, minimum=0.0)
    left = _as_tensor("x", x)
    right = left if other is None else _as_tensor("other", other)
    if left.shape[1] != right.shape[1] or left.dtype != right.dtype:
        found = f"{tuple(left.shape)} {left.dtype} and {tuple(right.shape)} {right.dtype}"
        raise InputError(f"x and other are {found}: expected (n, D) and (m, D) of one dtype; convert them")
    network = _Network(phi, layers, weight, bias)
    found = _of(left, right, other is None, network)
    if not all(math.isfinite(kernel.detach().sum()) for kernel in found):
        raise InputError("kernels beyond the range of floating-point numbers: expected finite ones; rescale to order 1")
    return Kernels(*(kernel.numpy() for kernel in found)) if isinstance(x, np.ndarray) else Kernels(*found)


def _of(left: Tensor, right: Tensor, alone: bool, network: _Network) -> tuple[Tensor, Tensor]:
    """Both kernels, with their gradients where those are asked for."""
    if torch.is_grad_enabled() and (left.requires_grad or right.requires_grad):
        return network(_Side.of(left, network), _Side.of(right, network))
    return _in_blocks(left, None if alone else right, network)


def nngp(x: Array, other: Array | None = None, **network: object) -> Array:
    """Return the NNGP kernel alone, (n, m); arguments and errors as :func:`solve`."""
    return solve(x, other, **network).nngp


def ntk(x: Array, other: Array | None = None, **network: object) -> Array:
    """Return the NTK alone, (n, m); arguments and errors as :func:`solve`."""
    return solve(x, other, **network).ntk


@torch.no_grad()
def _in_blocks(x: Tensor, other: Tensor | None, network: _Network) -> tuple[Tensor, Tensor]:
    """Both kernels in blocks of rows; of a set with itself the upper half, mirrored."""
    near = _Side.of(x, network)
    far = near if other is None else _Side.of(other, network)
    n, m = len(near.inputs), len(far.inputs)
    found = x.new_empty(n, m), x.new_empty(n, m)
    start = 0
    while start < n:
        first = start if other is None else 0
        rows = slice(start, min(n, start + max(16, BLOCK // (m - first))))
        for kernel, block in zip(found, network(near[rows], far[first:]), strict=True):
            kernel[rows, first:] = block
            if other is None:
                kernel[rows.stop :, rows] = block[:, rows.stop - start :].T
        start = rows.stop
    return found


@dataclass(frozen=True)
class _Network:
    """The recursion over layers."""

    activation: Activation
    layers: int
    weight: float
    bias: float

    def __call__(self, left: _Side, right: _Side) -> tuple[Tensor, Tensor]:
        covariance = left.inputs @ right.inputs.T
        tangent = covariance
        angles = _Angles.between(left, right, covariance) if self.activation.name == "relu" else None
        for layer in range(self.layers):
            mean, slope = self._means(left, right, covariance, angles)
            covariance = mean if (self.weight, self.bias) == (1.0, 0.0) else mean * self.weight + self.bias
            tangent = torch.addcmul(covariance, tangent, slope, value=self.weight)
            if layer < self.layers - 1:
                above, beside = self.next_side(left), self.next_side(right)
                if angles is not None:
                    angles = self._next_angles(left, right, above, beside, angles)
                left, right = above, beside
        return covariance, tangent

    def _means(self, left: _Side, right: _Side, covariance: Tensor, angles: _Angles | None) -> tuple[Tensor, Tensor]:
        """E φ(u)φ(v) and E φ'(u)φ'(v) of one layer, (n, m)."""
        if self.activation.name == "linear":
            return covariance, torch.ones_like(covariance)
        if self.activation.name == "erf":
            return _erf_means(left.variance, right.variance.T, covariance)
        if angles is None:
            return gaussian_means(self.activation, left.variance, right.variance, covariance)
        shrunk = _RampGap.apply(angles.gap, angles.angle, angles.sine)
        return (1 - shrunk) * (0.5 * left.scale) * right.scale.T, _GateOverlap.apply(angles.gap, angles.angle)

    def next_side(self, side: _Side) -> _Side:
        """The variances of the next layer's preactivations."""
        a = side.variance
        if self.activation.name == "relu":
            mean = 0.5 * a
        elif self.activation.name == "linear":
            mean = a
        elif self.activation.name == "erf":
            mean = _erf_means(a, a, a)[0]
        else:
            mean = gaussian_means(self.activation, a, a, None)[0]
        return replace(side, variance=self.weight * mean + self.bias)

    def _next_angles(self, left: _Side, right: _Side, above: _Side, beside: _Side, angles: _Angles) -> _Angles:
        """Angles of the next layer of relu, its 1 − cos θ without the cancellation of a difference from 1."""
        size = (0.5 * self.weight * left.scale) * right.scale.T
        whole = (above.scale * beside.scale.T).clamp(min=torch.finfo(size.dtype).tiny)
        shrunk = _RampGap.apply(angles.gap, angles.angle, angles.sine) * size
        if self.bias:
            apart = (0.5 * self.weight * self.bias) * (left.scale - right.scale.T).square()
            shrunk = shrunk + apart / (whole + size + self.bias)
        return _Angles.acute(shrunk / whole)


@dataclass(frozen=True)
class _Side:
    """One set of inputs, scaled so that Σ¹ is a product, (n, D [+ 1]), and the variances of a layer, (n, 1)."""

    inputs: Tensor
    variance: Tensor

    @classmethod
    def of(cls, x: Tensor, network: _Network) -> _Side:
        inputs = x * math.sqrt(network.weight / x.shape[1])
        if network.bias:
            inputs = torch.cat([inputs, x.new_full((len(x), 1), math.sqrt(network.bias))], dim=1)
        return cls(inputs, inputs.square().sum(1, keepdim=True))

    def __getitem__(self, rows: slice) -> _Side:
        return _Side(self.inputs[rows], self.variance[rows])

    @property
    def scale(self) -> Tensor:
        """Standard deviations, (n, 1); their derivative at 0 is taken to be 0."""
        positive = self.variance > 0
        return torch.where(positive, self.variance, 1.0).sqrt() * positive


@dataclass(frozen=True)
class _Angles:
    """Angles between two sets of inputs.

    Attributes:
        gap: 1 − cos θ, (n, m), to full relative precision at small angles; what gradients go through.
        angle: θ, (n, m), without gradient; π − θ is exact to rounding too.
        sine: sin θ, likewise.
    """

    gap: Tensor
    angle: Tensor
    sine: Tensor

    @classmethod
    def between(cls, left: _Side, right: _Side, covariance: Tensor) -> _Angles:
        """Those of the inputs; where two nearly coincide, or oppose each other, from their difference, or their sum."""
        tiny = torch.finfo(covariance.dtype).tiny
        size = (left.scale * right.scale.T).clamp(min=tiny)
        gap = torch.sub(1, covariance / size).clamp(0, 2)
        least, largest = (float(end) for end in gap.detach().aminmax())
        if least < NEAR:
            gap = gap.index_put(*_near(left, right, (gap < NEAR) & (size > tiny), -1))
        found = cls.acute(gap)
        if largest > 2 - NEAR:
            places, rest = _near(left, right, (gap > 2 - NEAR) & (size > tiny), 1)
            small = cls.acute(rest.detach())
            found.angle[places], found.sine[places] = math.pi - small.angle, small.sine
        return found

    @classmethod
    def acute(cls, gap: Tensor) -> _Angles:
        """From 1 − cos θ alone, which says little of π − θ where θ is near π."""
        known = gap.detach()
        angle = (0.5 * known).sqrt_().asin_().mul_(2)
        return cls(gap, angle, (known * (2 - known)).sqrt_())


def _near(left: _Side, right: _Side, close: Tensor, sign: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Places of the pairs that are close, and ½|u ± v|² of each, u and v the inputs brought to norm 1."""
    rows, columns = torch.nonzero(close, as_tuple=True)
    halves = [left.inputs.new_empty(0)]
    step = max(1, 2**22 // left.inputs.shape[1])
    for some in range(0, len(rows), step):
        i, j = rows[some : some + step], columns[some : some + step]
        apart = left.inputs[i] / left.scale[i] + sign * right.inputs[j] / right.scale[j]
        halves.append(0.5 * apart.square().sum(1))
    return (rows, columns), torch.cat(halves)


class _RampGap(Function):
    """1 − F of 1 − cos θ, with F = (sin θ + (π − θ)cos θ)/π: E φ(u)φ(v) = ½√(ab) F for relu. Relatively precise."""

    @staticmethod
    def forward(ctx, gap: Tensor, angle: Tensor, sine: Tensor) -> Tensor:
        ctx.save_for_backward(gap, angle)
        turned = torch.addcmul(sine, angle, 1 - gap, value=-1)  # sin θ − θ cos θ, whose terms cancel at small angles
        if float(gap.min()) < SMALL:
            places = torch.nonzero(gap < SMALL, as_tuple=True)
            small = angle[places]
            square = small.square()
            turned[places] = small * square * (1 / 3 - square * (1 / 30 - square * (1 / 840 - square / 45360)))
        return torch.add(gap, turned, alpha=-1 / math.pi)

    @staticmethod
    def backward(ctx, weight: Tensor) -> tuple[Tensor, None, None]:
        return 2 * _GateOverlap.apply(*ctx.saved_tensors) * weight, None, None


class _GateOverlap(Function):
    """(π − θ)/2π of 1 − cos θ: E φ'(u)φ'(v) for relu. Its derivative at its kinks, θ = 0 and π, is taken to be 0."""

    @staticmethod
    def forward(ctx, gap: Tensor, angle: Tensor) -> Tensor:
        ctx.save_for_backward(angle)
        return (math.pi - angle).mul_(0.5 / math.pi)

    @staticmethod
    def backward(ctx, weight: Tensor) -> tuple[Tensor, None]:
        (angle,) = ctx.saved_tensors
        turning = (angle > 0) & (angle < math.pi)
        slope = torch.where(turning, -0.5 / (math.pi * torch.sin(torch.where(turning, angle, 1.0))), 0.0)
        return slope * weight, None


def _erf_means(a: Tensor, b: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """E φ(u)φ(v) and E φ'(u)φ'(v) of erf for variances a, b and covariance k, which broadcast."""
    root = torch.addcmul((1 + 2 * a) * (1 + 2 * b), k, k, value=-4).clamp(min=1.0).sqrt()  # ≥ 1 but for rounding
    return torch.atan2(2 * k, root) * (2 / math.pi), root.reciprocal() * (4 / math.pi)


def _as_tensor(name: str, value: Array) -> Tensor:
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        value = value.copy()  # PyTorch warns of tensors over memory that isn't to be written to
    array = torch.as_tensor(value)
    if array.ndim != 2 or array.numel() == 0 or array.dtype not in (torch.float64, torch.float32):
        raise InputError(
            f"{name} is {tuple(array.shape)} {array.dtype}: expected non-empty (samples, D) of float64 or float32; "
            "reshape or convert it"
        )
    if not torch.isfinite(array).all():
        raise InputError(f"{name} holds NaN or infinite entries: expected finite numbers; clean the data")
    return array
