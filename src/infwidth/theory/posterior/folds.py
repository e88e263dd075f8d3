"""What a posterior says of samples that it was not given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.numerics.checks import InputError


@dataclass(frozen=True)
class FoldsLeftOut:
    """Residuals y − f of each target sample, f without its fold.

    Attributes:
        residuals: (P,), by solving again; NaN where that was not asked for or has no answer.
        stderr: of ``residuals``, from particles, (P,); 0 where nothing is sampled.
        first_order: the same to first order in the removal of the fold, (P,).
        fixed: ridge regression's, without the fold, on the features that were learnt without it, (P,); NaN likewise.
        fixed_single: ridge regression's, without the sample alone, on the same features: what the other samples of a
            fold teach is known from the two, (P,).
    """

    residuals: np.ndarray
    stderr: np.ndarray
    first_order: np.ndarray
    fixed: np.ndarray
    fixed_single: np.ndarray


def check_folds(folds: np.ndarray, folds_solved: int | None, size: int) -> tuple[np.ndarray, int]:
    """Return the fold 0, 1, … of each of ``size`` samples, and how many folds to solve again: all for None.

    Raises:
        InputError: not one whole number a sample, a fold without samples or with all, or more to solve than there are.
    """
    folds = np.asarray(folds)
    if folds.shape != (size,) or folds.dtype.kind not in "iu" or not np.array_equal(
        np.unique(folds), np.arange(folds.max() + 1)
    ):  # fmt: skip
        raise InputError(
            f"folds has shape {folds.shape} and dtype {folds.dtype}: expected the fold 0, 1, … of each of the {size} "
            "target samples, none of them empty; number them so"
        )
    count = int(folds.max()) + 1
    if count < 2:
        raise InputError("folds: there is 1, expected at least 2; a fold of all samples leaves none to learn from")
    if folds_solved is not None and not 0 <= folds_solved <= count:
        raise InputError(f"folds_solved = {folds_solved}: expected 0 … {count}, the number of folds; change it")
    return folds, count if folds_solved is None else int(folds_solved)


def first_order(dual: np.ndarray, hessian: np.ndarray, beta: float, folds: np.ndarray) -> np.ndarray:
    """Residuals y − f of each fold's samples, f without the fold, to first order in its removal.

    Args:
        dual: g, (P,).
        hessian: H of eq. (5a), (P, P).
        beta: β.
        folds: the fold of each sample, (P,).

    Returns:
        r_F = ([(H + I/β)⁻¹]_FF)⁻¹ g_F, (P,); exact where H does not depend on g.
    """
    inverse = np.linalg.inv(hessian + np.eye(len(dual)) / beta)
    left = np.empty(len(dual))
    for fold in np.unique(folds):
        out = np.flatnonzero(folds == fold)
        left[out] = np.linalg.solve(inverse[np.ix_(out, out)], dual[out])
    return left


def ridge_residuals(scaled_kernel: np.ndarray, labels: np.ndarray, beta: float, out: np.ndarray) -> np.ndarray:
    """Residuals of ridge regression on some samples, without them, and without each of them alone, (2, n).

    Args:
        scaled_kernel: Φ/λ_w, (P, P).
        labels: y, (P,).
        beta: β.
        out: indices of the samples, (n,).
    """
    inverse = np.linalg.inv(scaled_kernel + np.eye(len(labels)) / beta)
    dual, block = (inverse @ labels)[out], inverse[np.ix_(out, out)]
    return np.stack([np.linalg.solve(block, dual), dual / np.diagonal(block)])
