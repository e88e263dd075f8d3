"""Where labelled images come from: torchvision's CIFAR-10, a file, or scikit-learn's digits."""

from __future__ import annotations

import http.client
import os
import socket
import tarfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from infwidth.io.archives import check_archive, read_archive
from infwidth.io.reading import at_home, describe
from infwidth.numerics.checks import InputError, check_choice
from infwidth.tasks.labels import flat_labels
from infwidth.tasks.pictures import check_pictures, check_size, one_unit, prepare

KEYS = ("x_train", "y_train", "x_test", "y_test")
DATASETS = ("auto", "cifar10", "digits")

_EXPECTED = f"expected an .npz of labelled images with keys {', '.join(KEYS)}"
_REMEDY = "correct images.path"
# A torchvision built for another torch raises these, not ImportError alone.
_IMPORT_ERRORS = (ImportError, RuntimeError, AttributeError, OSError)
_DOWNLOAD_ERRORS = (OSError, RuntimeError, EOFError, http.client.HTTPException, tarfile.TarError)
_DOWNLOAD_TIMEOUT = 30.0  # seconds without an answer


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with class indices, split into a training and a test set.

    Attributes:
        x_train: training images, (n, H, W) or (n, H, W, C); integers in 0 … 255, or floats in any unit. Sets of
            different units, and integers up to 65535, become floats in 0 … 1.
        y_train: their class indices, (n,), stored as int64; columns and one-hot labels are read with a warning.
        x_test: test images, (m, H, W) or (m, H, W, C), of the same kind.
        y_test: their class indices, (m,), stored as int64.
        name: what a figure's title calls the data.

    Raises:
        InputError: wrong shapes or kinds of number, empty or masked arrays, NaN or infinite entries, whole numbers
            that no pixel has, channels first, or units that differ beyond repair.

    The arrays are read-only views, of the caller's arrays where they are of one unit.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    name: str

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            images, labels = (_whole(f"{key}_{part}", getattr(self, f"{key}_{part}")) for key in "xy")
            check_pictures(f"x_{part}", images)
            labels = _class_indices(f"y_{part}", labels)
            if len(images) != len(labels):
                raise InputError(
                    f"x_{part} has {len(images)} images, y_{part} has {len(labels)} labels: expected as "
                    "many of one as of the other; pass matching arrays"
                )
            self._set(f"x_{part}", images)
            self._set(f"y_{part}", labels.astype(np.int64))
        train, test = self.x_train, self.x_test
        if train.shape[1:] != test.shape[1:]:
            raise InputError(
                f"x_train holds images of shape {train.shape[1:]}, x_test of shape {test.shape[1:]}: expected "
                "one shape; resize them alike"
            )
        for part, images in zip(("train", "test"), one_unit(train, test), strict=True):
            self._set(f"x_{part}", images)

    def _set(self, name: str, array: np.ndarray) -> None:
        view = array.view()
        view.setflags(write=False)
        object.__setattr__(self, name, view)


def _whole(key: str, value: np.ndarray) -> np.ndarray:
    """The array behind a masked one without masked entries; raises InputError for others."""
    masked = int(np.ma.count_masked(value)) if isinstance(value, np.ma.MaskedArray) else 0
    if masked:
        raise InputError(f"{key} holds {masked} masked entries: expected none; fill them, or drop those images")
    return np.asarray(value)


