"""Labels in the shapes that other libraries write: a column, or one-hot."""

from __future__ import annotations

import numpy as np


def flat_labels(y: np.ndarray) -> tuple[np.ndarray, str]:
    """Read labels of shape (n, 1) as (n,), and one-hot ones (n, C) as class indices 0 … C − 1.

    Args:
        y: labels of any shape.

    Returns:
        The labels, unchanged where they are neither, and what was done in words, or "".
    """
    if y.ndim < 2 or y.size == 0:
        return y, ""
    if y.size == len(y):
        return y.reshape(-1), f"labels of shape {y.shape} read as ({len(y)},)"
    if y.ndim == 2 and y.dtype.kind in "biuf" and ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all():
        return y.argmax(1), f"one-hot labels of shape {y.shape} read as class indices 0 … {y.shape[1] - 1}"
    return y, ""
