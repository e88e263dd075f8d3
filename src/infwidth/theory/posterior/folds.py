"""What a posterior says of samples that it was not given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.numerics.checks import InputError


@dataclass(frozen=True)
class FoldsLeftOut:
    """Residuals y − f of each target sample, f without its fold, without it alone, and without it and another.

    Attributes:
        residuals: without the sample's fold, by solving again, (P,); NaN where that was not asked for or has no answer.
        stderr: of ``residuals``, from particles, (P,); 0 where nothing is sampled.
        pairs: of sample μ without μ and ν, on the diagonal without μ alone, (P, P): to first order from the solution
            without μ's fold, so exact where folds are single samples; rows are NaN where ``residuals`` is.
        first_order: the same to first order from the whole set's solution, (P, P).
    """

    residuals: np.ndarray
    stderr: np.ndarray
    pairs: np.ndarray
    first_order: np.ndarray


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


def pairs_from_whole(dual: np.ndarray, hessian: np.ndarray, beta: float) -> np.ndarray:
    """Residuals without each sample and each pair, to first order from the whole set's solution.

    Args:
        dual: g, (P,).
        hessian: H of eq. (5a), (P, P).
        beta: β.

    Returns:
        (P, P), see ``FoldsLeftOut.pairs``; exact where H does not depend on g.
    """
    everyone = np.arange(len(dual))
    return _pairs(hessian, hessian @ dual + dual / beta, beta, everyone)


def pairs_from_fold(
    residual: np.ndarray, dual: np.ndarray, hessian: np.ndarray, beta: float, out: np.ndarray
) -> np.ndarray:
    """Residuals of a fold's samples without each of them and each pair, to first order from the solution without it.

    To leave few samples out of it, or to take the fold's others back in, is a small step where features have not yet
    adapted to the fold; a step out of the whole set's solution is not.

    Args:
        residual: of the fold's samples at that solution, (n,).
        dual: g of that solution, (P,), 0 in the fold.
        hessian: H at that solution, of all samples, (P, P).
        beta: β.
        out: indices of the fold's samples, (n,).

    Returns:
        (n, P), see ``FoldsLeftOut.pairs``.
    """
    labels = hessian @ dual + dual / beta  # those whose regression with the kernel H has this dual without the fold
    labels[out] += residual
    return _pairs(hessian, labels, beta, out)


def _pairs(kernel: np.ndarray, labels: np.ndarray, beta: float, out: np.ndarray) -> np.ndarray:
    """Regression's residuals of samples ``out`` (n,) without each and another, (n, P), from the blocks of A⁻¹:
    r_μ = [([A⁻¹]_{μν})⁻¹ g_{μν}]_μ, and g_μ/[A⁻¹]_μμ without μ alone.
    """
    inverse = np.linalg.inv(kernel + np.eye(len(labels)) / beta)
    dual, diagonal = inverse @ labels, np.diagonal(inverse)
    numerator = diagonal * dual[out, None] - inverse[out] * dual
    determinant = diagonal[out, None] * diagonal - inverse[out] ** 2
    alone = np.arange(len(out)), out
    numerator[alone], determinant[alone] = dual[out], diagonal[out]
    return numerator / determinant
