"""How strong feature learning may be before few neurons carry a function: an estimate from the lazy limit."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.activations import Activation, get_activation
from infwidth.numerics.seeds import generator
from infwidth.theory import kernels
from infwidth.theory.span import OutputSpan

DRAWS, STARTS, ASCENT = 1024, 32, 30
"""Directions drawn, those of them that the lazy solution favours most, and steps uphill from each."""
LENGTHS = (2.0, 4.0, 8.0)
"""Norms |W| tried, in the prior's standard deviations along one direction; nearer than two is the prior itself."""


def onset(x: np.ndarray, y: np.ndarray, *, activation: str, inverse_temperature: float) -> float:
    """Return the feature-learning strength at which the lazy solution's tilt would balance the prior somewhere.

    The law of one neuron is exp(−½|W|² + ½γ²|s(W)|²), s = Σ_μ g_μ φ(W·x_μ/√D) (docs/theory.md §1 (2)). With g of the
    lazy limit, g = (Φ + I/β)⁻¹y, the least γ at which a neuron far from the prior's bulk is as probable as one at 0 is
    min |W| / (|s(W)|² − |s(0)|²)^½. Beyond it neurons of a linearly growing φ would condense, and those of a
    bounded one have a second phase, were it not that features which learn take from g: so some times as much is still
    solved for.

    Args:
        x: inputs of |x|² ≈ D, (P, D).
        y: labels, (P,) or (P, C).
        activation: φ.
        inverse_temperature: β.

    Returns:
        γ > 0; inf where no direction is favoured.
    """
    phi, labels = get_activation(activation), OutputSpan.of(y).labels
    kernel = kernels.nngp(x, activation=phi)
    dual = np.linalg.solve(kernel + np.eye(len(x)) / inverse_temperature, labels.reshape(len(x), -1))
    inputs, dual = (torch.from_numpy(values).float() for values in (x / math.sqrt(x.shape[1]), dual))
    drawn = generator(0, "onset").standard_normal((DRAWS, x.shape[1]))
    drawn = torch.from_numpy(drawn).float()
    best = max(_tilt(inputs, dual, phi, length * drawn / drawn.norm(dim=1, keepdim=True)) for length in LENGTHS)
    return 1 / math.sqrt(best) if best > 0 else math.inf


def _tilt(inputs: Tensor, dual: Tensor, phi: Activation, hidden: Tensor) -> float:
    """The largest (|s(W)|² − |s(0)|²)/|W|² found at the length of weights (n, d)."""
    length = float(hidden[0].norm())

    def scores(weights: Tensor) -> Tensor:
        return phi.value(weights @ inputs.T) @ dual

    hidden = hidden[scores(hidden).norm(dim=1).topk(STARTS).indices]
    for _ in range(ASCENT):
        fields = hidden @ inputs.T
        slope = (phi.derivative(fields) * (phi.value(fields) @ dual @ dual.T)) @ inputs
        ahead = hidden / length + slope / slope.norm(dim=1, keepdim=True).clamp(min=1e-30)
        hidden = length * ahead / ahead.norm(dim=1, keepdim=True).clamp(min=1e-30)
    gain = scores(hidden).square().sum(1).max() - scores(torch.zeros_like(hidden[:1])).square().sum()
    return float(gain) / length**2
