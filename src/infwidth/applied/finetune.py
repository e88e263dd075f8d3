"""The finite network that a fitted estimator stands for, as a torch module."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from infwidth.numerics.activations import get_activation


class TransferNetwork(nn.Module):
    """C two-layer networks side by side, f_c(x) = Σ_i w_ci φ(W_ci·x/√D)/(γN), in the units of the user's data.

    Attributes:
        hidden: W, (C, N, D), a parameter.
        readout: w, (C, N), a parameter.
    """

    def __init__(
        self,
        weights: Sequence[tuple[Tensor, Tensor]],
        *,
        activation: str,
        strength: float,
        inputs: tuple[np.ndarray, float],
        outputs: tuple[float | np.ndarray, float | np.ndarray],
    ):
        """Take W and w of each output, φ, γ, and centre and scale of inputs and outputs."""
        super().__init__()
        self.activation, self.strength = activation, strength
        self.hidden = nn.Parameter(torch.stack([hidden for hidden, _ in weights]))
        self.readout = nn.Parameter(torch.stack([readout for _, readout in weights]))
        for name, value in zip(
            ("input_centre", "input_scale", "output_centre", "output_scale"), (*inputs, *outputs), strict=True
        ):
            self.register_buffer(name, torch.as_tensor(value, dtype=self.hidden.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs at inputs (n, D) as the estimator was given them: (n,) for one output, else (n, C)."""
        x = (x.to(self.hidden.dtype) - self.input_centre) / self.input_scale
        features = get_activation(self.activation).value(x @ self.hidden.mT / math.sqrt(x.shape[1]))  # (C, n, N)
        found = (features @ self.readout[:, :, None])[..., 0] / (self.strength * self.readout.shape[1])
        return (self.output_centre + self.output_scale * found.mT).squeeze(1)
