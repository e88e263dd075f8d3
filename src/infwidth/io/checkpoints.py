"""Checkpoints of long training: a killed job goes on where it was, but never from another job's state.

A file is one line, which names the job's key and a digest of what follows, and then what torch.save wrote. So a
foreign or damaged file is known before anything in it is read.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infwidth.io.atomic import atomic_file
from infwidth.numerics.checks import InputError, check_number

_MAGIC = "infwidth-checkpoint-1"
_HEADER = len(f"{_MAGIC} {'0' * 64} {'0' * 64}\n")


class Checkpoint:
    """The state of one job's training, in one file.

    Args:
        path: the file; kept outside the workflow's outputs, one for each job (and part of it, trained apart).
        key: what the state depends on: resolved parameters, digest of the input data, digest of the stage's
            source closure. Text, or anything JSON can write.
        interval: seconds ≥ 0 between two writes; see ``due``.

    Raises:
        InputError: the key can't be written as JSON, or the interval is no number ≥ 0.
    """

    def __init__(self, path: str | Path, key: str | Mapping[str, Any], *, interval: float = 30.0):
        self.path = Path(path)
        self.key = _digest_key(key)
        self.interval = check_number("interval", interval, minimum=0.0, allow_inf=True)
        self._written = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether ``interval`` seconds have gone by since the last write, or since this object was made."""
        return time.monotonic() - self._written >= self.interval

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the state, whole or not at all.

        Args:
            state: nested dicts and lists of torch tensors, numbers, text and None.
        """
        import torch

        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        content = buffer.getbuffer()
        with atomic_file(self.path) as handle:
            handle.write(f"{_MAGIC} {self.key} {hashlib.sha256(content).hexdigest()}\n".encode())
            handle.write(content)
        self._written = time.monotonic()

    def load(self, device: str = "cpu") -> dict[str, Any] | None:
        """Return the state, tensors on ``device``, or None with a warning where the file is another job's or damaged.

        Without a file it is None, and no warning.
        """
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            return self._ignore(f"it can't be read ({type(error).__name__}: {error.strerror})")
        words = raw[:_HEADER].decode("ascii", "replace").split()
        content = raw[_HEADER:]
        if len(words) != 3 or words[0] != _MAGIC:
            return self._ignore("it is no checkpoint of this version")
        if words[1] != self.key:
            return self._ignore("it belongs to other parameters, data or code")
        if words[2] != hashlib.sha256(content).hexdigest():
            return self._ignore("it is damaged")
        import torch

        try:
            return torch.load(io.BytesIO(content), map_location=device, weights_only=True)
        except Exception as error:  # undamaged, so written by another torch: unpickling can raise anything
            return self._ignore(f"this torch can't read it ({type(error).__name__})")

    def _ignore(self, reason: str) -> None:
        warnings.warn(f"checkpoint {self.path}: {reason}; ignored, training starts at step 0", stacklevel=3)


def digest_files(paths: Iterable[str | Path]) -> str:
    """Return a digest of the files' contents in the order given, whatever their names: for a checkpoint's key."""
    return hashlib.sha256(b"".join(hashlib.sha256(Path(path).read_bytes()).digest() for path in paths)).hexdigest()


def _digest_key(key: str | Mapping[str, Any]) -> str:
    try:
        text = json.dumps(key, sort_keys=True, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"key = {key!r}: {error}; expected text or what JSON can write; convert it") from error
    return hashlib.sha256(text.encode()).hexdigest()
