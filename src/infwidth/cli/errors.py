"""How every command ends where it can't go on: in one line. And how it writes where a terminal has few letters."""

from __future__ import annotations

import codecs
import errno
import locale
import os
import sys
from typing import Any

import click

from infwidth.io.failures import machine_failure
from infwidth.numerics.checks import InputError


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
        except click.UsageError as error:
            asked = error.ctx.command_path if error.ctx else "infwidth"
            raise _OneLineUsage(f"{error.format_message().rstrip('.')}; see `{asked} --help`") from error
        except Exception as error:
            refused = machine_failure(error)
            if refused is None or getattr(error, "errno", None) == errno.EPIPE:  # a pipe that was closed is no failure
                raise
            raise click.ClickException(refused) from error


class _OneLineUsage(click.ClickException):
    exit_code = click.UsageError.exit_code


def _write_utf8() -> None:
    """Start anew in Python's UTF-8 mode where the locale is another: files are UTF-8 always, arguments mostly.

    The terminal keeps its own encoding.
    """
    if sys.flags.utf8_mode or codecs.lookup(locale.getencoding()).name == "utf-8":
        return
    mode = {"PYTHONUTF8": "1", "PYTHONIOENCODING": f"{sys.stdout.encoding}:replace"}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **mode})
