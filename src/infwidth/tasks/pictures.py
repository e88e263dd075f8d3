"""Pictures as arrays: their shapes, the unit of their pixels, grey versions and other sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from infwidth.numerics.checks import InputError, check_count

CHANNELS = (1, 2, 3, 4)
"""Grey or colour, each with or without opacity."""
LONGEST = 16
"""Largest ratio of a picture's sides: rows of a flattened table are longer."""
EIGHT_BITS, SIXTEEN_BITS = 255, 65535
UNLIKE = 2.0
"""By how much the pixels of two sets, largest and typical ones, may differ if they are of one unit."""
GLANCE = 1000
"""Pictures that the typical pixel is taken from."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey (ITU-R BT.601), as image libraries have them."""


def check_pictures(key: str, images: np.ndarray) -> None:
    """Check shape and kind of images (n, height, width[, channels]), and that integers are pixels.

    Args:
        key: what they are called.
        images: the array.

    Raises:
        InputError: no such shape, channels first, neither whole nor real numbers, a mask, NaN, whole numbers that
            no pixel has.
    """
    if images.ndim not in (3, 4) or images.size == 0:
        raise InputError(
            f"{key} has shape {images.shape}: expected non-empty (n, height, width) or "
            "(n, height, width, channels); reshape it"
        )
    height, width = images.shape[1:3]
    if images.ndim == 4:
        first, last = images.shape[1], images.shape[3]
        # 3 × 32 × 32, or 3 × 4 × 4, whose last axis might be taken for colours and opacity
        if last not in CHANNELS or (first == 3 and width == last == 4):
            remedy = "transpose it (0, 2, 3, 1)" if first in CHANNELS else "reshape it"
            raise InputError(
                f"{key} has shape {images.shape}: expected (n, height, width, channels) with 1 to 4 channels, which "
                f"come last; {remedy}"
            )
    if min(height, width) < 2 or max(height, width) > LONGEST * min(height, width):
        raise InputError(
            f"{key} has shape {images.shape}: pictures of {height} × {width} pixels; expected both sides ≥ 2 and none "
            f"above {LONGEST} times the other; reshape it to (n, height, width) or (n, height, width, channels)"
        )
    if images.dtype.kind not in "iuf":
        raise InputError(f"{key} has dtype {images.dtype}: expected integers in 0 … 255 or floats; convert it")
    if images.dtype.kind == "f":
        bad = images.size - np.count_nonzero(np.isfinite(images))
        if bad:
            raise InputError(f"{key} holds {bad} NaN or infinite entries: expected finite numbers; clean the images")
        return
    low, high = int(images.min()), int(images.max())
    if low < 0 or high > SIXTEEN_BITS:
        raise InputError(
            f"{key} holds whole numbers from {low} to {high}: expected pixels in 0 … {EIGHT_BITS} or "
            f"0 … {SIXTEEN_BITS}; convert them before they wrap around, or to floats"
        )


def one_unit(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring two sets of checked images to one unit, without changing those that share one already.

    Units are told by type and range: whole numbers are 0 … 255, or 0 … 65535 where one is above 255; floats are 0 … 1,
    0 … 255, or of a unit of their own (standardised, say). Sets of different known units become floats in 0 … 1.

    Args:
        train: training images.
        test: test images.

    Returns:
        Both; integers in 0 … 255 in both, or floats in both.

    Raises:
        InputError: units that differ or can't be told apart.
    """
    units = _unit(train), _unit(test)
    if units[0] != units[1]:
        if None in units or not train.any() or not test.any():
            raise InputError(
                f"x_train has dtype {train.dtype}, x_test has {test.dtype}, with {_range(train)} and {_range(test)}: "
                "expected one unit, 0 … 255 or 0 … 1; convert one"
            )
        train, test = (images / np.float64(unit) for images, unit in zip((train, test), units, strict=True))
    elif (whole := [images.dtype.kind in "iu" for images in (train, test)]) != [False, False] and (
        units[0] == SIXTEEN_BITS or whole != [True, True]
    ):
        train, test = (images / np.float64(units[0]) for images in (train, test))
    sizes = [_sizes(images) for images in (train, test)]
    if all(min(size) > 0 for size in sizes):
        ratios = [first / second for first, second in zip(*sizes, strict=True)]
        if min(ratios) > UNLIKE or max(ratios) < 1 / UNLIKE:
            raise InputError(
                f"x_train has {_range(train)}, x_test has {_range(test)}: expected one unit; scale both alike"
            )
    return train, test


def _unit(images: np.ndarray) -> float | None:
    """What a full pixel counts: 1, 255 or 65535; None for floats of a unit of their own."""
    low, high = images.min(), images.max()
    if images.dtype.kind in "iu":
        return EIGHT_BITS if high <= EIGHT_BITS else SIXTEEN_BITS
    if low < 0 or high > EIGHT_BITS:
        return SIXTEEN_BITS if low >= 0 and SIXTEEN_BITS / 2 < high <= SIXTEEN_BITS else None
    if high <= 1:
        return 1
    return EIGHT_BITS if high > EIGHT_BITS / 2 else None


def _range(images: np.ndarray) -> str:
    return f"entries from {images.min():.4g} to {images.max():.4g}"


def _sizes(images: np.ndarray) -> tuple[float, float]:
    """Largest and typical (root mean square) magnitude of the pixels."""
    largest = max(abs(float(images.min())), abs(float(images.max())))
    if largest == 0:
        return 0.0, 0.0
    some = images[:: math.ceil(len(images) / GLANCE)] / np.float64(largest)  # of all it would take gigabytes
    return largest, largest * math.sqrt(np.square(some).mean())


def check_size(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """Return (height, width) of a size given as one number or two, or None; raises InputError."""
    if size is None:
        return None
    sides = [size] if np.ndim(size) == 0 else list(size)
    sides = sides * 2 if len(sides) == 1 else sides
    if len(sides) != 2:
        raise InputError(f"size = {size!r}: expected pixels as one number or [height, width]; change it")
    return tuple(check_count("size", side, minimum=2) for side in sides)


def prepare(images: np.ndarray, *, grayscale: bool, size: tuple[int, int] | None) -> np.ndarray:
    """Make images grey, or of another size; the others are returned as they are.

    Args:
        images: (n, H, W[, C]), integers in 0 … 255 or floats.
        grayscale: whether red, green and blue become their luma; opacity is dropped.
        size: (height, width) to resample to, with a triangle that covers a pixel of the coarser of the two grids.

    Returns:
        (n, H, W) if grey, else (n, H, W[, C]); floats, integers having been divided by 255, where anything changed.
    """
    grey = grayscale and images.ndim == 4
    resized = size is not None and size != images.shape[1:3]
    if not grey and not resized:
        return images
    pixels = images / EIGHT_BITS if images.dtype.kind in "iu" else images.astype(np.float64)
    if grey:
        pixels = pixels[..., :3] @ np.array(LUMA) if images.shape[3] >= 3 else pixels[..., 0]
    return _resample(pixels, size) if resized else pixels


def _resample(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Pictures (n, H, W[, C]) of another size."""
    import torch  # takes a second, which others need not wait

    planes = torch.from_numpy(pixels[..., None] if pixels.ndim == 3 else pixels).permute(0, 3, 1, 2)
    planes = torch.nn.functional.interpolate(planes, size, mode="bilinear", antialias=True)
    resampled = planes.permute(0, 2, 3, 1).contiguous().numpy()
    return resampled[..., 0] if pixels.ndim == 3 else resampled
