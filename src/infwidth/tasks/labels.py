"""Labels in the shapes that other libraries write, a column or one-hot, and classes as a network's outputs."""

from __future__ import annotations

import numpy as np

from infwidth.numerics.checks import InputError, check_count


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


def one_hot(classes: np.ndarray, count: int | None = None) -> np.ndarray:
    """Labels of C outputs for C classes: √C (e_c − 1/C), a row's sum 0 and its mean square 1 − 1/C.

    Args:
        classes: class indices 0 … C − 1, (n,).
        count: C ≥ 2; one more than the largest index if None.

    Returns:
        (n, C), for a :class:`~infwidth.tasks.transfer_task.TransferTask`.

    Raises:
        InputError: not whole numbers of one axis, out of range, or fewer than two classes.
    """
    indices = np.asarray(classes)
    if indices.ndim != 1 or indices.size == 0 or indices.dtype.kind not in "iu":
        raise InputError(
            f"classes has shape {indices.shape} and dtype {indices.dtype}: expected indices 0, 1, … of shape "
            "(samples,); number the classes"
        )
    largest = int(indices.max())
    count = check_count("count", largest + 1 if count is None else count, minimum=2)
    if indices.min() < 0 or largest >= count:
        outside = int(indices.min()) if indices.min() < 0 else largest
        raise InputError(f"classes holds {outside}: expected 0 … {count - 1}; number the classes so, or raise count")
    return np.sqrt(count) * (np.eye(count)[indices] - 1 / count)
