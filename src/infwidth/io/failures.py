"""What the machine refuses, a full disk or too little memory, in one line with its remedy."""

from __future__ import annotations

import errno
import re
import signal

from infwidth.io.reading import describe

_MEMORY = (
    "let fewer jobs run at a time (CORES), set seeds_per_job or the width lower, or take a machine with more memory; "
    "what is done is kept"
)
_OUT_OF_MEMORY = (
    *("can't allocate memory", "out of memory", "Unable to allocate"),
    *("can't start new thread", "failed to map segment"),  # nor a library's code, an ImportError
)
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM, errno.EIO)
"""What whoever was writing may answer with an error of its own."""
_NAMELESS = dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "standard output or a temporary file (TMPDIR): ")
"""Where that may be which no file is named for."""
_STOPPED = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None))
"""Signals by which somebody ends a run."""
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some space there and run the same command again"),
    **dict.fromkeys(
        (errno.EROFS, errno.EACCES, errno.EPERM), "make it writable for you, and readable, or work elsewhere"
    ),
    errno.ENOENT: "correct the path",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "name a folder",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
}


def killed(status: int) -> str | None:
    """Say in one line how a process ended that a signal ended by itself; None where nobody's or somebody's did.

    Args:
        status: its exit status, as a shell has it, or minus the signal.
    """
    number = status - 128 if status > 128 else -status
    if number <= 0 or number in _STOPPED or number not in set(signal.Signals):
        return None
    return f"ended by {signal.Signals(number).name} without a word, as where memory is out; {_MEMORY}"


def refused_writing(error: BaseException) -> OSError | None:
    """What the disk refused where a library that was writing made it an error of its own; None where it was none."""
    first = error.__context__
    return first if isinstance(first, OSError) and first.errno in _FULL else None


def machine_failure(error: BaseException) -> str | None:
    """Say in one line what a machine refused, and the remedy; None where the error is of another kind."""
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError | ImportError) and any(words in str(error) for words in _OUT_OF_MEMORY)
    ):  # torch's own error is a RuntimeError, of which the one of the CPU has no class of its own
        return f"out of memory ({describe(error)}); {_MEMORY}"
    if not isinstance(error, OSError):
        first = refused_writing(error)
        return machine_failure(first) if first else None
    if error.errno == errno.EPIPE:  # nobody reads on: no failure
        return None
    if error.errno == errno.ENOMEM:
        return f"out of memory ({describe(error)}); {_MEMORY}"
    # of a copy it is the second that could not be written
    name = error.filename if error.filename2 is None or error.errno not in _FULL else error.filename2
    where = f"{name}: " if name is not None else _NAMELESS.get(error.errno, "")
    remedy = _REMEDIES.get(error.errno, "see that the path is right and the disk well, and run the same command again")
    return f"{where}{error.strerror or error}; {remedy}"


def last_words(text: str) -> str:
    """What an error's text comes to: what the machine refused, with the remedy; else of a traceback the last line."""
    lines = text.strip().splitlines()
    protected = re.match(r"ProtectedOutputException.*affected files:\s+(.+?)(?:\n|$)", text, re.DOTALL)
    if protected:
        return machine_failure(OSError(errno.EACCES, "Write-protected", protected[1])) or text
    in_snakefile = re.match(r'\w+ in file ".+", line \d+:\n(.+?)(?=\n  File "|\Z)', text.strip(), re.DOTALL)
    if in_snakefile:  # what is wrong comes before where it was found
        return "\n".join(remedied(line.strip()) for line in in_snakefile[1].splitlines())
    refused = next((line for line in lines if "[Errno " in line), None)
    if refused is None and '\n  File "' not in text:
        return text
    return remedied((refused or lines[-1]).strip())


def remedied(line: str) -> str:
    """A traceback's last line, or what the machine refused and the remedy, if it says that."""
    system = re.search(r"\[Errno (\d+)\] ([^:]*)(?:: '(.*)')?", line)
    error = OSError(int(system[1]), system[2], system[3]) if system else RuntimeError(line)
    return machine_failure(error) or line
