"""Laplace's approximation to the evidence of one trained network, its prior centred on the source's weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from infwidth.numerics.activations import get_activation


def laplace_evidence(
    hidden: Tensor,
    readout: Tensor,
    source_weights: Tensor | None,
    x: Tensor,
    y: Tensor,
    *,
    activation: str,
    strength: float,
    elastic_coupling: float,
    inverse_temperature: float,
) -> float:
    """Log-evidence with the generalised Gauss–Newton curvature of all weights at those of a trained network.

    The model is the posterior's (docs/theory.md §1): noise of variance 1/(βγ²N), w ~ N(0, 1), and
    W ~ N(δ/(1 + δ) W̄, 1/(1 + δ)). With J = ∂f/∂(w, W) and prior covariance C the log-determinant is that of
    1 + βγ²N J C Jᵀ, (P, P). This is what laplace-torch computes with full curvature.

    Args:
        hidden: W, (N, D).
        readout: w, (N,).
        source_weights: W̄, (N, D); None at δ = 0.
        x: inputs, (P, D).
        y: labels, (P,).
        activation: φ.
        strength: γ.
        elastic_coupling: δ in units of the prior's precision; inf freezes W.
        inverse_temperature: β.
    """
    phi, (count, dimension) = get_activation(activation), hidden.shape
    inputs = x.to(hidden) / math.sqrt(dimension)
    before = inputs @ hidden.T  # (P, N)
    value = phi.value(before)
    scale = 1 / (strength * count)
    residual = y.to(hidden) - scale * value @ readout
    precision = inverse_temperature * strength**2 * count
    kernel = value @ value.T
    misfit = precision * residual @ residual + readout @ readout
    if not math.isinf(elastic_coupling):
        slopes = readout * phi.derivative(before)
        kernel = kernel + (slopes @ slopes.T) * (inputs @ inputs.T) / (1 + elastic_coupling)
        pull = elastic_coupling / (1 + elastic_coupling)
        offset = hidden if source_weights is None else hidden - pull * source_weights
        misfit = misfit + (1 + elastic_coupling) * offset.square().sum()
    curvature = torch.eye(len(x)).to(hidden) + precision * scale**2 * kernel
    normal = len(x) * math.log(2 * math.pi / precision)
    return float(-0.5 * (misfit + torch.logdet(curvature) + normal))
