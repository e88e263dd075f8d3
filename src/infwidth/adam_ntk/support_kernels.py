"""Kernels of ReLU features whose ω are not fully supported, and what such features can't learn."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infwidth.adam_ntk.feature_kernels import feature_kernel
from infwidth.adam_ntk.random_features import SUPPORTS
from infwidth.numerics.checks import check_choice


def half_space_kernel(x: Tensor, other: Tensor) -> Tensor:
    """Return E[g_ω(x) g_ω(x') | ω_1 ≥ 0] of ReLU features, g = √2 relu(h), h = ω·x/√d.

    With relu(h) = (h + |h|)/2, turning ω to −ω leaves h h' + |h||h'| as it is and changes the sign of h|h'| + |h|h', so

        Θ_half = Θ + ½ E[sgn(ω_1)(h|h'| + |h|h')],
        E[h |h'| sgn ω_1] = (2/π) (k arcsin ρ' + p √(b − p'²)),

    by Stein's lemma, with k = E hh', b = E h'², p = E ω_1 h, p' = E ω_1 h' and ρ' = p'/√b.

    Args:
        x: (n, d).
        other: (m, d).

    Returns:
        (n, m).
    """
    d = x.shape[1]
    k = x @ other.T / d

    def odd(inner: Tensor, left: Tensor, right: Tensor) -> Tensor:
        p, q = left[:, :1] / math.sqrt(d), right[:, 0] / math.sqrt(d)
        b = (right.square().sum(1) / d).clamp(min=torch.finfo(x.dtype).tiny)
        arcsine = (q / b.sqrt()).clamp(-1, 1).arcsin()
        return (2 / math.pi) * (inner * arcsine + p * (b - q.square()).clamp(min=0).sqrt())

    return feature_kernel(x, other, activation="relu") + 0.5 * (odd(k, x, other) + odd(k.T, other, x).T)


def support_kernel(x: Tensor, other: Tensor, support: str) -> Tensor:
    """Return the kernel of ReLU features of a support, (n, m), for inputs (n, d) and (m, d).

    Raises:
        InputError: an unknown support.
    """
    if check_choice("support", support, SUPPORTS) == "half_space":
        return half_space_kernel(x, other)
    if support == "rank_deficient":
        kept = x.shape[1] - x.shape[1] // 2  # the features are those of fully supported ω on these coordinates
        x, other = x[:, :kept], other[:, :kept]
    return feature_kernel(x, other, activation="relu")


def least_loss(direction: Tensor, support: str) -> float:
    """Return E Var(y | coordinates of x that features of a support see), for the neuron along ``direction``, (d,).

    1 − E yy' over two inputs that share these coordinates and nothing else: their u·x correlate by ρ = |u_seen|², so
    E yy' = (√(1 − ρ²) + (π − arccos ρ) ρ)/π.
    """
    d = len(direction)
    seen = direction[: d - d // 2] if support == "rank_deficient" else direction
    rho = min(1.0, seen.square().sum().item())
    return max(0.0, 1 - (math.sqrt(1 - rho**2) + (math.pi - math.acos(rho)) * rho) / math.pi)
