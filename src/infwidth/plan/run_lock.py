"""One run a results folder: a lock that the system gives back when the process that holds it ends, however it ends."""

from __future__ import annotations

import sys
from pathlib import Path

from filelock import FileLock, Timeout

from infwidth.numerics.checks import InputError

_held: dict[Path, FileLock] = {}  # a lock is given back when nothing refers to it


def hold(results: str | Path) -> None:
    """Take the lock of a results folder for as long as this process lives.

    Taken twice in one process it is one lock: `infwidth run` holds it from its start, and the Snakefile takes it for
    whoever starts Snakemake himself.

    Raises:
        InputError: another process holds it.
    """
    folder = Path(results).resolve()
    if folder in _held:
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{results}: another run is making it; wait until that one ends, or stop it first") from None
    except NotImplementedError:  # a file system without locks must not stop a run that is alone
        print(f"infwidth: {results} lies on a file system without locks: start one run at a time", file=sys.stderr)
    _held[folder] = lock


def is_held_elsewhere(results: str | Path) -> bool:
    """Whether another process holds the lock of a results folder."""
    folder = Path(results).resolve()
    if folder in _held or not (folder / ".lock").exists():
        return False
    try:
        with FileLock(folder / ".lock", timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):  # where nothing can be locked, nothing is
        return False
