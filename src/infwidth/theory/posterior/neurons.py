"""Neurons sampled at infinite width: a network wide enough to stand for it, whose f is known everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.numerics.activations import get_activation

CHUNK = 2**24
"""Preactivations held at once."""


@dataclass(frozen=True, eq=False)
class Neurons:
    """Hidden weights of n neurons of a posterior, and what their features are read out with.

    Attributes:
        activation: φ's name.
        hidden: W, (n, D).
        output_weights: u with f(x) = Σ_i u_i φ(W_i·x/√D), (n,) or (n, C): ridge regression on the features,
            Φ(x, X)(Φ/λ_w + I/β)⁻¹y/λ_w.
    """

    activation: str
    hidden: np.ndarray
    output_weights: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return f at inputs (m, D), (m,) or (m, C)."""
        import torch  # takes a second, which those who only solve need not wait for twice

        phi, hidden = get_activation(self.activation).value, torch.from_numpy(self.hidden)
        output_weights, root = torch.from_numpy(self.output_weights), self.hidden.shape[1] ** 0.5
        rows = max(1, CHUNK // len(self.hidden))
        parts = [torch.from_numpy(x[start : start + rows] / root) for start in range(0, len(x), rows)]
        return torch.cat([phi(part @ hidden.T) @ output_weights for part in parts]).numpy()
