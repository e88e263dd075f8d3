"""What a posterior says of samples that it was not given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.numerics.checks import InputError


@dataclass(frozen=True)
class FoldsLeftOut:
    """Residuals y − f of each target sample, f without its fold, without it alone, and without it and another.

    Of C outputs every array has a last axis of C.

    Attributes:
        residuals: without the sample's fold, by solving again, (P,); NaN where that was not asked for or has no answer.
        stderr: of ``residuals``, from particles, (P,); 0 where nothing is sampled.
        pairs: of sample μ without μ and ν, on the diagonal without μ alone, (P, P): to first order from the solution
            without μ's fold, so exact where folds are single samples, or from that without μ alone where each was asked
            for; rows are NaN where ``residuals`` is.
        first_order: the same to first order from the whole set's solution, (P, P).
    """

    residuals: np.ndarray
    stderr: np.ndarray
    pairs: np.ndarray
    first_order: np.ndarray

    @property
    def alone(self) -> np.ndarray:
        """Residuals without the sample alone, (P,) or (P, C); NaN where its fold was not solved again."""
        return diagonal(self.pairs)


def diagonal(pairs: np.ndarray) -> np.ndarray:
    """Entries (μ, μ), (P,) or (P, C), of (P, P) or (P, P, C)."""
    everyone = np.arange(len(pairs))
    return pairs[everyone, everyone]


def rows_of(everyone: np.ndarray, n_outputs: int) -> np.ndarray:
    """Rows of H that samples, given by their index, have, all outputs of each, the outputs running fastest."""
    return (n_outputs * everyone[:, None] + np.arange(n_outputs)).ravel()


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
        dual: g, (P,), or (P, C).
        hessian: H of eq. (5a), (P, P), or (PC, PC) with the outputs running fastest.
        beta: β.

    Returns:
        (P, P) or (P, P, C), see ``FoldsLeftOut.pairs``; exact where H does not depend on g.
    """
    labels = (hessian @ dual.ravel()).reshape(dual.shape) + dual / beta
    return _pairs(hessian, labels, beta, np.arange(len(dual)))


def pairs_from_fold(
    residual: np.ndarray, dual: np.ndarray, hessian: np.ndarray, beta: float, out: np.ndarray
) -> np.ndarray:
    """Residuals of a fold's samples without each of them and each pair, to first order from the solution without it.

    To leave few samples out of it, or to take the fold's others back in, is a small step where features have not yet
    adapted to the fold; a step out of the whole set's solution is not.

    Args:
        residual: of the fold's samples at that solution, (n,), or (n, C).
        dual: g of that solution, (P,) or (P, C), 0 in the fold.
        hessian: H at that solution, of all samples, (P, P) or (PC, PC).
        beta: β.
        out: indices of the fold's samples, (n,).

    Returns:
        (n, P) or (n, P, C), see ``FoldsLeftOut.pairs``.
    """
    # those whose regression with the kernel H has this dual without the fold
    labels = (hessian @ dual.ravel()).reshape(dual.shape) + dual / beta
    labels[out] += residual
    return _pairs(hessian, labels, beta, out)


def _pairs(kernel: np.ndarray, labels: np.ndarray, beta: float, out: np.ndarray) -> np.ndarray:
    """Regression's residuals of samples ``out`` (n,) without each and another, (n, P, …), from the blocks B of A⁻¹.

    A sample has a block of its outputs: (B_μμ − B_μν B_νν⁻¹ B_νμ) r_μ = g_μ − B_μν B_νν⁻¹ g_ν, and B_μμ r_μ = g_μ
    without μ alone.
    """
    count = labels[0].size
    inverse = np.linalg.inv(kernel + np.eye(labels.size) / beta)
    dual = (inverse @ labels.ravel()).reshape(len(labels), count)
    blocks = inverse.reshape(len(labels), count, len(labels), count).transpose(0, 2, 1, 3)
    own = diagonal(blocks)
    pairs = np.empty((len(out), *labels.shape))
    for row, sample in enumerate(out):
        across = blocks[sample]  # (P, C, C)
        shares = across / own if count == 1 else np.linalg.solve(own, across.mT).mT
        within = own[sample] - shares @ across.mT
        left = dual[sample] - (shares @ dual[..., None])[..., 0]
        within[sample], left[sample] = own[sample], dual[sample]
        found = left / within[..., 0] if count == 1 else np.linalg.solve(within, left[..., None])[..., 0]
        pairs[row] = found.reshape(labels.shape)
    return pairs
