"""The units of a user's inputs and labels."""

from __future__ import annotations

import math

import numpy as np


class Scale:
    """Centre and one scale of inputs, and of labels."""

    def __init__(self, values: np.ndarray, *, centred: bool = True):
        self.centre = values.mean(0) * centred
        size = float(np.abs(values - self.centre).max()) or 1.0  # so that no square over- or underflows
        self.size = size * math.sqrt(np.square((values - self.centre) / size).mean()) or 1.0

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Values in these units."""
        return (values - self.centre) / self.size

    def back(self, values: np.ndarray) -> np.ndarray:
        """Values of these units as they were given."""
        return values * self.size + self.centre
