"""What looks at a run's claims added to it: a file beside its results, which every later run lays over its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from infwidth.io.atomic import atomic_file
from infwidth.io.yaml import dump_yaml, load_yaml
from infwidth.numerics.checks import InputError
from infwidth.plan.config import SECTIONS, read_config_files, resolve_config, results_folder
from infwidth.plan.groups import Groups

FILE = "added.yaml"
HEAD = """\
# What `infwidth decide` added to the experiments whose claims were undecided, an entry a look. Runs of this
# configuration make and judge it too; without this file they no longer count it.
"""


def load_run(*paths: str | Path, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a configuration as :func:`infwidth.plan.config.load_config` does, with what was added to its run."""
    return with_additions(read_config_files(*paths, given=given))


def with_additions(config: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve a configuration, extended but unresolved, with what was added to its run.

    Raises:
        ConfigError: see :func:`infwidth.plan.config.resolve_config`.
        InputError: the file beside the results is none of ours; one line.
    """
    resolved = resolve_config(config)
    path = Path(results_folder(resolved)) / FILE
    if not path.exists():
        return resolved
    found = load_yaml(path)
    if not isinstance(found, Mapping) or not set(found) <= set(SECTIONS):
        raise InputError(
            f"{path}: {found!r}: expected experiments with what was added to them, as `infwidth decide` writes; "
            "mend or remove the file"
        )
    return lay(resolved, found, path)


def lay(resolved: Mapping[str, Any], added: Mapping[str, Any], path: Path | str = FILE) -> dict[str, Any]:
    """A resolved configuration with additions (section → experiment → list); those to experiments it lacks are left."""
    whole: dict[str, Any] = {**resolved, "spend_error": True}
    for section in SECTIONS:
        entries = dict(whole[section])
        for name, looks in (added.get(section) or {}).items():
            if name in entries:
                if not isinstance(looks, list):
                    raise InputError(f"{path}: {section}.{name} = {looks!r}: expected a list of looks; mend it")
                entries[name] = {**entries[name], "added": [*entries[name]["added"], *looks]}
        whole[section] = entries
    return resolve_config(whole)


def read_additions(results: str | Path) -> dict[str, dict[str, list[Any]]]:
    """Section → experiment → what each look added, in a results folder; empty where nothing was."""
    path = Path(results) / FILE
    found = load_yaml(path) if path.exists() else {}
    return {section: dict(found.get(section) or {}) for section in SECTIONS}


def write_additions(results: str | Path, added: Mapping[str, Mapping[str, list[Any]]]) -> None:
    """Write what looks added, of which every run of the configuration is to know from now on."""
    with atomic_file(Path(results) / FILE, text=True) as handle:
        handle.write(HEAD + dump_yaml({section: dict(entries) for section, entries in added.items() if entries}))


def looks(config: Mapping[str, Any], experiment: str) -> dict[str, int]:
    """At how many states of its data each side has been looked at; empty where one look is meant."""
    if not config["spend_error"]:
        return {}
    settings = next(config[section][experiment] for section in SECTIONS if experiment in config[section])
    if "data_seeds" in settings:
        return dict(Groups.of(settings).looks)
    return dict.fromkeys(("theory", "networks"), 1 + len(settings["added"]))


def grown(config: Mapping[str, Any]) -> Iterator[str]:
    """Names of a configuration's experiments to which something was added beside its results."""
    added = read_additions(results_folder(config))
    for section in SECTIONS:
        yield from (name for name in added[section] if name in config[section])
