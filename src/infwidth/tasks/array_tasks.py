"""Transfer between a user's own labelled arrays, read from .npz or .npy files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from infwidth.io.archives import ARRAY, array_shape, read_array
from infwidth.numerics.checks import InputError, check_choice, check_count
from infwidth.numerics.seeds import generator
from infwidth.tasks.copies import copy_groups, shared_samples
from infwidth.tasks.own_data import check_label_shape, check_samples, common_scale
from infwidth.tasks.own_labels import LABELS, LabelUnits, label_units
from infwidth.tasks.transfer_task import TransferTask

LARGEST = 4000
"""Samples of a file that are looked at; of a larger file as many as that, chosen by the seed."""
SUFFIXES = (".npz", ARRAY)
PARTS = ("source", "target", "test")
_EXPECTED = "expected an .npz with the keys of inputs and labels, or an .npy of inputs beside one of labels"
_REMEDY = "correct the path"


def arrays(
    *,
    source: str | Path,
    target: str | Path | None = None,
    test: str | Path | None = None,
    source_labels: str | Path | None = None,
    target_labels: str | Path | None = None,
    test_labels: str | Path | None = None,
    inputs_key: str = "x",
    labels_key: str = "y",
    labels: str = "auto",
    n_source: int,
    n_target: int,
    n_test: int | None = None,
    seed: int,
) -> TransferTask:
    """Draw a transfer task from files of labelled samples.

    Each file is shuffled once per seed, and copies in it, also nearly exact ones, count as one sample. The source takes
    the first; the test set the first of which the source has no copy; the target the first of which neither has one. So
    no two sets share a sample, and a smaller set is the beginning of a larger one.

    Inputs are centred with the mean of the source's file and scaled by one number to |x|² = D there on average. Two
    classes are −1 and +1, and more are outputs as ``one_hot`` codes them; a regression's labels are standardised, one
    number a sample or several, test labels as the target's.

    Args:
        source: an .npz, or an .npy of inputs, (n, …), which are flattened.
        target: the target's; None draws the source alone, which then stands for target and test as well.
        test: the test samples'; None takes what the target leaves of its file.
        source_labels: the source's labels, (n,), (n, 1) or one-hot, where ``source`` is an .npy or they are elsewhere.
        target_labels: likewise.
        test_labels: likewise.
        inputs_key: key of the inputs in an .npz.
        labels_key: key of the labels in an .npz.
        labels: "auto", "classes" or "regression"; as of ``infwidth advise``.
        n_source: source samples P1.
        n_target: target training samples P2.
        n_test: test samples Pt; None takes all of the test file.
        seed: whole number ≥ 0 that the choice of samples derives from.

    Returns:
        The task, inputs (P1, D), (P2, D) and (Pt, D), labels (P1,) or (P1, C̄), (P2,) or (P2, C), and likewise of the
        test.

    Raises:
        InputError: a file is missing, damaged, lacks a key or holds pickled objects; wrong shapes, kinds or units, NaN,
            labels that don't differ, or are of too many classes; too few samples once copies are left out.
    """
    seed = check_count("seed", seed, minimum=0)
    check_choice("labels", labels, LABELS)
    counts = {"source": check_count("n_source", n_source), "target": check_count("n_target", n_target)}
    counts["test"] = None if n_test is None else check_count("n_test", n_test)
    places = {"source": (source, source_labels), "target": (target, target_labels), "test": (test, test_labels)}
    if target is not None and test is None:
        places["test"] = places["target"]
        _check_test_count(n_test, target)
    keys = inputs_key, labels_key
    found = {part: _read(*place, *keys) for part, place in places.items() if place[0] is not None}
    centre, scale = common_scale(
        source, found["source"][0], {str(places[part][0]): found[part][0] for part in found if part != "source"}
    )
    values = _outputs({part: (_labels_name(*places[part], labels_key), *found[part][1:]) for part in found}, labels)
    drawn: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for part in ("source", "test", "target"):  # a larger target leaves the test set as it is
        if part not in found:
            continue
        x = (found[part][0] - centre) / scale
        rows = _draw(part, str(places[part][0]), x, [one[0] for one in drawn.values()], counts, seed)
        drawn[part] = x[rows], values[part][rows]
    own = drawn["source"]
    label = Path(str(source)).stem if target is None else f"{Path(str(source)).stem} → {Path(str(target)).stem}"
    return TransferTask(*own, *drawn.get("target", own), *drawn.get("test", own), label=label)


def check_arrays(
    *,
    source: str,
    target: str,
    test: str | None,
    source_labels: str | None,
    target_labels: str | None,
    test_labels: str | None,
    inputs_key: str,
    labels_key: str,
    labels: str,
    n_source: Sequence[int],
    n_target: Sequence[int],
    n_test: int | None,
) -> dict[str, int]:
    """Check, by labels and headers, that the files are there, have the keys, fit each other and hold enough samples.

    Args:
        source: see :func:`arrays`, as all that follow.
        target: the target's file.
        test: the test samples' file, or None.
        source_labels: the source's labels' file, or None.
        target_labels: the target's, or None.
        test_labels: the test samples', or None.
        inputs_key: key of the inputs.
        labels_key: key of the labels.
        labels: what labels are.
        n_source: all numbers of source samples that are to be drawn.
        n_target: all those of target samples.
        n_test: number of test samples.

    Returns:
        ``dimension`` D, ``n_test`` Pt and ``n_outputs``, source's or target's, which the configuration does not say.

    Raises:
        InputError: one of them is not so.
    """
    places = {"source": (source, source_labels), "target": (target, target_labels), "test": (test, test_labels)}
    if test is None:
        del places["test"]
        _check_test_count(n_test, target)
    wanted = {"source": max(n_source), "target": max(n_target), "test": n_test or 1}
    dimensions, read = {}, {}
    for part, (path, labels_path) in places.items():
        inputs, labelled = _places(path, labels_path, inputs_key, labels_key)
        shape = array_shape(*inputs, _EXPECTED, _REMEDY)
        if len(shape) < 2 or 0 in shape:
            raise InputError(f"{path}: inputs of shape {shape}; expected (samples, …), not empty; reshape them")
        name = _labels_name(path, labels_path, labels_key)
        read[part] = name, *check_label_shape(name, read_array(*labelled, _EXPECTED, _REMEDY), shape[0])
        most = min(shape[0], LARGEST)
        if wanted[part] > most:
            raise InputError(
                f"n_{part} = {wanted[part]}: expected at most {most}, as {path} has {shape[0]} samples; reduce it"
            )
        dimensions[str(path)] = int(np.prod(shape[1:]))
        rows = most
    if len(set(dimensions.values())) > 1:
        raise InputError(f"numbers a sample differ, {dimensions}; expected one dimension; resize or pad some")
    outputs = max(values[0].size for values in _outputs(read, labels).values())
    return {"dimension": dimensions[str(source)], "n_test": n_test or rows, "n_outputs": outputs}


def _check_test_count(n_test: int | None, target: str | Path) -> None:
    if n_test is None:
        raise InputError(
            f"n_test = None: expected a number, as test samples come from {target}; say how many, or name their file"
        )


def _places(path: str | Path, labels_path: str | Path | None, inputs_key: str, labels_key: str) -> list[tuple]:
    """(file, key) of inputs and of labels; raises InputError for suffixes that are none of ours."""
    for one in filter(None, (path, labels_path)):
        if Path(str(one)).suffix not in SUFFIXES:
            raise InputError(f"{one}: neither .npz nor .npy by its name; {_EXPECTED}; write it with numpy.savez")
    if labels_path is None and Path(str(path)).suffix == ARRAY:
        raise InputError(f"{path}: an .npy holds inputs alone; {_EXPECTED}; name the file of its labels")
    return [(path, inputs_key), (labels_path or path, labels_key)]


def _labels_name(path: str | Path, labels_path: str | Path | None, labels_key: str) -> str:
    """What messages call the labels."""
    place = labels_path or path
    return str(place) if Path(str(place)).suffix == ARRAY else f"{place}, {labels_key}"


def _read(path: str | Path, labels_path: str | Path | None, inputs_key: str, labels_key: str) -> tuple:
    """Inputs (n, D) and labels (n,) or (n, C) of a set, checked, and how the labels' shape was read."""
    x, y = (read_array(*place, _EXPECTED, _REMEDY) for place in _places(path, labels_path, inputs_key, labels_key))
    name = str(path) if Path(str(path)).suffix == ARRAY else f"{path}, {inputs_key}"
    return check_samples({name: x, _labels_name(path, labels_path, labels_key): y})


