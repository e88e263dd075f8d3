"""How far a source and a target ask for the same: the overlap of their linear parts, from samples alone.

A task's linear part is the slope b = Σ⁻¹a of its best linear predictor, with a = Cov(x, y) and Σ = Cov(x): the teacher
where that is linear, and what of any other a linear function can say. No teacher, covariance or noise has to be known.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from infwidth.applied.distinct import distinct
from infwidth.applied.overlap_products import Products, by_least_squares, by_moments
from infwidth.numerics.arrays import LARGEST_ENTRY, real_array
from infwidth.numerics.checks import InputError, check_choice
from infwidth.tasks.own_data import OwnData

INNER_PRODUCTS = {
    "functions": "of the linear parts, as functions on the target's inputs",
    "teachers": "of the linear parts' slopes",
    "covariances": "of the covariances of labels and inputs",
}
"""Inner product → what the overlap is of, in words."""
METHODS = ("least_squares", "moments")
FEWEST = 8
"""Samples of a set below which errors mean nothing."""
SAMPLES_A_DIRECTION = 1.25
"""With fewer, least squares fit the noise."""
RANK = 1e-14
"""Share of the largest eigenvalue of the inputs' covariance below which there is no direction."""
ROUNDING = 1e-12
"""Range of a column over its size, below which it is constant."""
CLEAR = 2.0
"""Standard errors by which a squared norm has to be above 0 for a ratio by it to have an error bar."""
WIDTH = 1.96
"""Half the interval, in standard errors."""


@dataclass(frozen=True)
class Overlap:
    """An overlap ⟨b̄, b⟩/(|b̄||b|), of matrices ⟨B̄, B⟩_F/(|B̄|_F|B|_F), with its error.

    Attributes:
        value: unbiased to second order, so it may pass ±1 by its error; NaN where there is no telling.
        stderr: standard error over both sets' samples.
        interval: 95 %: where in [−1, 1] the value would be within its error; all of it where there is no telling.
        inner_product: ``functions``, ``teachers`` or ``covariances``; see :func:`task_overlap`.
        method: ``least_squares`` or ``moments``; "" where neither was possible.
        reason: why there is no telling, or "".
    """

    value: float
    stderr: float
    interval: tuple[float, float]
    inner_product: str
    method: str
    reason: str = ""

    @classmethod
    def unknown(cls, reason: str, inner_product: str = "functions", method: str = "") -> Overlap:
        """No telling, and why."""
        return cls(math.nan, math.nan, (-1.0, 1.0), inner_product, method, reason)

    @property
    def sentence(self) -> str:
        """The answer in words."""
        if self.reason:
            return f"Overlap of source and target: can't tell; {self.reason}."
        low, high = (f"{end:.2f}".replace("-", "−") for end in self.interval)
        value = f"{self.value:.2f}".replace("-", "−")
        return (
            f"Overlap of source and target: {value} ± {self.stderr:.2f} (95 %: {low} … {high}), "
            f"{INNER_PRODUCTS[self.inner_product]}."
        )


