"""Transfer between two pairs of image classes, labels ±1."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from infwidth.numerics.checks import InputError, check_count
from infwidth.numerics.seeds import generator
from infwidth.tasks.image_sources import LabelledImages, load_images
from infwidth.tasks.transfer_task import TransferTask


def images(
    *,
    source_classes: Sequence[int] = (0, 1),
    target_classes: Sequence[int] = (8, 9),
    n_source: int,
    n_target: int,
    n_test: int | None = None,
    dataset: str = "auto",
    path: str | Path | None = None,
    grayscale: bool = False,
    size: int | Sequence[int] | None = None,
    seed: int,
) -> TransferTask:
    """Read labelled images and draw a transfer task from them; see :func:`image_task` for how.

    Args:
        source_classes: class indices of the source; the first has label −1, the second +1.
        target_classes: class indices of the target, likewise.
        n_source: source samples P1 ≥ 2, both classes together.
        n_target: target training samples P2 ≥ 2, both classes together.
        n_test: target test samples Pt ≥ 2, both classes together; None takes all there are.
        dataset: ``"auto"``, ``"cifar10"`` or ``"digits"``; see ``load_images`` in infwidth.tasks.image_sources.
        path: a folder of CIFAR-10, or a labelled-image .npz.
        grayscale: whether colours become grey.
        size: pixels to resample to, one number or (height, width); None leaves the images' own.
        seed: whole number ≥ 0 that the choice of images derives from.

    Returns:
        The task, inputs (P1, D), (P2, D) and (Pt, D) with D = height · width · channels and |x|² = D.

    Raises:
        InputError: an argument is out of range, the images can't be had, or there are too few of them.
    """
    return image_task(
        load_images(dataset, path, grayscale=grayscale, size=size),
        source_classes=source_classes,
        target_classes=target_classes,
        n_source=n_source,
        n_target=n_target,
        n_test=n_test,
        seed=seed,
    )


def image_task(
    pool: LabelledImages,
    *,
    source_classes: Sequence[int],
    target_classes: Sequence[int],
    n_source: int,
    n_target: int,
    n_test: int | None = None,
    seed: int,
) -> TransferTask:
    """Draw a transfer task from labelled images.

    Source and target training samples come from the training images, test samples from the test images. Each
    class is shuffled once per seed; the source takes from the front, the target from the back. So they never
    share an image, neither's size changes what the other gets, and a smaller sample is the beginning of a
    larger one. Classes alternate, the first beginning: it has one sample more where a number is odd.

    Images are flattened, divided by 255 if they are integers, centred with the mean of the source training
    samples and scaled one by one to |x|² = D. That mean is all that ``n_source`` changes in the target.

    Args:
        pool: the images to draw from.
        source_classes: class indices of the source; the first has label −1, the second +1.
        target_classes: class indices of the target, likewise; classes may be shared with the source.
        n_source: source samples P1 ≥ 2, both classes together.
        n_target: target training samples P2 ≥ 2, both classes together.
        n_test: target test samples Pt ≥ 2, both classes together; None takes all there are, balanced or not.
        seed: whole number ≥ 0 that the choice of images derives from.

    Returns:
        The task, inputs (P1, D), (P2, D) and (Pt, D) with D = height · width · channels.

    Raises:
        InputError: as :func:`check_pool`, or an image equals the mean of the source, so has no direction.
    """
    seed = check_count("seed", seed, minimum=0)
    check_pool(
        pool,
        source_classes=source_classes,
        target_classes=target_classes,
        n_source=n_source,
        n_target=n_target,
        n_test=n_test,
    )
    source, target = (tuple(int(index) for index in classes) for classes in (source_classes, target_classes))
    front = [_shuffled(pool.y_train, index, seed, "images", index) for index in source]
    back = [_shuffled(pool.y_train, index, seed, "images", index)[::-1] for index in target]
    test = [_shuffled(pool.y_test, index, seed, "images", "test", index) for index in target]

    arrays = {}
    mean = None
    for part, drawn, n, stored in (
        ("source", front, n_source, "x_train"),
        ("target", back, n_target, "x_train"),
        ("test", test, n_test, "x_test"),
    ):
        rows, labels = _alternate(drawn, n)
        x = _flatten(getattr(pool, stored)[rows])
        mean = x.mean(axis=0) if mean is None else mean
        arrays[f"x_{part}"] = _project(x, mean, rows, f"{pool.name}, {stored}")
        arrays[f"y_{part}"] = labels
    label = f"{pool.name} {source[0]},{source[1]} → {target[0]},{target[1]}"
    return TransferTask(**arrays, label=label)


def check_pool(
    pool: LabelledImages,
    *,
    source_classes: Sequence[int],
    target_classes: Sequence[int],
    n_source: int,
    n_target: int,
    n_test: int | None,
) -> None:
    """Check that a task can be drawn from the images, without drawing it.

    Args:
        pool: the images to draw from.
        source_classes: class indices of the source.
        target_classes: class indices of the target.
        n_source: source samples, both classes together.
        n_target: target training samples, both classes together.
        n_test: target test samples, both classes together, or None for all.

    Raises:
        InputError: a pair that isn't two different classes, a class that the data lack, a number of samples
            below 2, or too few images of a class.
    """
    trained, tested = (_count_classes(labels) for labels in (pool.y_train, pool.y_test))
    source = _check_classes("source_classes", source_classes, trained, f"training images of {pool.name}")
    target = _check_classes("target_classes", target_classes, trained, f"training images of {pool.name}")
    _check_classes("target_classes", target_classes, tested, f"test images of {pool.name}")
    from_source = dict(zip(source, _halves(check_count("n_source", n_source, minimum=2)), strict=True))
    from_target = dict(zip(target, _halves(check_count("n_target", n_target, minimum=2)), strict=True))
    for index in sorted(from_source | from_target):
        needed = from_source.get(index, 0), from_target.get(index, 0)
        if sum(needed) > trained[index]:
            raise InputError(
                f"n_source = {n_source}, n_target = {n_target}: expected {sum(needed)} training images of "
                f"class {index} ({needed[0]} for the source + {needed[1]} for the target), {pool.name} has "
                f"{trained[index]}; reduce n_source or n_target"
            )
    if n_test is None:
        return
    for index, needed in zip(target, _halves(check_count("n_test", n_test, minimum=2)), strict=True):
        if needed > tested[index]:
            raise InputError(
                f"n_test = {n_test}: expected {needed} test images of class {index}, {pool.name} has "
                f"{tested[index]}; reduce n_test, or leave it out to take all"
            )


def _count_classes(labels: np.ndarray) -> dict[int, int]:
    """Class index → number of images."""
    indices, counts = np.unique(labels, return_counts=True)
    return dict(zip(indices.tolist(), counts.tolist(), strict=True))


def _check_classes(name: str, classes: Sequence[int], available: dict[int, int], where: str) -> tuple[int, int]:
    """The two class indices as plain integers, which seeds need; raises InputError."""
    indices = list(classes) if isinstance(classes, Sequence | np.ndarray) and not isinstance(classes, str) else []
    whole = all(hasattr(index, "__index__") and not isinstance(index, bool) for index in indices)
    if not whole or len(indices) != 2 or indices[0] == indices[1]:
        raise InputError(f"{name} = {classes!r}: expected two different class indices; change it")
    first, second = map(int, indices)
    for index in (first, second):
        if index not in available:
            known = ", ".join(map(str, available))
            raise InputError(
                f"{name} = {classes!r}: no class {index} among the {where}; expected two of {known}; change it"
            )
    return first, second


def _halves(n: int) -> tuple[int, int]:
    """How many of n samples are of the first class and of the second."""
    return n - n // 2, n // 2


def _shuffled(labels: np.ndarray, index: int, *path: int | str) -> np.ndarray:
    """Rows of one class in an order that depends on ``path`` and on how many there are."""
    return generator(*path).permutation(np.flatnonzero(labels == index))


def _alternate(drawn: list[np.ndarray], n: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The first n rows (all if None) of two classes in turn, (n,), and their labels ∓1, (n,)."""
    counts = tuple(map(len, drawn)) if n is None else _halves(n)
    rows = np.concatenate([rows[:count] for rows, count in zip(drawn, counts, strict=True)])
    ranks = np.concatenate([np.arange(count) for count in counts])
    order = np.argsort(ranks, kind="stable")
    return rows[order], np.repeat([-1.0, 1.0], counts)[order]


def _flatten(pictures: np.ndarray) -> np.ndarray:
    """Images (n, H, W[, C]) as float64 vectors (n, D); integers are read as 0 … 255."""
    x = pictures.reshape(len(pictures), -1).astype(np.float64)
    return x / 255 if pictures.dtype.kind in "iu" else x


def _project(x: np.ndarray, mean: np.ndarray, rows: np.ndarray, where: str) -> np.ndarray:
    """The vectors (n, D) less the mean (D,), each scaled to |x|² = D; errors name it by ``where`` and ``rows``."""
    centred = x - mean
    norms = np.linalg.norm(centred, axis=1)
    rounding = 1e-12 * (np.linalg.norm(x, axis=1) + np.linalg.norm(mean))
    (flat,) = np.nonzero(norms <= rounding)
    if flat.size:
        raise InputError(
            f"{where}[{rows[flat[0]]}] equals the mean of the source images: expected a difference to scale "
            "to |x|² = D; remove that image or change n_source or the seed"
        )
    return centred * (np.sqrt(x.shape[1]) / norms)[:, None]
