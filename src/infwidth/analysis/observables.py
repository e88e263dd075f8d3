"""What is measured on predictions: the same functions for theory and networks."""

from __future__ import annotations

import numpy as np


def mean_squared_error(prediction: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean of (f − y)² over samples, the last axis; no ½. Shapes (…, P) → (…)."""
    return np.mean((prediction - labels) ** 2, axis=-1)


def expected_squared_error(mean: np.ndarray, second_moment: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean over samples of E(f − y)², from E f and E f² of a random predictor. Shapes (…, P) → (…)."""
    return np.mean(second_moment - 2 * mean * labels + labels**2, axis=-1)


def sign_error(prediction: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Fraction of samples whose prediction has the wrong sign, for labels ±1; 0 counts as wrong. (…, P) → (…)."""
    return np.mean(prediction * labels <= 0, axis=-1)


def losses(
    train: np.ndarray, train_labels: np.ndarray, test: np.ndarray, test_labels: np.ndarray
) -> dict[str, np.ndarray]:
    """Return train and test loss, and the test error where labels are ±1."""
    found = {
        "train_loss": mean_squared_error(train, train_labels),
        "test_loss": mean_squared_error(test, test_labels),
    }
    if np.all(np.abs(test_labels) == 1):
        found["test_error"] = sign_error(test, test_labels)
    return found
