"""Files that are either whole or absent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from boltons.fileutils import atomic_save


@contextmanager
def atomic_file(path: str | Path, *, text: bool = False) -> Iterator[IO]:
    """Open a temporary file beside ``path`` for writing; it takes that name only if the block ends well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # overwrite_part: a killed job leaves its part file behind, which must not stop the next one
    with atomic_save(str(path), text_mode=text, overwrite_part=True) as handle:
        yield handle


def write_arrays(path: str | Path, arrays: Mapping[str, Any]) -> None:
    """Write named arrays (or strings) as an .npz."""
    with atomic_file(path) as handle:
        np.savez(handle, **arrays)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read every array of an .npz written by :func:`write_arrays`."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON."""
    with atomic_file(path, text=True) as handle:
        json.dump(value, handle, indent=2, ensure_ascii=False)
        handle.write("\n")
