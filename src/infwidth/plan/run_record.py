"""Which configuration a results folder is of: its name says the preset, which several files may bear."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from infwidth.io.atomic import atomic_file, read_json
from infwidth.io.yaml import dump_yaml, load_yaml
from infwidth.numerics.checks import InputError

FILE, KEY = "made_by.yaml", "configuration"
HEAD = "# What the last run of this folder was asked for; commands on its results read it again.\n"


def record_configuration(results: str | Path, paths: Sequence[str | Path]) -> None:
    """Write down the files of the configuration that a results folder is made by; below the root as paths from it."""
    here, found = Path.cwd(), [Path(path).absolute() for path in paths]
    names = [(path.relative_to(here) if path.is_relative_to(here) else path).as_posix() for path in found]
    path, text = Path(results) / FILE, HEAD + dump_yaml({KEY: names})
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    with atomic_file(path, text=True) as handle:
        handle.write(text)


def recorded_configuration(path: str | Path) -> list[str] | None:
    """The files written down in a results folder's record, or in a reference's manifest; None where none are.

    Raises:
        InputError: the record is damaged; one line.
    """
    path = Path(path)
    if not path.exists():
        return None
    found = read_json(path) if path.suffix == ".json" else load_yaml(path)
    names = found.get(KEY) if isinstance(found, dict) else [None]
    if names is None:
        return None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: {KEY} = {names!r}: expected paths of configurations; remove the file")
    return names