def task_overlap(
    x_source: np.ndarray,
    y_source: np.ndarray,
    x_target: np.ndarray,
    y_target: np.ndarray,
    *,
    inner_product: str | None = None,
    method: str | None = None,
    input_covariance: str | np.ndarray | tuple[np.ndarray, np.ndarray] | None = None,
) -> Overlap:
    """Estimate the overlap of two tasks from their samples, which have to be independent, copies left out.

    Least squares take norms from slopes less what noise adds to them, sample by sample without the residual of its own,
    so that noise may depend on the input; moments are U-statistics of Cov(x, y) and need no more samples than inputs.
    Under nonlinear teachers both see the linear parts alone (none of an even function, 2/π of sign's square), and of
    features passed for inputs what is linear in them; of two classes, moments see the difference of their means.

    Args:
        x_source: inputs (P1, D).
        y_source: labels (P1,) or (P1, C).
        x_target: inputs (P2, D).
        y_target: labels (P2,) or (P2, C), as many outputs as the source's and in the same order.
        inner_product: ``functions``, b̄ᵀΣb with Σ the target's covariance: the correlation of the two functions on its
            inputs; ``teachers``, b̄·b; ``covariances``, ā·a: what a first step of gradient descent learns. All are the
            same for isotropic inputs. None takes functions where they can be told, covariances otherwise.
        method: ``least_squares``, of P ≥ 1.25 D samples in both sets, or ``moments``, which can tell functions and
            teachers only if the covariance is known. None takes the first that is possible.
        input_covariance: of inputs, if known: ``"isotropic"``, or (D, D), or (D,) of a diagonal one, or a pair of those
            for source and target. For moments; least squares estimate it.

    Returns:
        The overlap, NaN with a reason where a norm is not clear of its error.

    Raises:
        InputError: shapes that do not match, entries that are no numbers, fewer than 8 samples, a covariance that is
            not positive definite, or a method that can't tell the inner product from these data.
    """
    inner_product = inner_product and check_choice("inner_product", inner_product, tuple(INNER_PRODUCTS))
    method = method and check_choice("method", method, METHODS)
    sets = [_checked("source", x_source, y_source), _checked("target", x_target, y_target)]
    (inputs, outputs), (others, other_outputs) = ((x.shape[1], y.shape[1]) for x, y in sets)
    if inputs != others or outputs != other_outputs:
        raise InputError(
            f"source has {inputs} inputs and {outputs} outputs, target {others} and {other_outputs}: expected equally "
            "many; code both alike"
        )
    covariances = _covariances(input_covariance, inputs)
    for part, (_, y) in zip(("source", "target"), sets, strict=True):
        if not y.any():
            return Overlap.unknown(f"the {part}'s labels are all equal", inner_product or "functions")
    fit = None if method == "moments" or inner_product == "covariances" else _determined(sets)
    if fit:
        inner_product = inner_product or "functions"
        products = by_least_squares(*fit[0], *fit[1], on_target=inner_product == "functions")
        return _ratio(products, inner_product, "least_squares")
    if method == "least_squares":
        raise InputError(
            f"method = 'least_squares', inner_product = {inner_product!r}: expected functions or teachers, and "
            f"{SAMPLES_A_DIRECTION:g} samples in either set for each direction that inputs vary in, found "
            f"{len(sets[0][0])} and {len(sets[1][0])} of {inputs} inputs; take moments"
        )
    inner_product = inner_product or ("covariances" if covariances is None else "functions")
    if covariances is None and inner_product != "covariances":
        raise InputError(
            f"inner_product = {inner_product!r}: too few samples for least squares ({len(sets[0][0])} and "
            f"{len(sets[1][0])} of {inputs} inputs), expected input_covariance; give it, or take covariances"
        )
    return _ratio(by_moments(*_whitened(sets, covariances, inner_product)), inner_product, "moments")


def data_overlap(data: OwnData) -> Overlap:
    """The overlap of a user's two sets, copies merged and target samples that the source has left out.

    Raises:
        InputError: as :func:`infwidth.applied.distinct.distinct`.
    """
    if data.weights is not None:
        return Overlap.unknown("the source is given by its weights, not by samples")
    if data.y_source.shape[1:] != data.y_target.shape[1:]:
        return Overlap.unknown("source and target have different numbers of outputs")
    sets = distinct(data)
    data, judged = sets.data, sets.judged
    if min(len(data.y_source), judged.sum()) < FEWEST:
        return Overlap.unknown(f"it takes {FEWEST} samples of each that the other has not")
    return task_overlap(data.x_source, data.y_source, data.x_target[judged], data.y_target[judged])


def _ratio(products: Products, inner_product: str, method: str) -> Overlap:
    """C/√(AB) of C = ⟨b̄, b⟩, A = |b̄|², B = |b|², by the delta method to second order."""
    cross, source, target = products.values
    for part, norm, slopes in (("source", source, np.eye(3)[1]), ("target", target, np.eye(3)[2])):
        error = math.sqrt(products.variance(slopes))
        if not norm > CLEAR * error:
            height = f" ({norm / error:.1f} standard errors above 0)" if error else ""
            reason = f"the {part}'s linear part is not clear of its noise{height}; more {part} samples might tell"
            return Overlap.unknown(reason, inner_product, method)
    size = math.sqrt(source * target)
    scales = np.array([size, source, target])
    plain, spread = cross / size, products.covariance / np.outer(scales, scales)
    slopes = np.array([1.0, -plain / 2, -plain / 2])
    mixed = (spread[0, 1] + spread[0, 2]) / 2
    bias = plain * (3 / 8 * (spread[1, 1] + spread[2, 2]) + spread[1, 2] / 4) - mixed
    stderr = math.sqrt(products.variance(slopes / scales))

    def error(ratio: float) -> float:
        """Standard error of C − r√(AB), over √(AB)."""
        return math.sqrt(products.variance(np.array([1.0, -ratio / 2, -ratio / 2]) / scales))

    return Overlap(plain - bias, stderr, _interval(plain - bias, error), inner_product, method)


