"""The two combinations in which decay ½λ_W|W|² and elastic tie ½δ|W − W̄|² enter a network's hidden layer."""

from __future__ import annotations

import torch
from torch import Tensor


def tie(coupling: Tensor, decay: float) -> tuple[Tensor, Tensor]:
    """Return the stiffness L = λ_W + δ and the pull δ/L, (K,) each: inf and 1 at δ = inf; no coupling does not pull."""
    stiffness = coupling + decay
    pull = torch.where(torch.isfinite(stiffness), coupling / stiffness, 1.0)
    return stiffness, torch.where(coupling > 0, pull, 0.0)