def _outputs(read: Mapping[str, tuple[str, np.ndarray, str]], labels: str) -> dict[str, np.ndarray]:
    """Labels of each part as a network's outputs, (n,) or (n, C): the test's in the target's units.

    Args:
        read: part → what its labels are called, the labels, and how their shape was read; the target's before the
            test's.
        labels: what labels are.
    """
    units: dict[str, LabelUnits] = {}
    found = {}
    for part, (name, y, change) in read.items():
        task = "source" if part == "source" else "target"
        if task not in units:
            units[task] = label_units(name, y, labels, change=change)
        found[part] = units[task](name, y)
        if (found[part] == found[part][0]).all():
            raise InputError(
                f"{name}: every label is {y[0].tolist()}; expected two classes or different numbers; add others"
            )
    return found


def _draw(
    part: str, path: str, x: np.ndarray, others: list[np.ndarray], counts: dict[str, int | None], seed: int
) -> np.ndarray:
    """Rows of a set's samples, none a copy of another or of one of the other sets'."""
    order = generator(seed, "arrays", part).permutation(len(x))[:LARGEST]
    first = np.unique(copy_groups(x[order]), return_index=True)[1]
    different = order[np.sort(first)]
    kept = different
    for drawn in others:
        kept = kept[~shared_samples(x[kept], drawn)] if len(kept) else kept
    count = len(kept) if counts[part] is None else counts[part]
    if count > len(kept) or not len(kept):
        shared = f", {len(different) - len(kept)} of which another set has" if others else ""
        raise InputError(
            f"n_{part} = {counts[part]}: expected at most {len(kept)}, as {path} has {len(different)} different "
            f"samples{shared}; reduce it, or add samples"
        )
    return kept[:count]
