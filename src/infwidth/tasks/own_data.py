"""A user's own source and target data sets, read from two .npz files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infwidth.io.archives import read_archive
from infwidth.numerics.arrays import LARGEST_ENTRY, real_array
from infwidth.numerics.checks import InputError, check_choice
from infwidth.tasks.labels import flat_labels

LARGEST = 2000
"""Samples of one file beyond which the theory would take hours."""
FEWEST = 4
"""Samples below which a file holds nothing to learn from."""
MANY_LABELS = 20
"""Different whole-number labels above which they are taken for a regression's."""
LARGEST_RATIO = 30.0
"""How much larger or smaller than the source's the target's inputs may be: pixels of 0 … 255 beside 0 … 1 are 255."""
LEAST_SPREAD = 1e-12
"""Range of a regression's labels over their size, below which they differ by rounding alone."""
LABELS = ("auto", "classes", "regression")
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
        notes: how the labels were read, a line a file.
        weights: W̄ of a given source, (N, D), with h = W̄·x/√D; the source's arrays then repeat the target's and are not
            read. None where the source is data.
    """

    x_source: np.ndarray
    y_source: np.ndarray
    x_target: np.ndarray
    y_target: np.ndarray
    label: str
    notes: tuple[str, ...] = ()
    weights: np.ndarray | None = None


def data_for_weights(target: str | Path, weights: str | Path, *, labels: str = "auto") -> OwnData:
    """Read a target, and in place of source data the first layer of a network that was trained on it, h = W·x.

    The target's inputs have to be as the network takes them: they are scaled by one number, not centred, and the
    weights with them. A regression's labels aren't centred either: like the network, the target's has no intercept.

    Args:
        target: path of the target's .npz; see :func:`own_data`.
        weights: where the weights are; see :func:`infwidth.tasks.own_weights.own_weights`.
        labels: see :func:`own_data`.

    Returns:
        The data, scaled.

    Raises:
        InputError: as :func:`own_data` and ``own_weights``.
    """
    from infwidth.tasks.own_weights import own_weights

    x, y, note = _read(target, check_choice("labels", labels, LABELS), centred=False)
    size = _rms(x)
    hidden = own_weights(weights, x.shape[1]) * size * np.sqrt(x.shape[1])
    x = x / size
    found = (
        f"{weights}: {len(hidden)} neurons in place of source data; whether they have seen target samples is not known"
    )
    label = f"{Path(str(weights)).stem} → {Path(target).stem}"
    return OwnData(x, y, x, y, label, (found, f"{target}, y: {note}"), hidden)


def own_data(source: str | Path, target: str | Path, *, labels: str = "auto") -> OwnData:
    """Read two files with keys x, (n, …), flattened, and y, (n,), (n, 1) or one-hot: two classes, or regression.

    Args:
        source: path of the source's .npz.
        target: path of the target's.
        labels: "classes" or "regression"; "auto" takes two different labels for classes, and for a regression's what
            isn't whole or has more than ``MANY_LABELS`` values.

    Returns:
        The data, scaled.

    Raises:
        InputError: a file is missing, damaged, no .npz, lacks a key or holds pickled objects; x or y has a wrong
            shape or kind, NaN, one class only, several classes or too many samples; all inputs of a file are equal;
            the two files' dimensions or units differ.
    """
    check_choice("labels", labels, LABELS)
    sets = [_read(path, labels) for path in (source, target)]
    (x_source, y_source, note_source), (x_target, y_target, note_target) = sets
    centre, scale = common_scale(source, x_source, {target: x_target})
    label = " → ".join(Path(path).stem for path in (source, target))
    notes = (f"{source}, y: {note_source}", f"{target}, y: {note_target}")
    return OwnData((x_source - centre) / scale, y_source, (x_target - centre) / scale, y_target, label, notes)


def common_scale(source: str | Path, x_source: np.ndarray, others: Mapping[str | Path, np.ndarray]) -> tuple:
    """Centre (D,) and size of a source's inputs, by which all sets are scaled.

    Args:
        source: what the source is called.
        x_source: its inputs, (n, D).
        others: name → inputs of the other sets.

    Raises:
        InputError: dimensions or units differ.
    """
    centre = x_source.mean(0)
    scale = _rms(x_source - centre)
    for name, x in others.items():
        if x_source.shape[1] != x.shape[1]:
            raise InputError(
                f"{source} has {x_source.shape[1]} numbers a sample, {name} has {x.shape[1]}: expected equal "
                "dimensions; resize or pad one"
            )
        # They may lie elsewhere, but their spread and their distance from the source have to be of the source's size.
        ratios = [_rms(x - middle) / scale for middle in (x.mean(0), centre)]
        unequal = [ratio for ratio in ratios if not 1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO]
        if unequal:
            raise InputError(
                f"{name}, x: its values are about {unequal[0]:.1g} times those of {source}; expected the same units; "
                "scale both alike"
            )
    return centre, scale


def _read(path: str | Path, labels: str, *, centred: bool = True) -> tuple[np.ndarray, np.ndarray, str]:
    """Inputs (n, D) and labels (n,) of one file, in float64, and how the labels were read."""
    if Path(path).suffix != ".npz":
        raise InputError(f"{path}: not an .npz by its name; {_EXPECTED}; write it with numpy.savez")
    arrays = read_archive(path, ("x", "y"), _EXPECTED, "correct the path")
    x, y, change = check_samples({f"{path}, {key}": arrays[key] for key in ("x", "y")}, most=LARGEST)
    y, note = read_labels(f"{path}, y", y, labels, centred=centred)
    return x, y, f"{change}; {note}" if change else note


def check_samples(arrays: Mapping[str, np.ndarray], *, most: float = math.inf) -> tuple[np.ndarray, np.ndarray, str]:
    """Check inputs (n, …) and labels of any kind, (n,), (n, 1) or one-hot.

    Args:
        arrays: what each is called → inputs and labels, in this order.
        most: samples that there may be.

    Returns:
        The inputs flattened, (n, D), in float64; the labels, (n,); what was done to those, or "".

    Raises:
        InputError: wrong shapes or kinds of number, fewer than ``FEWEST`` samples, NaN, or inputs that are all equal.
    """
    (name, x), (name_y, y) = arrays.items()
    if x.ndim < 2 or x.size == 0:
        raise InputError(f"{name}: has shape {x.shape}; expected (samples, …), not empty; reshape it")
    y, change = flat_labels(y)
    if y.shape != x.shape[:1]:
        raise InputError(f"{name_y}: has shape {y.shape}; expected ({len(x)},), one label a sample of x; fix y")
    if len(x) > most:
        raise InputError(f"{name}: {len(x)} samples; expected at most {most}; write a random subset of them")
    if len(x) < FEWEST:
        raise InputError(f"{name}: {len(x)} samples; expected at least {FEWEST}; add some")
    x = x.reshape(len(x), -1)
    # Truth values are inputs like others, 0 and 1; labels of text or truth are classes.
    x = real_array(name, x.astype(np.int8) if x.dtype.kind == "b" else x, "real numbers")
    bad = x.size - np.count_nonzero(np.isfinite(x))
    if bad:
        raise InputError(f"{name}: holds {bad} NaN or infinite entries; expected finite numbers; drop those samples")
    if np.abs(x).max() > LARGEST_ENTRY:
        raise InputError(f"{name}: holds {np.abs(x).max():.0e}; expected entries up to {LARGEST_ENTRY:g}; scale x")
    if (x == x[0]).all():
        raise InputError(f"{name}: all samples are equal; expected different ones; check how it was written")
    return x, y, change


def _rms(x: np.ndarray) -> float:
    size = float(np.abs(x).max()) or 1.0  # so that no square underflows
    return size * float(np.sqrt(np.square(x / size).mean()))


@dataclass(frozen=True, eq=False)
class LabelUnits:
    """How the labels of a set, and of others on the same task, become numbers of order 1.

    Attributes:
        note: the same in words.
        classes: the labels of −1 and of +1; None for a regression.
        centre: of a regression's labels, over ``size``.
        spread: their root mean square about it, over ``size``.
        size: their largest magnitude.
    """

    note: str
    classes: np.ndarray | None = None
    centre: float = 0.0
    spread: float = 1.0
    size: float = 1.0

    def __call__(self, name: str, y: np.ndarray) -> np.ndarray:
        """The labels (n,) in these units; raises InputError for those of another class or kind."""
        if self.classes is None:
            found = real_array(name, y, "a regression's numbers")
            if not np.isfinite(found).all():
                raise InputError(f"{name}: holds NaN or infinite labels; expected finite ones; drop those samples")
            return (found / self.size - self.centre) / self.spread
        known = np.isin(y, self.classes)
        if not known.all():
            spoken = " and ".join(map(str, self.classes))
            raise InputError(f"{name}: holds label {y[~known][0]}; expected classes {spoken} alone; drop the others")
        return np.where(y == self.classes[1], 1.0, -1.0)


def read_labels(name: str, y: np.ndarray, labels: str = "auto", *, centred: bool = True) -> tuple[np.ndarray, str]:
    """Two classes as −1 and +1; a regression's labels standardised.

    Args:
        name: what they are called.
        y: labels, (n,).
        labels: see :func:`own_data`.
        centred: whether a regression's are given mean 0; otherwise their mean square is 1 as they are.

    Returns:
        The labels, (n,), and how they were read.

    Raises:
        InputError: as :func:`label_units`.
    """
    units = label_units(name, y, labels, centred=centred)
    return units(name, y), units.note


def label_units(name: str, y: np.ndarray, labels: str = "auto", *, centred: bool = True) -> LabelUnits:
    """What labels are, and their units; see :func:`read_labels`.

    Raises:
        InputError: dates, complex numbers or records, NaN, one class only, several classes, numbers that only rounding
            tells apart, text where numbers are expected, or whole numbers that may be either.
    """
    if y.dtype.kind not in "biufSU":
        real_array(name, y, "two classes or real numbers")  # says why not
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise InputError(f"{name}: holds NaN or infinite labels; expected finite ones; drop those samples")
    found, index = np.unique(y, return_inverse=True)
    if len(found) == 1:
        raise InputError(f"{name}: every label is {found[0]}; expected two classes or different numbers; add others")
    words = y.dtype.kind in "bSU"  # two of which can be classes only
    if len(found) == 2 and (words or labels != "regression"):
        read = zip(found, ("−1", "+1"), np.bincount(index), strict=True)
        note = "two classes, " + ", ".join(f"{a} → {b} ({count} samples)" for a, b, count in read)
        return LabelUnits(note, classes=found)
    # every float beyond the last that is not is a whole number
    whole = y.dtype.kind in "iu" or (y.dtype.kind == "f" and (y == np.round(y)).all() and np.abs(y).max() < 2**53)
    unclear = labels == "auto" and whole and len(found) <= MANY_LABELS
    if labels == "classes" or words or unclear:
        if labels == "regression":
            raise InputError(f"{name}: has dtype {y.dtype}; expected a regression's numbers; convert the labels")
        remedy = "keep two classes" + (
            ", or ask for a regression (--regression, labels: regression) if they are numbers" * unclear
        )
        raise InputError(f"{name}: {len(found)} classes; expected two, or a regression's numbers; {remedy}")
    y = y.astype(np.float64)
    size = np.abs(y).max()
    if not np.ptp(y / size) > LEAST_SPREAD:
        raise InputError(
            f"{name}: labels from {y.min():.15g} to {y.max():.15g} differ by rounding alone; expected different "
            "numbers; take off their mean where it is known better"
        )
    centre = float((y / size).mean()) if centred else 0.0  # labels near 1e300 have squares as well
    done = "standardised" if centred else "scaled"
    note = f"numbers from {y.min():.4g} to {y.max():.4g}, {len(found)} different ones: a regression, {done}"
    spread = _rms(y / size - centre)
    return LabelUnits(note, centre=centre, spread=spread, size=float(size))
