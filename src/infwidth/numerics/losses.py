"""What is measured on predictions: the same functions for theory and networks."""

from __future__ import annotations

import numpy as np


def mean_squared_error(prediction: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean of (f − y)² over samples, the last axis; no ½. Shapes (…, P) → (…)."""
    return np.mean((prediction - labels) ** 2, axis=-1)


def expected_squared_error(mean: np.ndarray, second_moment: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over samples of E(f − y)², from E f and E f² of a random predictor. Shapes (…, P) → (…)."""
    return np.mean(second_moment - 2 * mean * labels + labels**2, axis=-1)


def classification_error(prediction: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Fraction of samples whose prediction has the wrong sign, as ``{"test_error": (…)}``; empty unless labels are ±1.

    A prediction of 0 counts as wrong. Shapes (…, P) → (…).
    """
    if not np.all(np.abs(labels) == 1):
        return {}
    return {"test_error": np.mean(prediction * labels <= 0, axis=-1)}
