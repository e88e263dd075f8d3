"""What reading a damaged file can raise, and how an exception is said in one line."""

from __future__ import annotations

import lzma
import os
import textwrap
import zipfile
import zlib
from pathlib import Path

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


def shorten(text: str) -> str:
    """A text on one line of bearable length."""
    return textwrap.shorten(text, 200, placeholder=" …")
