"""A user's own source and target data sets, read from two .npz files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infwidth.io.archives import read_archive
from infwidth.numerics.checks import InputError

LARGEST = 2000
"""Samples of one file beyond which the theory would take hours."""
MANY_LABELS = 20
"""Different whole-number labels above which they are taken for a regression's."""
LARGEST_RATIO = 30.0
"""How much larger or smaller than the source's the target's inputs may be: pixels of 0 … 255 beside 0 … 1 are 255."""
LARGEST_ENTRY = 1e100
"""Inputs beyond it could overflow when they are squared."""
_EXPECTED = "expected an .npz with keys x (samples first) and y (one label a sample)"


@dataclass(frozen=True, eq=False)
class OwnData:
    """Two labelled sets on inputs of one dimension D.

    Attributes:
        x_source: (P1, D), centred with the source's mean and scaled by one number to |x|² = D on average.
        y_source: (P1,); classes as −1 and +1, regression labels with mean 0 and variance 1.
        x_target: (P2, D), centred and scaled as the source.
        y_target: (P2,), likewise.
        label: the files' names.
    """

    x_source: np.ndarray
    y_source: np.ndarray
    x_target: np.ndarray
    y_target: np.ndarray
    label: str


def own_data(source: str | Path, target: str | Path) -> OwnData:
    """Read two files with keys x, (n, …), flattened, and y, (n,): two classes, or regression.

    Args:
        source: path of the source's .npz.
        target: path of the target's.

    Returns:
        The data, scaled.

    Raises:
        InputError: a file is missing, damaged, no .npz, lacks a key or holds pickled objects; x or y has a wrong
            shape or kind, NaN, one class only, several classes or too many samples; all inputs of a file are equal;
            the two files' dimensions or units differ.
    """
    sets = [_read(path) for path in (source, target)]
    (x_source, y_source), (x_target, y_target) = sets
    if x_source.shape[1] != x_target.shape[1]:
        raise InputError(
            f"{source} has {x_source.shape[1]} numbers a sample, {target} has {x_target.shape[1]}: expected equal "
            "dimensions; resize or pad one"
        )
    centre = x_source.mean(0)
    scale = _rms(x_source - centre)
    # The target may lie elsewhere, but its spread and its distance from the source have to be of the source's size.
    ratios = [_rms(x_target - middle) / scale for middle in (x_target.mean(0), centre)]
    unequal = [ratio for ratio in ratios if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO]
    if unequal:
        raise InputError(
            f"{target}, x: its values are about {unequal[0]:.1g} times those of {source}; expected the same units; "
            "scale both alike"
        )
    label = " → ".join(Path(path).stem for path in (source, target))
    return OwnData((x_source - centre) / scale, y_source, (x_target - centre) / scale, y_target, label)


def _read(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, D) and labels (n,) of one file, in float64."""
    if Path(path).suffix != ".npz":
        raise InputError(f"{path}: not an .npz by its name; {_EXPECTED}; write it with numpy.savez")
    arrays = read_archive(path, ("x", "y"), _EXPECTED, "correct the path")
    x, y = arrays["x"], arrays["y"]
    if x.ndim < 2 or x.size == 0:
        raise InputError(f"{path}, x: has shape {x.shape}; expected (samples, …), not empty; reshape it")
    if y.shape != x.shape[:1]:
        raise InputError(f"{path}, y: has shape {y.shape}; expected ({len(x)},), one label a sample of x; fix y")
    if len(x) > LARGEST:
        raise InputError(f"{path}: {len(x)} samples; expected at most {LARGEST}; write a random subset of them")
    if len(x) < 4:
        raise InputError(f"{path}: {len(x)} samples; expected at least 4; add some")
    if x.dtype.kind not in "biuf":
        raise InputError(f"{path}, x: has dtype {x.dtype}; expected real numbers; convert it")
    x = x.reshape(len(x), -1).astype(np.float64)
    bad = x.size - np.count_nonzero(np.isfinite(x))
    if bad:
        raise InputError(f"{path}, x: holds {bad} NaN or infinite entries; expected finite numbers; drop those samples")
    if np.abs(x).max() > LARGEST_ENTRY:
        raise InputError(f"{path}, x: holds {np.abs(x).max():.0e}; expected entries up to {LARGEST_ENTRY:g}; scale x")
    if (x == x[0]).all():
        raise InputError(f"{path}, x: all samples are equal; expected different ones; check how it was written")
    return x, _labels(path, y)


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.square(x).mean()))


def _labels(path: str | Path, y: np.ndarray) -> np.ndarray:
    """Two classes as −1 and +1; a regression's labels standardised."""
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise InputError(f"{path}, y: holds NaN or infinite labels; expected finite ones; drop those samples")
    found, index = np.unique(y, return_inverse=True)
    if len(found) == 1:
        raise InputError(f"{path}, y: every label is {found[0]}; expected two classes or different numbers; add others")
    if len(found) == 2:
        return 2.0 * index - 1.0
    if y.dtype.kind not in "iuf" or (y.dtype.kind in "iu" and len(found) <= MANY_LABELS):
        raise InputError(
            f"{path}, y: {len(found)} classes; expected two, or a regression's numbers; keep two classes, or convert y "
            "to float if they are numbers"
        )
    y = y.astype(np.float64)
    return (y - y.mean()) / y.std()
