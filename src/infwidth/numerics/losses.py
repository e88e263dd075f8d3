"""What is measured on predictions: the same functions for theory and networks."""

from __future__ import annotations

import math

import numpy as np

ROUNDING = 128.0
"""Rounding of an output that should vanish, in units of machine epsilon times the labels: the sum cancels."""


def mean_squared_error(prediction: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean of (f − y)² over samples, the last axis; no ½. Shapes (…, P) → (…)."""
    return np.mean((prediction - labels) ** 2, axis=-1)


def expected_squared_error(mean: np.ndarray, second_moment: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over samples of E(f − y)², from E f and E f² of a random predictor. Shapes (…, P) → (…)."""
    return np.mean(second_moment - 2 * mean * labels + labels**2, axis=-1)


def classification_error(
    prediction: np.ndarray, labels: np.ndarray, *, dtype: str | None = None
) -> dict[str, np.ndarray]:
    """Fraction of samples whose prediction has the wrong sign, as ``{"test_error": (…)}``; empty unless labels are ±1.

    A prediction below rounding, ``ROUNDING`` units of the labels' last place, is no class and counts as half an error.
    That of a network at f = 0 would have the sign of its machine's rounding.

    Args:
        prediction: f, (…, P).
        labels: y, (…, P).
        dtype: the floating-point type f was computed in, "float32" or "float64"; its own if None.

    Returns:
        The error, (…); NaN where a prediction is NaN.
    """
    if not np.all(np.abs(labels) == 1):
        return {}
    kind = np.result_type(prediction, np.float32) if dtype is None else dtype
    agreement = prediction * labels
    decided = np.abs(agreement) > ROUNDING * np.finfo(kind).eps
    wrong = np.where(decided, agreement < 0, 0.5)
    return {"test_error": np.mean(np.where(np.isnan(agreement), np.nan, wrong), axis=-1)}


def are_classes(labels: np.ndarray) -> bool:
    """Whether labels are classes: ±1 of one output, (P,), or one larger value a row and the others equal, (P, C)."""
    if labels.ndim == 1:
        return bool(np.all(np.abs(labels) == 1))
    ordered = np.sort(labels, axis=-1)
    rounding = _rounding(labels)
    alike = np.ptp(ordered[:, :-1], axis=-1) <= rounding if labels.shape[1] > 1 else np.array(False)
    return bool(alike.all() and (ordered[:, -1] > ordered[:, -2] + rounding).all())


def _rounding(labels: np.ndarray) -> float:
    return float(ROUNDING * np.finfo(np.float64).eps * np.abs(labels).max())


def class_error(prediction: np.ndarray, labels: np.ndarray) -> float:
    """Fraction of samples whose class is predicted wrongly; NaN unless the labels are classes.

    One output's class is its sign, of labels ±1. Several outputs' is the largest, of labels with one larger value a row
    and the others equal. Outputs that tie to rounding share the sample: n of them, the right one included, err by
    1 − 1/n.

    Args:
        prediction: f, (P,) or (P, C).
        labels: y, of that shape.
    """
    if labels.ndim == 1:
        return float(classification_error(prediction, labels).get("test_error", np.nan))
    if not are_classes(labels):
        return math.nan
    if not np.isfinite(prediction).all():
        return math.nan
    tied = prediction >= prediction.max(-1, keepdims=True) - _rounding(labels)
    right = np.take_along_axis(tied, labels.argmax(-1)[:, None], -1)[:, 0]
    return float(np.mean(1 - right / tied.sum(-1)))