def _class_indices(key: str, labels: np.ndarray) -> np.ndarray:
    labels, change = flat_labels(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise InputError(f"{key} has shape {labels.shape}: expected non-empty (n,); pass one class index per image")
    if labels.dtype.kind not in "iu":
        raise InputError(f"{key} has dtype {labels.dtype}: expected integer class indices; convert the labels")
    if change:
        warnings.warn(f"{key}: {change}", stacklevel=2)
    return labels


def load_images(
    dataset: str = "auto",
    path: str | Path | None = None,
    *,
    grayscale: bool = False,
    size: int | Sequence[int] | None = None,
) -> LabelledImages:
    """Read labelled images.

    Args:
        dataset: ``"cifar10"`` (never anything else in its place), ``"digits"`` (scikit-learn's 8×8 grey
            images; every fifth image of a class is for testing) or ``"auto"``: what ``path`` names; without a
            path CIFAR-10, or the digits with a warning where CIFAR-10 can't be had.
        path: a folder that holds torchvision's CIFAR-10 (``cifar-10-batches-py``) or shall receive it, by
            default ``data``; or an .npz with keys x_train, y_train, x_test, y_test and, optionally, the data's
            ``name``.
        grayscale: whether colours become grey, by their luma; grey images stay as they are.
        size: pixels to resample to, one number or (height, width); None leaves the images' own.

    Returns:
        The images. ``name`` says what they are, a fallback included: "CIFAR-10" for ``dataset="cifar10"``,
        otherwise the file's own name entry, else its stem.

    Raises:
        InputError: unknown dataset, a path beside ``"digits"``, a bad file or size, or CIFAR-10 can't be had where
            it was asked for or a path was given.
    """
    check_choice("dataset", dataset, DATASETS)
    if not isinstance(grayscale, bool):
        raise InputError(f"grayscale = {grayscale!r}: expected True or False; change it")
    size = check_size(size)
    images = _load(dataset, path)
    parts = {key: prepare(getattr(images, key), grayscale=grayscale, size=size) for key in ("x_train", "x_test")}
    return replace(images, **parts) if any(parts[key] is not getattr(images, key) for key in parts) else images


def _load(dataset: str, path: str | Path | None) -> LabelledImages:
    """The images as they are stored."""
    if dataset == "digits":
        if path is not None:
            raise InputError(
                f"images.path = {str(path)!r}: expected none beside dataset digits, which ships with "
                "scikit-learn; remove the path or set images.dataset: auto"
            )
        return _digits("digits")
    folder = Path("data") if path is None else at_home(path)
    if folder.suffix == ".npz" or os.path.isfile(folder):
        return _read_archive(folder, "CIFAR-10" if dataset == "cifar10" else None)
    try:
        return _cifar10(folder)
    except _UnavailableError as error:
        failure = f"CIFAR-10 can't be had in folder {str(folder)!r} ({error})"
        elsewhere = "set images.path to a folder that holds cifar-10-batches-py or to a labelled-image .npz"
        if dataset == "cifar10":
            raise InputError(
                f"{failure}: dataset cifar10 never falls back; {elsewhere}, or set images.dataset: auto"
            ) from error
        if path is not None:
            raise InputError(
                f"{failure}: auto falls back only where no path is given; {elsewhere}, or remove it"
            ) from error
        warnings.warn(f"{failure}: taking scikit-learn's digits instead; {elsewhere}", stacklevel=2)
        return _digits("digits (fallback for CIFAR-10)")


def check_image_file(path: str | Path) -> None:
    """Check that a labelled-image .npz exists, is a zip archive and has the four keys, reading no array.

    Args:
        path: the file.

    Raises:
        InputError: it isn't there, is no archive or lacks a key.
    """
    check_archive(path, KEYS, _EXPECTED, _REMEDY)


def _read_archive(path: Path, name: str | None) -> LabelledImages:
    """The images of an .npz; without ``name`` they are called what the file says, else by its stem."""
    arrays = read_archive(path, KEYS, _EXPECTED, _REMEDY, optional=["name"] if name is None else [])
    if name is None:
        text = arrays.pop("name", np.array(path.stem))
        if text.dtype.kind != "U" or text.size != 1:
            raise InputError(
                f"{path}, name: found {text.dtype} of shape {text.shape}; expected one text; save it as such"
            )
        name = " ".join(text.item().split()) or path.stem
    try:
        return LabelledImages(**arrays, name=name)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


class _UnavailableError(Exception):
    """CIFAR-10 can't be had; the message says why."""


def _cifar10(folder: Path) -> LabelledImages:
    """CIFAR-10 through torchvision, downloaded into ``folder`` if need be; raises _UnavailableError."""
    try:
        from torchvision.datasets import CIFAR10
    except _IMPORT_ERRORS as error:
        reason = f"torchvision can't be imported: {describe(error)}; install the build that matches torch"
        raise _UnavailableError(reason) from error
    if folder.name == CIFAR10.base_folder and folder.is_dir():
        folder = folder.parent
    try:
        try:
            train = CIFAR10(str(folder), train=True, download=False)
        except RuntimeError:  # not there, or its checksum is wrong
            with _downloading(folder):
                train = CIFAR10(str(folder), train=True, download=True)
        test = CIFAR10(str(folder), train=False, download=False)
    except _DOWNLOAD_ERRORS as error:
        raise _UnavailableError(describe(error)) from error
    return LabelledImages(train.data, np.array(train.targets), test.data, np.array(test.targets), "CIFAR-10")


@contextmanager
def _downloading(folder: Path) -> Iterator[None]:
    """One process at a time downloads into the folder, and none waits for ever for an answer."""
    folder.mkdir(parents=True, exist_ok=True)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_DOWNLOAD_TIMEOUT)
    try:
        with open(folder / ".download.lock", "w") as lock:
            try:
                import fcntl
            except ImportError:  # Windows has none: there, start no two downloads at once
                pass
            else:
                fcntl.flock(lock, fcntl.LOCK_EX)  # let go of when the file closes or the process dies
            yield
    finally:
        socket.setdefaulttimeout(timeout)


def _digits(name: str) -> LabelledImages:
    """scikit-learn's digits with intensities in [0, 1]; every fifth image of a class is for testing."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images, labels = data.images / 16, data.target
    test = np.zeros(len(labels), dtype=bool)
    for index in np.unique(labels):
        test[np.flatnonzero(labels == index)[4::5]] = True
    return LabelledImages(images[~test], labels[~test], images[test], labels[test], name)
