"""A user's trained network in place of a source's data, at the scale that the elastic term knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from infwidth.numerics.activations import get_activation
from infwidth.numerics.arrays import real_array
from infwidth.numerics.checks import InputError, check_number
from infwidth.tasks.own_weights import balance, check_neurons


@dataclass(frozen=True, eq=False)
class GivenNetwork:
    """A network f_c(x) = Σ_i a_ci φ(W_i·x).

    Attributes:
        weights: W, (N, D).
        readout: a, (C, N); None where it is not known.
    """

    weights: np.ndarray
    readout: np.ndarray | None

    @classmethod
    def of(cls, weights: Any, readout: Any = None) -> GivenNetwork:
        """Check weights (N, D) and a readout (N,) or (C, N); raises InputError."""
        hidden = check_neurons("weights", weights)
        if readout is None:
            return cls(hidden, None)
        found = np.atleast_2d(real_array("readout", readout, "(neurons,) or (outputs, neurons)"))
        if found.ndim != 2 or found.shape[1] != len(hidden):
            raise InputError(
                f"readout: has shape {np.shape(readout)}; expected (outputs, {len(hidden)}), one weight a neuron; pass "
                "the last layer's weight"
            )
        if not np.isfinite(found).all():
            raise InputError("readout: holds NaN or infinite weights; expected finite ones; check the training")
        return cls(hidden, found)

    def anchor(self, size: float, *, activation: str, strength: float) -> np.ndarray:
        """W̄ (N, D) with h = W̄·x/√D for inputs x scaled by their size; balanced where there is a readout.

        Args:
            size: rms of the inputs that the network takes.
            activation: φ.
            strength: γ̄, by which w̄ = γ̄Na.

        Raises:
            InputError: a readout for a φ that is not 1-homogeneous, or one that is 0.
        """
        hidden = self.weights * (size * math.sqrt(self.weights.shape[1]))
        if self.readout is None:
            return hidden
        if get_activation(activation).homogeneity != 1:
            raise InputError(
                f"readout: activation {activation!r} isn't 1-homogeneous, so that the network has a scale of its own; "
                "expected hidden weights alone; leave the readout out"
            )
        strength = check_number("source_strength", strength, minimum=0.0, open_minimum=True)
        return hidden / balance(hidden, strength * len(hidden) * self.readout)
