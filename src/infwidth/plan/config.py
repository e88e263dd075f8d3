"""The configuration: presets that extend others, defaults filled in, every error one line."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from infwidth.io.yaml import load_yaml
from infwidth.numerics.checks import InputError
from infwidth.plan.complaints import lines_of, nearest, show
from infwidth.plan.consistency import contradictions
from infwidth.plan.model import model
from infwidth.tasks.families import FAMILIES

EXTENDS = "extends"
"""Key of a file, or of an experiment, that holds what differs from another."""
SECTIONS = ("experiments", "studies")


class ConfigError(InputError):
    """A configuration that can't be read or is wrong; the message has one line an error."""


def load_config(*paths: str | Path, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read configuration files, lay each over those before it, and resolve them; see :func:`resolve_config`.

    Args:
        paths: the files, each with what it extends; Snakemake takes several.
        given: keys from the command line, laid over the files.
    """
    return resolve_config(read_config_files(*paths, given=given))


def read_config_files(*paths: str | Path, given: Mapping[str, Any] | None = None) -> Any:
    """What :func:`load_config` resolves: the files laid over each other, each experiment over what it extends."""
    found: Any = {}
    for path in paths:
        found = overlay(found, read_preset(path))
    return extended(overlay(found, given) if given else found)


def read_preset(path: str | Path, below: Sequence[Path] = ()) -> Any:
    """Read a configuration file and what it extends, without checking it.

    A file with ``extends: other.yaml``, relative to the file, holds what differs from the other: see :func:`overlay`.

    Args:
        path: the file.
        below: the files that extend it, to find those that extend each other.

    Raises:
        ConfigError: a file can't be read, or the files extend each other.
    """
    path = Path(path)
    if any(path.resolve() == other.resolve() for other in below):
        chain = " → ".join(map(str, [*below, path]))
        raise ConfigError(f"{chain}: {EXTENDS} each other; expected one to stand alone; remove its {EXTENDS}")
    try:
        found = load_yaml(path)
    except InputError as error:
        raise ConfigError(str(error)) from error
    found = _beside(found, path.parent)
    if not isinstance(found, Mapping) or EXTENDS not in found:
        return found
    base = found[EXTENDS]
    if not isinstance(base, str):
        raise ConfigError(f"{path}: {EXTENDS} = {base!r}: expected the path of a configuration file; change it")
    own = {key: value for key, value in found.items() if key != EXTENDS}
    return overlay(read_preset(path.parent / base, [*below, path]), own)


def _beside(config: Any, folder: Path) -> Any:
    """A file's configuration with the relative paths of tasks' files from where Snakemake runs, not from its folder."""
    if isinstance(config, Mapping) and isinstance(config.get("experiments"), Mapping):
        experiments = {name: _task_beside(entry, folder) for name, entry in config["experiments"].items()}
        return {**config, "experiments": experiments}
    return config


def _task_beside(entry: Any, folder: Path) -> Any:
    task = entry.get("task") if isinstance(entry, Mapping) else None
    if not isinstance(task, Mapping):
        return entry
    found = dict(task)
    for family, settings in task.items():
        files = FAMILIES[family].files if family in FAMILIES and isinstance(settings, Mapping) else ()
        paths = {key: settings[key] for key in files if isinstance(settings.get(key), str) and settings[key]}
        if paths:
            found[family] = {**settings, **{key: _from(folder, path) for key, path in paths.items()}}
    return {**entry, "task": found}


def _from(folder: Path, path: str) -> str:
    """A path that starts from a folder; absolute ones and those of a home folder stand as they are."""
    return path if path.startswith("~") else os.path.normpath(folder / path)


def overlay(base: Any, own: Any) -> Any:
    """Lay one configuration over another: keys below keys, and a value or list in place of what was there.

    ``null`` takes away what was there: an experiment, a figure, or a setting, which then has its default.
    """
    if not isinstance(base, Mapping) or not isinstance(own, Mapping):
        return copy.deepcopy(own)
    found = dict(base)
    for key, value in own.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = overlay(found.get(key), value)
    return found


def extended(config: Any) -> Any:
    """Lay each experiment with ``extends: another`` over that other, as it is after all files; then no null is left.

    Raises:
        ConfigError: there is no such experiment in the section, or experiments extend each other.
    """
    if not isinstance(config, Mapping):
        return config
    found = dict(config)
    for section in SECTIONS:
        entries = config.get(section)
        if isinstance(entries, Mapping):
            found[section] = {name: _whole(f"{section}.{name}", entries, [name]) for name in entries}
    return _without_nulls(found)


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}


def _whole(where: str, entries: Mapping[Any, Any], chain: Sequence[Any]) -> Any:
    """An experiment with what it extends; ``chain`` leads from the first that asked to it."""
    entry = entries[chain[-1]]
    if not isinstance(entry, Mapping) or EXTENDS not in entry:
        return entry
    base, own = entry[EXTENDS], {key: value for key, value in entry.items() if key != EXTENDS}
    if not isinstance(base, str) or base not in entries:
        remedy = nearest(str(base), [name for name in entries if isinstance(name, str)], "name another")
        raise ConfigError(f"{where}.{EXTENDS} = {show(base)}: expected another experiment of the section; {remedy}")
    if base in chain:
        raise ConfigError(f"{where}.{EXTENDS}: {' → '.join([*chain, base])} extend each other; remove one {EXTENDS}")
    return overlay(_whole(where, entries, [*chain, base]), own)


def resolve_config(config: Any) -> dict[str, Any]:
    """Return the configuration with every default filled in and text that spells a number read as one.

    Args:
        config: what a YAML file or Snakemake holds.

    Raises:
        ConfigError: with one line for every key that is unknown, missing, of the wrong type, out of range, or in
            contradiction to another: key, value found, what was expected, remedy.
    """
    try:
        resolved = model().model_validate(config).model_dump()
    except ValidationError as error:
        lines = lines_of(error, model())
    else:
        lines = list(contradictions(resolved))
    if lines:
        raise ConfigError("\n".join(lines))
    return resolved


def preset_file(name: str) -> Path:
    """The file of a preset of ours, by its name; anything else, and what is there, is a path itself."""
    path = Path("config", "config.yaml" if name == "default" else f"{name}.yaml")
    return path if "/" not in name and path.exists() and not Path(name).exists() else Path(name)


def selected(config: Mapping[str, Any], section: str) -> list[str]:
    """Names in a section, `experiments` or `studies`, that `only` lets through; all of them without it."""
    only = config["only"]
    return [name for name in config[section] if not only or name.startswith(only)]


def results_folder(config: Mapping[str, Any]) -> str:
    """Where a resolved configuration's results go: ``results`` for the default preset, else ``results/<preset>``."""
    return "results" if config["preset"] == "default" else f"results/{config['preset']}"
