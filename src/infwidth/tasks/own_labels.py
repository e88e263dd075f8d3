"""How a user's labels become a network's outputs: classes, or numbers of order 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.numerics.arrays import real_array
from infwidth.numerics.checks import InputError
from infwidth.tasks.labels import one_hot

MOST_CLASSES = 20
"""Classes, and outputs of a regression, at most; more different whole-number labels are taken for a regression's."""
LEAST_SPREAD = 1e-12
"""Range of a regression's labels over their size, below which they differ by rounding alone."""
LABELS = ("auto", "classes", "regression")


@dataclass(frozen=True, eq=False)
class LabelUnits:
    """How the labels of a set, and of others on the same task, become numbers of order 1.

    Attributes:
        note: the same in words.
        classes: the labels of −1 and of +1, or of the outputs of several classes; None for a regression.
        centre: of a regression's labels, over ``size``; (C,) of C numbers each.
        spread: their root mean square about it, over ``size``, likewise.
        size: their largest magnitude, likewise.
    """

    note: str
    classes: np.ndarray | None = None
    centre: float | np.ndarray = 0.0
    spread: float | np.ndarray = 1.0
    size: float | np.ndarray = 1.0

    def __call__(self, name: str, y: np.ndarray) -> np.ndarray:
        """The labels, (n,) or (n, C), in these units; raises InputError for those of another class or kind."""
        if self.classes is None:
            found = real_array(name, y, "a regression's numbers")
            if found.shape[1:] != np.shape(self.size):
                raise InputError(
                    f"{name}: has shape {found.shape}; expected {(len(found), *np.shape(self.size))}, as the others "
                    "have; give all as many numbers"
                )
            if not np.isfinite(found).all():
                raise InputError(f"{name}: holds NaN or infinite labels; expected finite ones; drop those samples")
            return (found / self.size - self.centre) / self.spread
        known = np.isin(y, self.classes)
        if not known.all():
            spoken, other = " and ".join(map(str, self.classes)), y[~known][0]
            if (y.dtype.kind in "SU") != (self.classes.dtype.kind in "SU"):
                other = f"{other} of dtype {y.dtype}, others of {self.classes.dtype}"
            raise InputError(
                f"{name}: holds label {other}; expected classes {spoken} alone; drop or convert the others"
            )
        index = np.searchsorted(self.classes, y)
        return 2.0 * index - 1 if len(self.classes) == 2 else one_hot(index, len(self.classes))


def label_units(
    name: str, y: np.ndarray, labels: str = "auto", *, change: str = "", centred: bool = True
) -> LabelUnits:
    """What labels are, classes or a regression's, and their units.

    Args:
        name: what they are called.
        y: labels, (n,) or (n, C).
        labels: "classes" or "regression", or "auto" to find out where it is clear; see ``own_data``.
        change: how their shape was read, as ``flat_labels`` says it; one-hot labels are classes.
        centred: whether a regression's are given mean 0; otherwise their mean square is 1 as they are.

    Raises:
        InputError: dates, complex numbers or records, NaN, one class only, more than ``MOST_CLASSES`` classes or
            outputs, numbers that only rounding tells apart, text where numbers are expected, or whole numbers that may
            be either.
    """
    if labels == "auto" and change.startswith("one-hot"):
        labels = "classes"
    if y.dtype.kind not in "biufSU":
        real_array(name, y, "classes or real numbers")  # says why not
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise InputError(f"{name}: holds NaN or infinite labels; expected finite ones; drop those samples")
    if y.ndim > 1:
        return _numbers(name, _several_numbers(name, y, labels), centred=centred)
    found, index = np.unique(y, return_inverse=True)
    if len(found) == 1:
        raise InputError(f"{name}: every label is {found[0]}; expected two classes or different numbers; add others")
    words = y.dtype.kind in "bSU"  # two of which can be classes only
    counts = np.bincount(index)
    if len(found) == 2 and (words or labels != "regression"):
        read = zip(found, ("−1", "+1"), counts, strict=True)
        note = "two classes, " + ", ".join(f"{a} → {b} ({count} samples)" for a, b, count in read)
        return LabelUnits(note, classes=found)
    # every float beyond the last that is not is a whole number
    whole = y.dtype.kind in "iu" or (y.dtype.kind == "f" and (y == np.round(y)).all() and np.abs(y).max() < 2**53)
    unclear = labels == "auto" and whole and len(found) <= MOST_CLASSES
    if words and labels == "regression":
        raise InputError(f"{name}: has dtype {y.dtype}; expected a regression's numbers; convert the labels")
    if (labels == "classes" or words) and len(found) <= MOST_CLASSES:
        note = f"{len(found)} classes, " + ", ".join(
            f"{a} ({count} samples)" for a, count in zip(found, counts, strict=True)
        )
        return LabelUnits(note, classes=found)
    if labels == "classes" or words or unclear:
        expected, remedy = f"at most {MOST_CLASSES}, or a regression's numbers", "keep fewer, or say it is a regression"
        if unclear:
            expected = "to be told whether they are classes or a regression's numbers"
            remedy = "say --classes or --regression (in a configuration labels: classes or labels: regression)"
        raise InputError(f"{name}: {len(found)} classes; expected {expected}; {remedy}")
    return _numbers(name, y, centred=centred)


def _several_numbers(name: str, y: np.ndarray, labels: str) -> np.ndarray:
    """Check a regression's labels (n, C), which are not one-hot."""
    if labels == "classes" or y.dtype.kind in "bSU":
        raise InputError(f"{name}: has shape {y.shape}; expected classes (n,) or one-hot (n, C); code them so")
    if y.shape[1] > MOST_CLASSES:
        raise InputError(
            f"{name}: {y.shape[1]} numbers a sample; expected at most {MOST_CLASSES}; keep those that count"
        )
    if (y == y[0]).all():
        raise InputError(f"{name}: all labels are equal; expected different numbers; add others")
    return y


def _numbers(name: str, y: np.ndarray, *, centred: bool) -> LabelUnits:
    """Units of a regression's labels, (n,) or (n, C), each output's its own."""
    y = y.astype(np.float64)
    size = np.abs(y).max(0)
    size = np.where(size > 0, size, 1.0)
    ranges = np.ptp(y / size, axis=0)
    if not np.max(ranges) > LEAST_SPREAD:
        raise InputError(
            f"{name}: labels from {y.min():.15g} to {y.max():.15g} differ by rounding alone; expected different "
            "numbers; take off their mean where it is known better"
        )
    centre = (y / size).mean(0) * centred  # labels near 1e300 have squares as well
    done = "standardised" if centred else "scaled"
    if y.ndim > 1:
        note = f"{y.shape[1]} numbers each from {y.min():.4g} to {y.max():.4g}: a regression, each {done}"
    else:
        different = len(np.unique(y))
        note = f"numbers from {y.min():.4g} to {y.max():.4g}, {different} different ones: a regression, {done}"
    spread = np.sqrt(np.square(y / size - centre).mean(0))
    constant = ranges <= LEAST_SPREAD  # an output that says nothing stays so
    spread = np.where(constant & (centred | (spread == 0)), 1.0, spread)
    return LabelUnits(note, centre=centre, spread=spread, size=size)
