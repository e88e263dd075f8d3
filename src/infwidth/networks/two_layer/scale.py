"""What a gradient flow asks for in steps, by the scale of its inputs, before it starts."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from infwidth.networks.two_layer.ensemble import draw
from infwidth.numerics.checks import InputError

MANY_STEPS, MOST_STEPS = 1e5, 1e8
"""Steps expected of an integration from which it is said before the start, and from which there is none."""
REMEDY = "to be faster, reduce the feature-learning strength, rescale labels to order 1, or ask for a shorter time"
"""Where rates are high that no scale of the inputs foretold."""


def check_scale(which: str, x: Tensor, time: float, safety: float) -> None:
    """Say before the start where the inputs' scale asks for very many steps; raise InputError beyond ``MOST_STEPS``.

    The fastest rate of the flow is near the largest eigenvalue of XXᵀ/D, found from a few products with a vector.

    Args:
        which: "source" or "target".
        x: inputs, (B, P, D).
        time: to integrate.
        safety: step as a fraction of the stability limit.
    """
    rate, size = 0.0, 0.0
    for one in x[:1] if x.stride(0) == 0 else x:
        inputs = one.double() / x.shape[-1] ** 0.5
        vector = draw((len(inputs),), 0, "power iteration", inputs)
        for _ in range(4):
            vector = inputs @ (inputs.mT @ (vector / torch.linalg.vector_norm(vector).clamp(min=1e-300)))
        rate = max(rate, float(torch.linalg.vector_norm(vector)))
        size = max(size, float(inputs.square().sum(1).mean()))
    steps = time * rate / (2 * safety)
    if not steps >= MANY_STEPS:
        return
    found = f"the {which}'s inputs have |x|² = {size:.2g} D on average: some {steps:.0e} steps to time {time:g}"
    remedy = "scale them to |x|² ≈ D (entries of order 1), or ask for a shorter time"
    if steps >= MOST_STEPS:
        raise InputError(f"{found}: expected at most {MOST_STEPS:.0e}; {remedy}")
    warnings.warn(f"{found}; to be faster, {remedy}", stacklevel=2)
