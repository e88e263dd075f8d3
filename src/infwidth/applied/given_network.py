"""A user's trained network in place of a source's data, at the scale that the elastic term knows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError, check_number
from infwidth.tasks.own_data import OwnData
from infwidth.tasks.own_weights import balance, check_neurons, check_readout

FARTHEST = 1e6
"""How much larger or smaller than 1 the entries of a trained network's W̄ may be, rms."""


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
        return cls(hidden, None if readout is None else check_readout("readout", readout, len(hidden)))

    @classmethod
    def of_data(cls, data: OwnData) -> GivenNetwork | None:
        """The network that takes the source's place in a user's data, for inputs of size 1; None where none does."""
        if data.weights is None:
            return None
        return cls(data.weights / math.sqrt(data.weights.shape[1]), data.readout)

    def anchor(self, size: float, *, activation: str, strength: float) -> np.ndarray:
        """W̄ (N, D) with h = W̄·x/√D for inputs x scaled by their size; balanced where there is a readout.

        Args:
            size: rms of the inputs that the network takes.
            activation: φ.
            strength: γ̄, by which w̄ = γ̄Na.

        Raises:
            InputError: weights that are 0 or of an absurd size, or a readout that is 0 or for a φ that isn't
                1-homogeneous.
        """
        hidden = self.weights * (size * math.sqrt(self.weights.shape[1]))
        largest = float(np.abs(hidden).max()) or 1.0  # so that no square over- or underflows
        reach = largest * math.sqrt(np.square(hidden / largest).mean())
        if not 1 / FARTHEST <= reach <= FARTHEST:
            raise InputError(
                f"weights: preactivations are about {reach:.0e} at inputs of the target's size; expected them of order "
                "1; pass a trained layer, and inputs as it takes them"
            )
        if self.readout is None:
            return hidden
        if get_activation(activation).homogeneity != 1:
            raise InputError(
                f"readout: activation {activation!r} isn't 1-homogeneous, so that the network has a scale of its own; "
                "expected hidden weights alone; leave the readout out"
            )
        strength = check_number("source_strength", strength, minimum=0.0, open_minimum=True)
        return hidden / balance(hidden, strength * len(hidden) * self.readout)
