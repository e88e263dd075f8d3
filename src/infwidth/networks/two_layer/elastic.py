"""The two combinations in which decay ½λ_W|W|² and elastic tie ½δ|W − W̄|² enter a network's hidden layer."""

from __future__ import annotations

import torch
from torch import Tensor


def tie(elastic_coupling: Tensor, hidden_decay: float) -> tuple[Tensor, Tensor]:
    """Return the stiffness L = λ_W + δ and the pull δ/L, (K,) each: inf and 1 at δ = inf; no coupling does not pull."""
    stiffness = elastic_coupling + hidden_decay
    pull = torch.where(torch.isfinite(stiffness), elastic_coupling / stiffness, 1.0)
    return stiffness, torch.where(elastic_coupling > 0, pull, 0.0)
