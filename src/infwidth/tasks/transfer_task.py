"""The data of one transfer problem: source, target and test sets as frozen arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.numerics.arrays import real_array
from infwidth.numerics.checks import InputError


@dataclass(frozen=True, eq=False)
class TransferTask:
    """A source and a target task on inputs of one dimension D.

    Attributes:
        x_source: source inputs, (P1, D).
        y_source: source labels, (P1,), or (P1, C̄) of a network with C̄ outputs.
        x_target: target training inputs, (P2, D).
        y_target: target training labels, (P2,), or (P2, C) of C outputs, whatever the source has.
        x_test: target test inputs, (Pt, D).
        y_test: target test labels, (Pt,) or (Pt, C) as the target's.
        label: what a figure's title says of the data.

    Raises:
        InputError: not real numbers, wrong shapes, empty sets, differing dimensions or outputs of target and test,
            masked, NaN or infinite entries.

    All arrays are converted to float64 and made read-only. Inputs enter a network as W·x/√D, so entries of
    order 1 (|x|² ≈ D) are the natural scale; classes enter as :func:`infwidth.tasks.one_hot` codes them.
    """

    x_source: np.ndarray
    y_source: np.ndarray
    x_target: np.ndarray
    y_target: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    label: str = ""

    def __post_init__(self) -> None:
        for part in ("source", "target", "test"):
            x = self._freeze(f"x_{part}", (2,), "(samples, dimension)")
            y = self._freeze(f"y_{part}", (1, 2), "(samples,) or (samples, outputs)")
            if len(x) != len(y):
                raise InputError(
                    f"x_{part} has {len(x)} samples, y_{part} has {len(y)}: expected as many labels as "
                    "inputs; pass matching arrays"
                )
        dimensions = {part: getattr(self, f"x_{part}").shape[1] for part in ("source", "target", "test")}
        if len(set(dimensions.values())) > 1:
            raise InputError(f"input dimensions {dimensions} differ: expected one; embed all inputs alike")
        target, test = self.y_target.shape, self.y_test.shape
        if target[1:] != test[1:]:
            raise InputError(
                f"y_test has shape {test}, y_target has {target}: expected equally many outputs; code both alike"
            )

    def _freeze(self, name: str, ndims: tuple[int, ...], shape: str) -> np.ndarray:
        array = real_array(name, getattr(self, name), shape)
        if array.ndim not in ndims or array.size == 0:
            raise InputError(f"{name} has shape {array.shape}: expected non-empty {shape}; reshape it")
        bad = array.size - np.count_nonzero(np.isfinite(array))
        if bad:
            raise InputError(f"{name} holds {bad} NaN or infinite entries: expected finite numbers; clean the data")
        array.setflags(write=False)
        object.__setattr__(self, name, array)
        return array

    @property
    def dimension(self) -> int:
        """Input dimension D."""
        return self.x_target.shape[1]

    @property
    def several_outputs(self) -> bool:
        """Whether source or target has labels of shape (P, C)."""
        return self.y_source.ndim > 1 or self.y_target.ndim > 1

    def refuse_several_outputs(self, what: str) -> None:
        """Raise InputError, on behalf of what covers networks of one output alone, if labels have shape (P, C)."""
        for name in ("y_source", "y_target"):
            shape = getattr(self, name).shape
            if len(shape) > 1:
                raise InputError(
                    f"{name} has shape {shape}: {what} covers one output, expected (samples,); pass one column"
                )
