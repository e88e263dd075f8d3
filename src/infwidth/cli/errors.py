"""How every command ends where it can't go on: in one line. And how it writes where a terminal has few letters."""

from __future__ import annotations

import codecs
import errno
import locale
import os
import sys
from typing import Any

import click

from infwidth.numerics.checks import InputError

_REMEDIES = {
    errno.ENOSPC: "free some space, then the same command goes on",
    errno.EDQUOT: "free some space, then the same command goes on",
    errno.EACCES: "choose a place you may write to, or change its permissions",
    errno.EPERM: "choose a place you may write to, or change its permissions",
    errno.EROFS: "choose a place you may write to",
    errno.ENOENT: "correct the path",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "name a folder",
}


class OneLineErrors(click.Group):
    """Bad input, full disks and the like end in one line, not a traceback."""

    def main(self, args: Any = None, *more: Any, **options: Any) -> Any:
        """Run the command line; see :class:`click.Group`."""
        if args is None:
            _write_utf8()
        for stream in (sys.stdout, sys.stderr):  # what a terminal can't show is no reason to fail
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        return super().main(args, *more, **options)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command that was named; see :class:`click.Group`."""
        try:
            return super().invoke(ctx)
        except InputError as error:
            raise click.ClickException(str(error)) from error
        except MemoryError as error:
            raise click.ClickException("not enough memory: close other programs, or ask for less at a time") from error
        except OSError as error:
            if error.errno == errno.EPIPE or error.strerror is None:
                raise
            where = f"{error.filename}: " if error.filename is not None else ""
            remedy = _REMEDIES.get(error.errno, "see to that and try again")
            raise click.ClickException(f"{where}{error.strerror}; {remedy}") from error


def _write_utf8() -> None:
    """Start anew in Python's UTF-8 mode where the locale is another: files are UTF-8 always, arguments mostly.

    The terminal keeps its own encoding.
    """
    if sys.flags.utf8_mode or codecs.lookup(locale.getencoding()).name == "utf-8":
        return
    mode = {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{sys.stdout.encoding}:replace"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **mode})