def _interval(value: float, error: Callable[[float], float]) -> tuple[float, float]:
    """The overlaps within [−1, 1] from which the value is no farther than its error there."""
    from scipy.optimize import brentq

    def excess(ratio: float) -> float:
        return abs(value - ratio) - WIDTH * error(ratio)

    middle = min(max(value, -1.0), 1.0)
    if excess(middle) >= 0:  # beyond ±1 by more than its error
        return middle, middle
    low, high = (float(brentq(excess, middle, end)) if excess(end) > 0 else end for end in (-1.0, 1.0))
    return low, high


def _checked(part: str, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (P, D) and labels (P, C), both centred."""
    x, y = real_array(f"x_{part}", x, "(samples, inputs)"), real_array(f"y_{part}", y, "(samples,)")
    if x.ndim != 2 or y.ndim not in (1, 2) or len(x) != len(y) or not x.size or not y.size:
        raise InputError(
            f"x_{part} has shape {x.shape}, y_{part} {y.shape}: expected (samples, inputs) and a label or a row of "
            "labels a sample; pass matching arrays"
        )
    if len(x) < FEWEST:
        raise InputError(f"x_{part}: {len(x)} samples; expected at least {FEWEST}; add some")
    for name, array in ((f"x_{part}", x), (f"y_{part}", y)):
        largest = np.abs(array).max()
        if not largest <= LARGEST_ENTRY:
            raise InputError(f"{name} holds {largest:.0e}: expected finite numbers up to {LARGEST_ENTRY:g}; clean it")
    return _centred(x), _centred(y.reshape(len(y), -1))


def _centred(array: np.ndarray) -> np.ndarray:
    """Columns less their means and in all of order 1; 0 where rounding alone makes them differ."""
    array = array / (np.abs(array).max() or 1.0)
    array = np.where(np.ptp(array, axis=0) > ROUNDING * np.abs(array).max(0), array - array.mean(0), 0.0)
    return array / (np.abs(array).max() or 1.0)


def _determined(sets: list) -> list | None:
    """Sets in coordinates of the directions that inputs vary in, where samples determine all slopes; else None."""
    together = np.concatenate([x for x, _ in sets])
    wide = len(together) < together.shape[1]
    squares, directions = np.linalg.eigh(together @ together.T if wide else together.T @ together)
    kept = squares > RANK * max(squares[-1], np.finfo(float).tiny)
    needed = SAMPLES_A_DIRECTION * kept.sum() + 3
    if not kept.any() or any(len(x) < needed for x, _ in sets):
        return None
    basis = directions[:, kept]
    if wide:
        basis = together.T @ (basis / np.sqrt(squares[kept]))
    found = [(x @ basis, y) for x, y in sets]
    for x, _ in found:
        left, singular, _ = np.linalg.svd(x, full_matrices=False)
        leverage = np.square(left).sum(1) + 1 / len(x)
        # a direction that one sample alone has would leave it without a residual
        if singular[-1] ** 2 <= RANK * singular[0] ** 2 or leverage.max() > 1 - 1e-6:
            return None
    return found


def _covariances(given: object, dimension: int) -> list[np.ndarray] | None:
    """Those of source and target, (D, D) each; None where they are not known."""
    if given is None:
        return None
    if isinstance(given, str):
        check_choice("input_covariance", given, ("isotropic",))
        return [np.eye(dimension)] * 2
    found = []
    for one in given if isinstance(given, tuple) else (given, given):
        array = real_array("input_covariance", one, "(inputs, inputs)")
        array = np.diag(array) if array.ndim == 1 else array
        good = array.shape == (dimension, dimension) and np.isfinite(array).all() and np.allclose(array, array.T)
        if not good or not np.linalg.eigvalsh(array)[0] > 0:
            raise InputError(
                f"input_covariance has shape {np.shape(one)}: expected {dimension} variances or a symmetric, positive "
                f"definite ({dimension}, {dimension}); correct it"
            )
        found.append(array)
    if len(found) != 2:
        raise InputError(f"input_covariance: a tuple of {len(found)}; expected one of source and target; give two")
    return found


def _whitened(sets: list, covariances: list | None, inner_product: str) -> tuple:
    """Inputs z with Cov(z, y) = b, in the coordinates where the inner product is Euclid's, and labels."""
    if inner_product == "covariances":
        return *sets[0], *sets[1]
    metric = np.linalg.cholesky(covariances[1]) if inner_product == "functions" else np.eye(len(covariances[0]))
    (z_source, z_target) = (
        x @ np.linalg.solve(covariance, metric) for (x, _), covariance in zip(sets, covariances, strict=True)
    )
    return z_source, sets[0][1], z_target, sets[1][1]
