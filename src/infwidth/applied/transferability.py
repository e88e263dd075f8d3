"""Scores of how well a source's features suit a target, from the literature, by target training samples alone.

What they know of a source is its features or answers on the target's inputs; none knows of δ. Higher is better.
"""

from __future__ import annotations

import math

import numpy as np

from infwidth.numerics.checks import InputError

ROUNDS = 200
"""Fixed-point rounds allowed LogME."""
CLOSE = 1e-10


def log_me(features: np.ndarray, labels: np.ndarray) -> float:
    """LogME: log-evidence a sample of Bayesian linear regression on features at its best precisions.

    y ~ N(Fw, 1/β), w ~ N(0, 1/α); α and β by MacKay's fixed point (You et al., ICML 2021).

    Args:
        features: F, (P, N).
        labels: y, (P,), or (P, C), of which the mean over outputs is taken.

    Returns:
        The largest log-evidence over P.

    Raises:
        InputError: shapes that do not match.
    """
    features, labels = _checked(features, labels)
    left, singular, _ = np.linalg.svd(features, full_matrices=False)
    values = [_evidence(left.T @ y, singular**2, float(y @ y), *features.shape) for y in labels.T]
    return float(np.mean(values)) / len(features)


def _evidence(projected: np.ndarray, squares: np.ndarray, norm: float, samples: int, width: int) -> float:
    """Log-evidence of labels whose parts along the left singular vectors are ``projected``, (r,)."""
    outside = max(norm - float(projected @ projected), 0.0)
    alpha, beta, old = 1.0, 1.0, -math.inf
    for _ in range(ROUNDS):
        ridge = alpha + beta * squares
        weight = beta**2 * float((squares * projected**2 / ridge**2).sum())  # |m|²
        error = float((projected**2 * (alpha / ridge) ** 2).sum()) + outside
        value = 0.5 * (
            width * math.log(alpha)
            + samples * math.log(beta / (2 * math.pi))
            - beta * error
            - alpha * weight
            - np.log(ridge).sum()
            - (width - len(squares)) * math.log(alpha)
        )
        if abs(value - old) <= CLOSE * (1 + abs(value)):
            break
        old = value
        known = float((beta * squares / ridge).sum())
        alpha = max(known, CLOSE) / max(weight, CLOSE)
        beta = max(samples - known, CLOSE) / max(error, CLOSE)
    return value


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """H-score: tr(Σ⁻¹ cov E[F|y]), with Ledoit and Wolf's Σ, which many features of few samples need.

    Bao et al., ICIP 2019; Ibrahim et al., 2022.

    Args:
        features: F, (P, N).
        labels: classes, (P,).

    Raises:
        InputError: shapes that do not match.
    """
    from sklearn.covariance import ledoit_wolf

    features, labels = _checked(features, labels)
    centred = features - features.mean(0)
    covariance, shrinkage = ledoit_wolf(centred, assume_centered=True)
    means = np.zeros_like(centred)
    for label in np.unique(labels):
        some = labels[:, 0] == label
        means[some] = centred[some].mean(0)
    between = (1 - shrinkage) * means.T @ means / len(means)
    return float(np.trace(np.linalg.lstsq(covariance, between, rcond=None)[0]))


def leep(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """LEEP: mean log-likelihood of target labels through the source's classes, Σ_z p̂(y|z) p(z|x).

    Nguyen et al., ICML 2020.

    Args:
        probabilities: p(z|x) of the source's classes on the target's inputs, (P, Z), rows of sum 1.
        labels: the target's classes, (P,).

    Raises:
        InputError: shapes that do not match.
    """
    probabilities, labels = _checked(probabilities, labels)
    classes, index = np.unique(labels[:, 0], return_inverse=True)
    joint = np.stack([probabilities[index == c].sum(0) for c in range(len(classes))]) / len(probabilities)
    given = joint / np.maximum(joint.sum(0), np.finfo(float).tiny)
    return float(np.log((given[index] * probabilities).sum(1)).mean())


def _checked(features: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both in float64, labels as (P, C)."""
    features, labels = np.asarray(features, float), np.asarray(labels, float)
    if features.ndim != 2 or labels.ndim not in (1, 2) or len(features) != len(labels) or not len(labels):
        raise InputError(
            f"features have shape {features.shape}, labels {labels.shape}: expected (samples, features) and a label or "
            "a row of labels a sample; pass matching arrays"
        )
    return features, labels.reshape(len(labels), -1)
