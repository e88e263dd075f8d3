"""Labelled images of all classes, standardised, as the studies of frozen features read them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.checks import InputError, check_count
from infwidth.numerics.seeds import generator
from infwidth.tasks.image_sources import LabelledImages, load_images


@dataclass(frozen=True, eq=False)
class ImageSample:
    """Training and test images of all classes.

    Attributes:
        x: training inputs, (n, d), float64, less the mean training image, each scaled to |x|² = d.
        y: their classes one-hot, (n, E), float64.
        x_test: test inputs, (m, d), less that same mean, each scaled to |x|² = d.
        y_test: (m, E).
        shape: (channels, height, width) of an image; d is their product, in that order.
        name: what a figure's title calls the data.
    """

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor
    shape: tuple[int, int, int]
    name: str


def draw_images(
    dataset: str, path: str | Path | None, *, samples: int, test_samples: int | None = None, seed: int
) -> ImageSample:
    """Read labelled images and draw a training and a test sample of all classes.

    Args:
        dataset: "digits", "cifar10" or "auto"; see ``load_images`` in infwidth.tasks.image_sources.
        path: where the images are, as there.
        samples: training images n ≥ 1, drawn without replacement from the training part.
        test_samples: test images m ≥ 1 from the test part; None takes all.
        seed: whole number ≥ 0 that the choice derives from; a smaller sample is the beginning of a larger one.

    Returns:
        The sample.

    Raises:
        InputError: as ``load_images``, a number out of range, or more images asked for than there are.
    """
    pool = load_images(dataset, path)
    check_count("seed", seed, minimum=0)
    train, test = (
        _choose(pool, part, name, n, seed)
        for part, name, n in (("train", "samples", samples), ("test", "test_samples", test_samples))
    )
    classes = np.unique(pool.y_train)
    unseen = sorted(set(pool.y_test[test].tolist()) - set(classes.tolist()))
    if unseen:
        raise InputError(f"{pool.name}: test class {unseen[0]} has no training images: expected some; remove the class")
    x, x_test = (_vectors(images) for images in (pool.x_train[train], pool.x_test[test]))
    mean = x.mean(0)
    shape = pool.x_train.shape[1:]
    return ImageSample(
        x=_scaled(x - mean),
        y=_one_hot(pool.y_train[train], classes),
        x_test=_scaled(x_test - mean),
        y_test=_one_hot(pool.y_test[test], classes),
        shape=(shape[2] if len(shape) == 3 else 1, shape[0], shape[1]),
        name=pool.name,
    )


def _choose(pool: LabelledImages, part: str, setting: str, n: int | None, seed: int) -> np.ndarray:
    """Rows of n images of a part, (n,)."""
    there = len(getattr(pool, f"x_{part}"))
    if n is not None and check_count(setting, n) > there:
        raise InputError(f"{setting} = {n}: expected ≤ {there}, all {part} images of {pool.name}; reduce it")
    return generator(seed, "images", part).permutation(there)[:n]


def _vectors(pictures: np.ndarray) -> Tensor:
    """Images (n, H, W[, C]) as vectors (n, C · H · W), channels first; integers are read as 0 … 255."""
    if pictures.ndim == 4:
        pictures = pictures.transpose(0, 3, 1, 2)
    x = torch.from_numpy(pictures.reshape(len(pictures), -1).astype(np.float64))
    return x / 255 if pictures.dtype.kind in "iu" else x


def _scaled(x: Tensor) -> Tensor:
    norms = x.norm(dim=1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
    return x * (math.sqrt(x.shape[1]) / norms)


def _one_hot(labels: np.ndarray, classes: np.ndarray) -> Tensor:
    return torch.from_numpy((labels[:, None] == classes).astype(np.float64))
