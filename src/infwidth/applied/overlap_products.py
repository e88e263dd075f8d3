"""Squared norms of two tasks' linear parts and their inner product, unbiased, with the covariance of their errors.

An estimate is a sum over pairs of samples. Squared influences of single samples, summed as a jackknife does, count a
pair's own part twice, once with either sample, so it is taken off once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLOOR = 0.5
"""Least variance, of the pairs' own part. Where single samples move nothing (equal tasks) that part is all there is;
but with all of it as the floor the estimate's scatter would make errors too large on average."""


@dataclass(frozen=True)
class Products:
    """⟨b̄, b⟩, |b̄|² and |b|², all in one inner product.

    Attributes:
        values: the three, (3,).
        singles: covariance of their errors by influences of single samples, (3, 3).
        pairs: the part of it that is pairs' own and counted twice, (3, 3).
    """

    values: np.ndarray
    singles: np.ndarray
    pairs: np.ndarray

    @property
    def covariance(self) -> np.ndarray:
        """Of the errors, (3, 3)."""
        return self.singles - self.pairs

    def variance(self, slopes: np.ndarray) -> float:
        """Of a combination (3,) of the three."""
        own = float(slopes @ self.pairs @ slopes)
        return max(float(slopes @ self.singles @ slopes) - own, FLOOR * own)


def by_moments(x_source: np.ndarray, y_source: np.ndarray, x_target: np.ndarray, y_target: np.ndarray) -> Products:
    """Of a = Cov(x, y), by U-statistics; all arrays centred, inputs (P, D), labels (P, C).

    A pair's part is (x_i·x_j)(y_i·y_j). Where means are known the norm is its mean over pairs; where they are not, the
    unbiased estimate is that of the Hilbert–Schmidt independence criterion with linear kernels (Song et al., 2012).
    """
    pairs = (x_source @ x_target.T) * (y_source @ y_target.T)
    n_source, n_target = pairs.shape
    cross = pairs.sum() / ((n_source - 1) * (n_target - 1))
    rows, columns = pairs.mean(1) - pairs.mean(), pairs.mean(0) - pairs.mean()
    own = pairs - pairs.mean() - rows[:, None] - columns
    single, double, norms = np.zeros((3, 3)), np.zeros(3), []
    single[0, 0] = _of_mean(rows, rows) + _of_mean(columns, columns)
    double[0] = float(np.square(own).sum()) / ((n_source - 1) * (n_target - 1) * n_source * n_target)
    for place, x, y, influence in ((1, x_source, y_source, rows), (2, x_target, y_target, columns)):
        inputs, labels = x @ x.T, y @ y.T
        norms.append(_square_covariance(inputs, labels))
        within = inputs * labels
        np.fill_diagonal(within, 0.0)
        n = len(x)
        sums = within.sum(1)
        singles = 2 * (sums - sums.mean()) / (n - 1)
        own = within - (sums[:, None] + sums) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(own, 0.0)
        double[place] = 2 * float(np.square(own).sum()) / (n * (n - 3) * n * (n - 1))
        single[place, place] = _of_mean(singles, singles)
        single[0, place] = single[place, 0] = _of_mean(singles, influence)
    return Products(np.array([cross, *norms]), single, np.diag(double))


def _of_mean(one: np.ndarray, other: np.ndarray) -> float:
    """Covariance of two means over samples, from deviations (P,)."""
    return float(one @ other) / (len(one) * (len(one) - 1))


def _square_covariance(inputs: np.ndarray, labels: np.ndarray) -> float:
    """|Cov(x, y)|² from Gram matrices (P, P), unbiased."""
    inputs, labels, n = inputs.copy(), labels.copy(), len(inputs)
    np.fill_diagonal(inputs, 0.0)
    np.fill_diagonal(labels, 0.0)
    sums = inputs.sum(0), labels.sum(0)
    whole = (inputs * labels).sum() + sums[0].sum() * sums[1].sum() / ((n - 1) * (n - 2))
    return float(whole - 2 * sums[0] @ sums[1] / (n - 2)) / (n * (n - 3))


