"""Means of a smooth activation over two correlated Gaussians, by Mehler's series (docs/theory.md §2 "Lazy kernels")."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.numerics.checks import InputError

TOLERANCE = 1e-13
"""What the series may leave out, relative to E φ², and to E φ'²."""
TERMS = (32, 64, 128, 256, 512, 1024, 2048)
"""Numbers of terms tried in turn."""
REACH, STEP = 13.0, 1 / 32
"""Nodes of the trapezoidal rule in units of √a, spectrally accurate for smooth φ: the Gaussian ends below 1e-36."""


def gaussian_means(activation: Activation, a: Tensor, b: Tensor, covariance: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return E φ(u)φ(v) and E φ'(u)φ'(v).

    Args:
        activation: φ, smooth.
        a: variances of u, (n, 1).
        b: variances of v, (m, 1).
        covariance: of u and v, (n, m); None takes u = v, (n, 1).

    Returns:
        Both means, (n, m), or (n, 1) for u = v.

    Raises:
        InputError: the series needs more than the last of :data:`TERMS`, as it does for a φ with kinks.
    """
    if covariance is None:
        return _same(activation, a)
    scale = a.clamp(min=torch.finfo(a.dtype).tiny).sqrt() * b.clamp(min=torch.finfo(b.dtype).tiny).sqrt().T
    correlation = (covariance / scale).clamp(-1, 1)
    means = []
    for function in (activation.value, activation.derivative):
        left, right = _coefficients(function, a, activation.name), _coefficients(function, b, activation.name)
        terms = min(len(left), len(right))
        total = torch.zeros_like(correlation)
        for j in range(terms - 1, -1, -1):  # Horner's scheme
            total = total * correlation + left[j][:, None] * right[j]
        means.append(total)
    return means[0], means[1]


def _nodes(a: Tensor) -> tuple[Tensor, Tensor]:
    z = torch.arange(-REACH, REACH + STEP / 2, STEP, dtype=a.dtype, device=a.device)
    return z, torch.exp(-0.5 * z.square()) * (STEP / math.sqrt(2 * math.pi))


def _same(activation: Activation, a: Tensor) -> tuple[Tensor, Tensor]:
    z, density = _nodes(a)
    h = a.sqrt() * z
    return tuple(
        (function(h).square() * density).sum(1, keepdim=True) for function in (activation.value, activation.derivative)
    )


def _coefficients(function, a: Tensor, name: str) -> Tensor:
    """A_j(a) = E f(√a z)He_j(z)/√j!, (terms, n), as many as leave out less than the tolerance."""
    z, density = _nodes(a)
    values = function(a.sqrt() * z) * density
    whole = (function(a.sqrt() * z).square() * density).sum(1)
    found: list[Tensor] = []
    before, polynomial = torch.zeros_like(z), torch.ones_like(z)
    tolerance = max(TOLERANCE, 4 * torch.finfo(a.dtype).eps)
    for terms in TERMS:
        while len(found) < terms:
            j = len(found)
            found.append(values @ polynomial)
            before, polynomial = polynomial, (z * polynomial - math.sqrt(j) * before) / math.sqrt(j + 1)
        series = torch.stack(found)
        left_out = (whole - series.square().sum(0)).abs().amax() / whole.amax().clamp(min=torch.finfo(a.dtype).tiny)
        if left_out <= tolerance:
            return series
    raise InputError(
        f"activation = {name!r}: {TERMS[-1]} terms of its Hermite series leave out {float(left_out):.1e} of its "
        f"square at variance {float(a.max()):.3g}; expected a smooth one, or inputs of smaller norm; rescale the inputs"
    )
