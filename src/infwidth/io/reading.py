"""What reading a damaged file can raise, and how an exception is said in one line."""

from __future__ import annotations

import lzma
import os
import textwrap
import zipfile
import zlib
from pathlib import Path

from infwidth.numerics.checks import InputError

# What numpy, zipfile, pandas and json raise on a damaged file; RuntimeError stands for encryption or unknown
# compression, and every decoding or parsing error is a ValueError.
READ_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, KeyError, ValueError, RuntimeError, MemoryError),
)


def at_home(path: str | Path) -> Path:
    """A path whose ~ is the home folder; the ~ of a user who isn't there stays, as in a shell."""
    return Path(os.path.expanduser(path))


def describe(error: BaseException) -> str:
    """Type and message of an exception, on one line of bearable length."""
    return shorten(f"{type(error).__name__}: {error}")


def cannot_read(what: str | Path, error: BaseException, expected: str, remedy: str) -> InputError:
    """What to raise where a file can't be read, in one line; one that is closed to the user isn't wrong in itself."""
    remedy = "make it readable for you" if isinstance(error, PermissionError) else remedy
    return InputError(f"{what}: can't be read ({describe(error)}); {expected}; {remedy}")


def is_there(path: str | Path, expected: str) -> bool:
    """Whether a file or folder exists; raises InputError where a folder on the way is closed to the user."""
    try:
        os.stat(path)
    except PermissionError as error:
        raise cannot_read(path, error, expected, "") from error
    except (OSError, ValueError):
        return False
    return True


def shorten(text: str) -> str:
    """A text on one line of bearable length."""
    return textwrap.shorten(text, 200, placeholder=" …")
