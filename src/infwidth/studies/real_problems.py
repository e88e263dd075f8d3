"""Pairs of classes of real images as sources and targets of one another, on pixels or on pretrained features."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infwidth.numerics.checks import InputError
from infwidth.numerics.seeds import generator
from infwidth.tasks.image_sources import load_images
from infwidth.tasks.transfer_task import TransferTask

Pair = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Pool:
    """Inputs of all classes.

    Attributes:
        train: training inputs, (n, D).
        classes: theirs, (n,).
        test: test inputs, (m, D).
        test_classes: theirs, (m,).
        name: what they are.
    """

    train: np.ndarray
    classes: np.ndarray
    test: np.ndarray
    test_classes: np.ndarray
    name: str


@functools.lru_cache(maxsize=1)
def read_pool(dataset: str, path: str | Path | None, extractor: str, most: int) -> Pool:
    """Read images, and take them through the pretrained network where that is asked for.

    Args:
        dataset: see ``load_images`` of infwidth.tasks.image_sources.
        path: likewise.
        extractor: "pixels" or "imagenet".
        most: training images of a class that are kept, the first there are; to take one through a network costs time.

    Raises:
        InputError: the images can't be had, or the packages of the network are missing.
    """
    images = load_images(dataset, path)
    first = np.concatenate([np.flatnonzero(images.y_train == label)[:most] for label in np.unique(images.y_train)])
    parts = images.x_train[first], images.x_test
    name = images.name
    if extractor == "imagenet":
        from infwidth.tasks.pretrained import imagenet_features

        parts = tuple(map(imagenet_features, parts))
        name += ", ImageNet features"
    train, test = (np.asarray(part, float).reshape(len(part), -1) for part in parts)
    return Pool(train, images.y_train[first], test, images.y_test, name)


def class_pairs(count: int) -> list[Pair]:
    """Return pairs of the classes 0 … 2·count − 1: (0, 1), (2, 3), …."""
    return [(2 * i, 2 * i + 1) for i in range(count)]


def draw_task(pool: Pool, source: Pair, target: Pair, *, n_source: int, n_target: int, seed: int) -> TransferTask:
    """Draw a task between two pairs of classes, the first −1 and the second +1; all test samples of the target's pair.

    Inputs are centred by the source's mean and scaled by one number to |x|² = D on average over the source. At equal
    seed a class's samples are the same in every task.

    Args:
        pool: the inputs.
        source: classes of the source.
        target: those of the target.
        n_source: P1, half of each class.
        n_target: P2, likewise.
        seed: of the choice.

    Raises:
        InputError: a class has too few samples.
    """
    x_source, y_source = _draw(pool, source, n_source, seed)
    x_target, y_target = _draw(pool, target, n_target, seed)
    chosen = np.isin(pool.test_classes, target)
    x_test, y_test = pool.test[chosen], np.where(pool.test_classes[chosen] == target[1], 1.0, -1.0)
    centre = x_source.mean(0)
    scale = np.sqrt(np.square(x_source - centre).mean())
    x_source, x_target, x_test = ((x - centre) / scale for x in (x_source, x_target, x_test))
    label = f"{pool.name}: {spelt(source)} → {spelt(target)}"
    return TransferTask(x_source, y_source, x_target, y_target, x_test, y_test, label=label)


def spelt(pair: Sequence[int]) -> str:
    """Return a pair of classes as tables have it."""
    return f"{{{pair[0]},{pair[1]}}}"


def _draw(pool: Pool, pair: Pair, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """``count`` samples of two classes, half of each, and their labels."""
    half, chosen = count // 2, []
    for label in pair:
        there = np.flatnonzero(pool.classes == label)
        if half < 1 or len(there) < half:
            raise InputError(
                f"{pool.name}: class {label} has {len(there)} training samples; expected {half} of it for {count} of "
                f"{spelt(pair)}; ask for fewer samples, or fewer problems"
            )
        chosen.append(generator(seed, "class", int(label)).permutation(there)[:half])
    return pool.train[np.concatenate(chosen)], np.repeat([-1.0, 1.0], half)
