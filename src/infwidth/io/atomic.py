"""Files that are either whole or absent, and the reading of what was written so."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from boltons.fileutils import atomic_save

from infwidth.io.failures import refused_writing
from infwidth.io.reading import READ_ERRORS, cannot_read
from infwidth.io.whole import check_whole
from infwidth.numerics.checks import InputError


@contextmanager
def atomic_file(path: str | Path, *, text: bool = False) -> Iterator[IO]:
    """Open a temporary file beside ``path`` for writing; it takes that name only if the block ends well.

    Text is UTF-8 whatever the locale.

    Raises:
        OSError: the disk is full, the folder can't be written, …; its ``filename`` says which.
    """
    path = Path(path)
    part = path.absolute().with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # overwrite_part: a killed job leaves its part file behind, which must not stop the next one
        with atomic_save(str(path), overwrite_part=True) as handle:
            if not text:
                yield handle
                return
            written = io.TextIOWrapper(handle, encoding="utf-8", newline="\n")
            yield written
            written.flush()
            written.detach()  # atomic_save closes what is below
    except Exception as error:
        refused = error if isinstance(error, OSError) else refused_writing(error)
        if refused is None:
            raise
        with suppress(OSError):
            part.unlink(missing_ok=True)  # atomic_save leaves it where the disk is full
        if refused.filename is not None and refused.filename != str(part):
            raise
        raise OSError(refused.errno, refused.strerror or str(refused), str(path)) from error


def write_arrays(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays (or strings) as an .npz."""
    with atomic_file(path) as handle:
        np.savez(handle, **arrays)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read every array of an .npz written by :func:`write_arrays`.

    Raises:
        InputError: it isn't there, is damaged, or isn't what its job wrote.
    """
    with reading(path, "arrays (.npz)"), np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON."""
    with atomic_file(path, text=True) as handle:
        json.dump(value, handle, indent=2, ensure_ascii=False)
        handle.write("\n")


def read_json(path: str | Path) -> Any:
    """Read what :func:`write_json` wrote; raises InputError like :func:`read_arrays`."""
    with reading(path, "JSON"):
        return json.loads(Path(path).read_text(encoding="utf-8"))


@contextmanager
def reading(path: str | Path, expected: str) -> Iterator[None]:
    """Read an output in this block: it is checked against its manifest, and whatever it raises becomes one line."""
    check_whole(path)
    try:
        yield
    except InputError:
        raise
    except READ_ERRORS as error:
        raise cannot_read(path, error, f"expected {expected} as a job wrote it", "delete it and run again") from error
