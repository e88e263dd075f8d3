"""Users' own .npz archives and .npy arrays: every way in which one can be bad ends in one line."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from infwidth.io.reading import READ_ERRORS, at_home, cannot_read, is_there
from infwidth.numerics.checks import InputError

ARRAY = ".npy"
"""Suffix of a file that holds one array."""


def check_archive(path: str | Path, keys: Collection[str], expected: str, remedy: str) -> list[str]:
    """Check that an .npz exists, is a zip archive and has the keys, reading no array; return the keys it has.

    Args:
        path: the file.
        keys: those it must have.
        expected: what the file should be, for the messages: ``expected an .npz with …``.
        remedy: what to do where there is no such file.

    Raises:
        InputError: it isn't there, is no archive or lacks a key.
    """
    path = _existing(path, expected, remedy)
    with _reading(str(path), expected), zipfile.ZipFile(path) as archive:
        found = [name.removesuffix(".npy") for name in archive.namelist()]
    missing = [key for key in keys if key not in found]
    if missing:
        raise InputError(
            f"{path}: no {', '.join(missing)} among its keys ({', '.join(map(repr, found))}); {expected}; add it"
        )
    return found


def read_archive(
    path: str | Path, keys: Collection[str], expected: str, remedy: str, optional: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Read the arrays of those keys, and the optional ones that are there; pickled objects are never loaded.

    Args:
        path: the file.
        keys: those it must have.
        expected: see :func:`check_archive`.
        remedy: likewise.
        optional: keys read where they are there.

    Raises:
        InputError: as :func:`check_archive`, or an array is damaged or holds objects.
    """
    path = at_home(path)
    found = check_archive(path, keys, expected, remedy)
    arrays = {}
    with _reading(str(path), expected):
        archive = zipfile.ZipFile(path)
    with archive:
        for key in [*keys, *(key for key in optional if key in found)]:
            with _reading(f"{path}, {key}", expected), archive.open(f"{key}.npy") as member:
                arrays[key] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays


def read_array(place: str | Path, key: str, expected: str, remedy: str) -> np.ndarray:
    """Read an .npy, or the array of that key of an .npz; pickled objects are never loaded.

    Args:
        place: the file.
        key: the array's, in an .npz.
        expected: see :func:`check_archive`.
        remedy: likewise.

    Raises:
        InputError: the file isn't there, is damaged, lacks the key or holds objects.
    """
    if Path(place).suffix != ARRAY:
        return read_archive(place, (key,), expected, remedy)[key]
    path = _existing(place, expected, remedy)
    with _reading(str(path), expected), open(path, "rb") as handle:
        return np.lib.format.read_array(handle, allow_pickle=False)


def array_shape(place: str | Path, key: str, expected: str, remedy: str) -> tuple[int, ...]:
    """Return the shape of what :func:`read_array` reads, from its header alone."""
    if Path(place).suffix != ARRAY:
        check_archive(place, (key,), expected, remedy)
    path = _existing(place, expected, remedy)
    with _reading(str(path), expected), ExitStack() as stack:
        if path.suffix == ARRAY:
            handle = stack.enter_context(open(path, "rb"))
        else:
            handle = stack.enter_context(stack.enter_context(zipfile.ZipFile(path)).open(f"{key}.npy"))
        newer = np.lib.format.read_magic(handle) != (1, 0)
        header = np.lib.format.read_array_header_2_0 if newer else np.lib.format.read_array_header_1_0
        return header(handle)[0]


def _existing(path: str | Path, expected: str, remedy: str) -> Path:
    """The path of a file that is there; raises InputError."""
    path = at_home(path)
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder; {expected}; name the file")
    if not is_there(path, expected):
        raise InputError(f"{path}: no such file; {expected}; {remedy}")
    return path


@contextmanager
def _reading(what: str, expected: str) -> Iterator[None]:
    """Turn whatever a damaged archive raises into one line."""
    try:
        yield
    except READ_ERRORS as error:
        if "Object arrays" in str(error):  # numpy has no exception of its own for this
            raise InputError(
                f"{what}: holds pickled Python objects, which are never loaded; expected a plain numeric "
                "array; save it with a numeric dtype"
            ) from error
        raise cannot_read(what, error, expected, "write or copy the file again") from error
