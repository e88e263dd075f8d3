"""Users' own .npz archives: every way in which one can be bad ends in one line."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from infwidth.io.reading import READ_ERRORS, describe
from infwidth.numerics.checks import InputError


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
    path = Path(path).expanduser()
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder; {expected}; name the file")
    if not os.path.exists(path):  # unlike Path.exists, no exception where a folder on the way is closed
        raise InputError(f"{path}: no such file; {expected}; {remedy}")
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
    path = Path(path).expanduser()
    found = check_archive(path, keys, expected, remedy)
    arrays = {}
    with _reading(str(path), expected):
        archive = zipfile.ZipFile(path)
    with archive:
        for key in [*keys, *(key for key in optional if key in found)]:
            with _reading(f"{path}, {key}", expected), archive.open(f"{key}.npy") as member:
                arrays[key] = np.lib.format.read_array(member, allow_pickle=False)
    return arrays


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
        raise InputError(
            f"{what}: can't be read ({describe(error)}); {expected}; write or copy the file again"
        ) from error