@dataclass(frozen=True)
class _Fit:
    """Least squares of one set.

    Attributes:
        weights: of each label in the slope, in coordinates where the inner product is Euclid's, (P, r).
        slope: (r, C).
        labels: centred, (P, C).
        form: F without diagonal, such that Σ_ij F_ij y_i·y_j is the squared norm, (P, P).
        noise: covariance of the labels' noise, (C, C).
    """

    weights: np.ndarray
    slope: np.ndarray
    labels: np.ndarray
    form: np.ndarray
    noise: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, metric: np.ndarray) -> _Fit:
        """Of centred inputs (P, r) and labels (P, C), in the inner product ``metric @ metric.T``."""
        orthogonal, upper = np.linalg.qr(x)
        weights = orthogonal @ np.linalg.solve(upper.T, metric)
        rest = np.eye(len(x)) - orthogonal @ orthogonal.T - 1 / len(x)  # maker of residuals
        # y_i times the residual that the fit without it leaves has the noise's variance as its mean, whatever others'
        share = np.square(weights).sum(1) / np.diagonal(rest)
        form = weights @ weights.T - (share[:, None] + share) * rest / 2
        np.fill_diagonal(form, 0.0)
        residuals = rest @ y
        noise = residuals.T @ residuals / (len(x) - x.shape[1] - 1)
        return cls(weights, weights.T @ y, y, form, noise)

    @property
    def influence(self) -> np.ndarray:
        """Slope of the squared norm in each label, (P, C)."""
        return 2 * self.form @ self.labels

    @property
    def square(self) -> float:
        """The squared norm of the slope less what noise adds."""
        return float((self.labels * (self.form @ self.labels)).sum())

    def covary(self, one: np.ndarray, other: np.ndarray) -> float:
        """Covariance that the noise gives two numbers whose slopes in the labels are (P, C)."""
        return float(((one @ self.noise) * other).sum())


def by_least_squares(
    x_source: np.ndarray, y_source: np.ndarray, x_target: np.ndarray, y_target: np.ndarray, *, on_target: bool
) -> Products:
    """Of slopes b, fitted; all arrays centred, inputs (P, r) of full rank with P > r + 1, labels (P, C).

    Args:
        x_source: (P1, r).
        y_source: (P1, C).
        x_target: (P2, r).
        y_target: (P2, C).
        on_target: whether the inner product is that of functions on the target's inputs; Euclid's of slopes otherwise.
    """
    degrees = len(x_target) - 1
    metric = np.linalg.qr(x_target, mode="r").T / np.sqrt(degrees) if on_target else np.eye(x_target.shape[1])
    source, target = _Fit.of(x_source, y_source, metric), _Fit.of(x_target, y_target, metric)
    values = np.array([float((source.slope * target.slope).sum()), source.square, target.square])
    single, double = np.zeros((3, 3)), np.zeros(3)
    on_cross = source.weights @ target.slope, target.weights @ source.slope
    for place, fit, influence in ((1, source, on_cross[0]), (2, target, on_cross[1])):
        double[place] = 2 * np.square(fit.form).sum() * np.square(fit.noise).sum()
        single[place, place] = fit.covary(fit.influence, fit.influence)
        single[0, place] = single[place, 0] = fit.covary(fit.influence, influence)
        single[0, 0] += fit.covary(influence, influence)
    double[0] = np.square(source.weights @ target.weights.T).sum() * float((source.noise * target.noise).sum())
    if on_target:  # the target's inputs are a sample, too
        single += _of_answers(source, target) / degrees
    return Products(values, single, np.diag(double))


def _of_answers(source: _Fit, target: _Fit) -> np.ndarray:
    """Covariance (3, 3) of f̄·f, |f̄|² and |f|² over inputs, by Isserlis: sums over many inputs are nearly Gaussian."""
    mixed = source.slope.T @ target.slope
    first, second = (fit.slope.T @ fit.slope - np.square(fit.weights).sum() * fit.noise for fit in (source, target))
    cross = float((first * second).sum() + (mixed * mixed.T).sum())
    with_first, with_second = 2 * float((first * mixed).sum()), 2 * float((second * mixed).sum())
    both = 2 * float(np.square(mixed).sum())
    squares = 2 * float(np.square(first).sum()), 2 * float(np.square(second).sum())
    return np.array([[cross, with_first, with_second], [with_first, squares[0], both], [with_second, both, squares[1]]])
