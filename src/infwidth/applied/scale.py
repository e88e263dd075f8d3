"""The units of a user's inputs and labels."""

from __future__ import annotations

from typing import Self

import numpy as np

from infwidth.numerics.checks import InputError
from infwidth.tasks.own_labels import MOST_CLASSES, LabelUnits


class Scale:
    """Centre and one scale of inputs, or of each column."""

    def __init__(self, values: np.ndarray, *, centred: bool = True, axis: int | None = None):
        """Take values (n, …), and the axis that the scale is over: None for one of all."""
        self.centre = values.mean(0) * centred
        size = np.abs(values - self.centre).max(axis)
        size = np.where(size > 0, size, 1.0)  # so that no square over- or underflows
        size = size * np.sqrt(np.square((values - self.centre) / size).mean(axis))
        self.size = np.where(size > 0, size, 1.0)[()]

    @classmethod
    def of_labels(cls, values: np.ndarray, *, centred: bool = True) -> Self:
        """The units of labels (n,), or (n, C), each output's its own."""
        return cls(values.astype(np.float64), centred=centred, axis=0)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Values in these units."""
        return (values - self.centre) / self.size

    def back(self, values: np.ndarray) -> np.ndarray:
        """Values of these units as they were given."""
        return values * self.size + self.centre


def coded_classes(name: str, classes: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Labels y (n,) as outputs, ±1 or (n, C); raises InputError for one class or too many."""
    if len(classes) < 2:
        raise InputError(f"{name}: 1 class ({classes[0]}); expected at least two; add samples of another class")
    if len(classes) > MOST_CLASSES:
        raise InputError(
            f"{name}: {len(classes)} classes; expected at most {MOST_CLASSES}; keep fewer, or take the regressor"
        )
    return LabelUnits("", classes=classes)(name, y)
