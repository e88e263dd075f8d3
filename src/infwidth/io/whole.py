"""Whether an output still is what its job wrote: the manifest beside it holds its checksum."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from infwidth.io.reading import describe
from infwidth.numerics.checks import InputError

SUFFIX = ".manifest.json"
ALWAYS_READ = 2**24
"""Bytes up to which a file is read to see whether it is whole; a larger one only if it is newer than its manifest."""


def manifest_of(path: str | Path) -> Path:
    """Where the manifest of an output lies."""
    return Path(path).with_suffix(SUFFIX)


def digest(path: str | Path) -> str:
    """SHA-256 of a file's content."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def describe_outputs(paths: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """What a manifest holds of a job's outputs: file name → ``bytes`` and ``sha256``."""
    return {path.name: {"bytes": path.stat().st_size, "sha256": digest(path)} for path in sorted(paths)}


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manifest's content, as JSON has it, with a checksum of itself."""
    content = json.loads(json.dumps(content))
    return {**content, "checksum": _checksum(content)}


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Read a manifest; empty where there is none.

    Raises:
        InputError: it can't be read, or isn't what its job wrote.
        PermissionError: it is closed to the user, which is no damage.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if os.path.islink(path):
            raise _damaged(path, "is a link to nothing") from error
        return {}
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise _damaged(path, f"can't be read ({describe(error)})") from error
    # one of an earlier version holds neither outputs nor a checksum
    sealed = isinstance(content, dict) and (not content or "outputs" in content or "checksum" in content)
    if not isinstance(content, dict) or (sealed and content.get("checksum") != _checksum(content)):
        raise _damaged(path, "its content has changed")
    return content


def check_whole(path: str | Path) -> None:
    """Hold a file that is about to be read against the manifest beside it, where there is one that names it.

    Raises:
        InputError: the file, or the manifest, isn't what its job wrote.
    """
    path = Path(path)
    outputs = read_manifest(manifest_of(path)).get("outputs")
    if outputs is None or not path.exists():
        return
    kept = outputs.get(path.name)
    if kept is None:
        raise _damaged(path, "the manifest beside it is another file's")
    if digest(path) != kept["sha256"]:
        raise _damaged(path, f"its content has changed (sha256 isn't {kept['sha256'][:12]}…)")


def require_manifest(path: str | Path) -> None:
    """Raise InputError for an output without its manifest, which can't be checked."""
    if Path(path).exists() and not manifest_of(path).exists():
        raise InputError(f"{path}: can't be checked, as its manifest is gone; delete it and run again")


def damaged_outputs(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield every file that isn't what its job wrote; with a damaged manifest, or another job's, all it would be for.

    Args:
        folders: where manifests are looked for at any depth, or manifests.
    """
    for folder in folders:
        if not folder.name.endswith(SUFFIX):
            for manifest in sorted(folder.rglob(f"*{SUFFIX}")):
                yield from _damaged_by(manifest, manifest.parent.name)
        elif os.path.lexists(folder):
            yield from _damaged_by(folder)


def unchecked_outputs(folders: Iterable[Path]) -> Iterator[Path]:
    """Yield every output without its manifest, at any depth below these folders."""
    for folder in folders:
        for path in sorted(folder.rglob("*.npz")):
            if not manifest_of(path).exists():
                yield path


def _damaged_by(manifest: Path, folder: str | None = None) -> list[Path]:
    """What a manifest says of its outputs: those that are damaged; ``folder``: the name that theirs has to have."""
    try:
        content = read_manifest(manifest)
    except InputError:
        return _not_to_be_trusted(manifest)
    kept = content.get("outputs", {})
    elsewhere = folder is not None and content.get("folder", folder) != folder
    if elsewhere or any(manifest_of(name).name != manifest.name for name in kept):
        return _not_to_be_trusted(manifest)
    paths = [(manifest.with_name(name), entry) for name, entry in kept.items()]
    return [path for path, entry in paths if os.path.lexists(path) and not _untouched(path, entry, manifest)]


def _not_to_be_trusted(manifest: Path) -> list[Path]:
    """A manifest, and all that lies beside it by its name."""
    stem = manifest.name.removesuffix(SUFFIX)
    beside = [path for path in manifest.parent.iterdir() if path.name == stem + path.suffix]
    outputs = [path for path in beside if path.suffix or path.is_file()]  # a folder may be another kind's
    return [*sorted(outputs), manifest]


def _untouched(path: Path, kept: Mapping[str, Any], manifest: Path) -> bool:
    """Whether the file is what the manifest says, reading a large one only if it changed after the manifest."""
    if not path.exists():  # a link to nothing
        return False
    found = path.stat()
    if found.st_size != kept["bytes"]:
        return False
    if found.st_size > ALWAYS_READ and found.st_ctime_ns <= manifest.stat().st_ctime_ns:
        return True
    return digest(path) == kept["sha256"]


def _checksum(content: Any) -> str:
    rest = {key: value for key, value in content.items() if key != "checksum"} if isinstance(content, Mapping) else {}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _damaged(path: str | Path, what: str) -> InputError:
    return InputError(f"{path}: {what}; expected what its job wrote; delete it and run again")
