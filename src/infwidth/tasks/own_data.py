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
from infwidth.tasks.own_labels import LABELS, LabelUnits, label_units

LARGEST = 2000
"""Samples of one file, times the outputs that their labels need, beyond which the theory would take hours."""
FEWEST = 4
"""Samples below which a file holds nothing to learn from."""
LARGEST_RATIO = 30.0
"""How much larger or smaller than the source's the target's inputs may be: pixels of 0 … 255 beside 0 … 1 are 255."""
_EXPECTED = "expected an .npz with keys x (samples first) and y (one label a sample, or one row)"


@dataclass(frozen=True, eq=False)
class OwnData:
    """Two labelled sets on inputs of one dimension D.

    Attributes:
        x_source: (P1, D), centred with the source's mean and scaled by one number to |x|² = D on average.
        y_source: (P1,); two classes as −1 and +1, regression labels with mean 0 and variance 1; (P1, C̄) of several
            classes, coded by ``one_hot``, or of a regression's several numbers.
        x_target: (P2, D), centred and scaled as the source.
        y_target: (P2,) or (P2, C), likewise; C is no matter of the source's.
        label: the files' names.
        notes: how the labels were read, a line a file.
        weights: W̄ of a given source, (N, D), with h = W̄·x/√D; the source's arrays then repeat the target's and are not
            read. None where the source is data.
        readout: a of a given source, (C̄, N), f_c(x) = Σ_i a_ci φ(W̄_i·x/√D); None where it is not known.
        classes: the target's classes in the order of its outputs, where it has several.
    """

    x_source: np.ndarray
    y_source: np.ndarray
    x_target: np.ndarray
    y_target: np.ndarray
    label: str
    notes: tuple[str, ...] = ()
    weights: np.ndarray | None = None
    readout: np.ndarray | None = None
    classes: tuple[str, ...] = ()


def data_for_weights(
    target: str | Path, weights: str | Path, *, readout: str | None = None, labels: str = "auto"
) -> OwnData:
    """Read a target, and in place of source data the first layer of a network that was trained on it, h = W·x + b.

    The target's inputs have to be as the network takes them: they are scaled by one number, not centred, and the
    weights with them. A regression's labels aren't centred either: like the network, the target's has no intercept.
    Where the layer has a bias, inputs get a constant entry of their size, whose weights it is, source's and target's.

    Args:
        target: path of the target's .npz; see :func:`own_data`.
        weights: where the weights are; see :func:`infwidth.tasks.own_weights.own_weights`.
        readout: the last layer's name there, for the scale of a 1-homogeneous network (docs/own_data.md); or None.
        labels: see :func:`own_data`.

    Returns:
        The data, scaled.

    Raises:
        InputError: as :func:`own_data` and ``own_weights``.
    """
    from infwidth.tasks.own_weights import own_weights

    x, y, units, note = _read(target, check_choice("labels", labels, LABELS), centred=False)
    size = _rms(x)
    network = own_weights(weights, x.shape[1], readout)
    hidden, x = network.weights * size, x / size
    found = (
        f"{weights}: {len(hidden)} neurons in place of source data; whether they have seen target samples is not known"
    )
    if network.bias is not None:
        hidden, x = np.column_stack([hidden, network.bias]), np.column_stack([x, np.ones(len(x))])
        found += "; their biases are weights of a constant input"
    label = f"{Path(str(weights)).stem} → {Path(target).stem}"
    given = hidden * math.sqrt(x.shape[1]), network.readout
    return OwnData(x, y, x, y, label, (found, f"{target}, y: {note}"), *given, classes=_names(units))


def own_data(source: str | Path, target: str | Path, *, labels: str = "auto") -> OwnData:
    """Read two files with keys x, (n, …), flattened, and y, (n,), (n, 1), one-hot, or (n, C): classes, or regression.

    Args:
        source: path of the source's .npz.
        target: path of the target's.
        labels: "classes" or "regression"; "auto" takes words, two different labels and one-hot ones for classes, and
            for a regression's what isn't whole or has more than ``MOST_CLASSES`` values.

    Returns:
        The data, scaled.

    Raises:
        InputError: a file is missing, damaged, no .npz, lacks a key or holds pickled objects; x or y has a wrong
            shape or kind, NaN, one class only, too many classes or samples, or whole numbers that may be either; all
            inputs of a file are equal; the two files' dimensions or units differ.
    """
    check_choice("labels", labels, LABELS)
    sets = [_read(path, labels) for path in (source, target)]
    (x_source, y_source, _, note_source), (x_target, y_target, units, note_target) = sets
    centre, scale = common_scale(source, x_source, {target: x_target})
    label = " → ".join(Path(path).stem for path in (source, target))
    notes = (f"{source}, y: {note_source}", f"{target}, y: {note_target}")
    arrays = (x_source - centre) / scale, y_source, (x_target - centre) / scale, y_target
    return OwnData(*arrays, label, notes, classes=_names(units))


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


def _read(path: str | Path, labels: str, *, centred: bool = True) -> tuple[np.ndarray, np.ndarray, LabelUnits, str]:
    """Inputs (n, D) and labels (n,) or (n, C) of one file, in float64, their units, and how the labels were read."""
    if Path(path).suffix != ".npz":
        raise InputError(f"{path}: not an .npz by its name; {_EXPECTED}; write it with numpy.savez")
    arrays = read_archive(path, ("x", "y"), _EXPECTED, "correct the path")
    named = {f"{path}, {key}": arrays[key] for key in ("x", "y")}
    x, y, change = check_samples(named, most=LARGEST)
    units = label_units(f"{path}, y", y, labels, change=change, centred=centred)
    y = units(f"{path}, y", y)
    needed = 1 if y.ndim == 1 else y.shape[1] - (units.classes is not None)
    if len(y) * needed > LARGEST:
        raise InputError(
            f"{path}: {len(y)} samples with labels of {needed} independent numbers each; expected at most "
            f"{LARGEST // needed} samples; write a random subset of them"
        )
    return x, y, units, f"{change}; {units.note}" if change else units.note


def _names(units: LabelUnits) -> tuple[str, ...]:
    """Several classes' names."""
    return () if units.classes is None or len(units.classes) == 2 else tuple(map(str, units.classes))


def check_label_shape(name: str, y: np.ndarray, count: int) -> tuple[np.ndarray, str]:
    """Labels of ``count`` samples as (n,) or (n, C), and what was done to them, or ""; raises InputError for others."""
    y, change = flat_labels(y)
    if y.shape[:1] != (count,) or y.ndim > 2:
        raise InputError(f"{name}: has shape {y.shape}; expected ({count},), one label a sample of x; fix y")
    return y, change


def check_samples(arrays: Mapping[str, np.ndarray], *, most: float = math.inf) -> tuple[np.ndarray, np.ndarray, str]:
    """Check inputs (n, …) and labels of any kind, (n,), (n, 1), one-hot or (n, C) of several numbers each.

    Args:
        arrays: what each is called → inputs and labels, in this order.
        most: samples that there may be.

    Returns:
        The inputs flattened, (n, D), in float64; the labels, (n,) or (n, C); what was done to those, or "".

    Raises:
        InputError: wrong shapes or kinds of number, fewer than ``FEWEST`` samples, NaN, or inputs that are all equal.
    """
    (name, x), (name_y, y) = arrays.items()
    if x.ndim < 2 or x.size == 0:
        raise InputError(f"{name}: has shape {x.shape}; expected (samples, …), not empty; reshape it")
    y, change = check_label_shape(name_y, y, len(x))
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
