"""What an integrator's tolerance leaves open: one replica goes again at a coarser one (docs/theory.md §2)."""

from __future__ import annotations

import numpy as np

from infwidth.numerics.losses import output_rounding

COARSER = 10.0
"""How many times the tolerance is: the steps are a third to a tenth as many where it limits them."""
SHARE = 1 / 3
"""What of the change that makes is taken for the error: about COARSER^−½. For smooth activations errors fall as the
tolerance itself; neurons that slide along kinks make them fall more slowly, and by chance."""


def left_open(found: np.ndarray, coarser: np.ndarray, axes: int = 0) -> np.ndarray:
    """The error of numbers (…) by those of the same replica at the coarser tolerance, of the same shape.

    Over the last ``axes`` of them, points of one function, a root mean square stands for all: by chance the two courses
    cross at some.
    """
    change = SHARE * np.abs(coarser - found)
    over = tuple(range(-axes, 0))
    return change if not axes else np.broadcast_to(np.sqrt((change**2).mean(over, keepdims=True)), change.shape)


def left_open_in_loss(prediction: np.ndarray, coarser: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The error of mean (f − y)², (…), by f (…, P) of the same replica at either tolerance.

    It has what f's error e does to the loss, mean (2(f − y)e + e²), which vanishes where e happens to be orthogonal to
    the residual, and in quadrature what it would do if its signs were random: 2 √Σ(f − y)²e² / P. Rounding is no error
    of f: at time 0 both are 0 but for it.
    """
    rest, error = prediction - labels, SHARE * (coarser - prediction)
    error[np.abs(error) <= output_rounding(labels)] = 0.0
    by_chance = 4 * ((rest * error) ** 2).mean(-1) / len(labels)
    return np.sqrt((2 * rest * error + error**2).mean(-1) ** 2 + by_chance)
