"""What is measured on predictions: the same functions for theory and networks."""

from __future__ import annotations

import math

import numpy as np

ROUNDING = 128.0
"""Rounding of an output that should vanish, in units of machine epsilon times the labels: the sum cancels."""
FAR = 1e3
"""A training that ends at so many times the loss of knowing nothing has diverged, though its numbers be finite: steps
too long for the loss grow without bound, or as the learning rate where their size is held."""


def mean_squared_error(prediction: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean of (f − y)² over samples, the last axis; no ½. Shapes (…, P) → (…)."""
    return np.mean((prediction - labels) ** 2, axis=-1)


def expected_squared_error(mean: np.ndarray, second_moment: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over samples of E(f − y)², from E f and E f² of a random predictor. Shapes (…, P) → (…)."""
    return np.mean(second_moment - 2 * mean * labels + labels**2, axis=-1)


def classification_error(
    prediction: np.ndarray, labels: np.ndarray, *, several_outputs: bool = False, dtype: str | None = None
) -> dict[str, np.ndarray]:
    """Fraction of samples of a wrongly predicted class, as ``{"test_error": (…)}``; empty unless labels are classes.

    One output's class is its sign, of labels ±1. Several outputs' is the largest, of labels with one larger value a
    sample and the others equal. What is within rounding, ``ROUNDING`` units of the labels' last place, is undecided: a
    prediction of 0, which would have the sign of its machine's rounding, counts as half an error, and n outputs that
    tie, the right one among them, as 1 − 1/n.

    Args:
        prediction: f, (…, P), or (…, P, C).
        labels: y, likewise.
        several_outputs: whether the last axis is of outputs.
        dtype: the floating-point type f was computed in, "float32" or "float64"; its own if None.

    Returns:
        The error, (…); NaN where a prediction is not finite.
    """
    if not are_classes(labels, several_outputs=several_outputs):
        return {}
    kind = np.result_type(prediction, np.float32) if dtype is None else dtype
    rounding = output_rounding(labels, kind)
    if several_outputs:
        tied = prediction >= prediction.max(-1, keepdims=True) - rounding
        right = (tied & (labels == labels.max(-1, keepdims=True))).any(-1)
        wrong, known = 1 - right / np.maximum(tied.sum(-1), 1), np.isfinite(prediction).all(-1)
    else:
        agreement = prediction * labels
        wrong, known = np.where(np.abs(agreement) > rounding, agreement < 0, 0.5), ~np.isnan(agreement)
    return {"test_error": np.mean(np.where(known, wrong, np.nan), axis=-1)}


def are_classes(labels: np.ndarray, *, several_outputs: bool) -> bool:
    """Whether labels are classes: ±1 of one output, or of several, the last axis, one larger and the others equal."""
    if not several_outputs:
        return bool(np.all(np.abs(labels) == 1))
    if labels.shape[-1] < 2:
        return False
    ordered, rounding = np.sort(labels, axis=-1), output_rounding(labels)
    alike = np.ptp(ordered[..., :-1], axis=-1) <= rounding
    return bool(alike.all() and (ordered[..., -1] > ordered[..., -2] + rounding).all())


def output_rounding(labels: np.ndarray, kind: np.dtype | type | str = np.float64) -> float:
    """Below what an output of these labels, computed in a floating-point type, may be rounding alone."""
    return float(ROUNDING * np.finfo(kind).eps * np.abs(labels).max())


def class_error(prediction: np.ndarray, labels: np.ndarray) -> float:
    """:func:`classification_error` of f (P,) or (P, C) and y of that shape; NaN unless the labels are classes."""
    found = classification_error(prediction, labels, several_outputs=labels.ndim > 1)
    return float(found.get("test_error", math.nan))
