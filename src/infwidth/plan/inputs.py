"""The files outside the project that a configuration names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infwidth.engines import ENGINES
from infwidth.numerics.checks import InputError
from infwidth.plan.config import selected
from infwidth.plan.demand import excesses
from infwidth.tasks.families import FAMILIES
from infwidth.tasks.image_sources import check_image_file
from infwidth.tasks.text_sources import check_text_file


def image_files(config: Mapping[str, Any]) -> list[str]:
    """The configured image archive, if it is one and not a folder: a change of it re-runs what is made of it."""
    path = config["images"]["path"]
    return [_as_input(path)] if path and (path.endswith(".npz") or os.path.isfile(os.path.expanduser(path))) else []


def text_files(config: Mapping[str, Any]) -> list[str]:
    """The configured file of text, if any."""
    path = config["text"]["path"]
    return [_as_input(path)] if path else []


def task_files(experiment: Mapping[str, Any], part: str | None = None) -> list[str]:
    """The files that an experiment's task is drawn from, those of its source alone for ``part`` source."""
    ((name, task),) = experiment["task"].items()
    family = FAMILIES[name]
    keys = [key for key in family.files if part != "source" or key not in family.any_target]
    return [_as_input(task[key]) for key in keys if task[key]]


def all_files(config: Mapping[str, Any]) -> list[str]:
    """Every file that a configuration names."""
    named = [path for experiment in config["experiments"].values() for path in task_files(experiment)]
    return [*image_files(config), *text_files(config), *dict.fromkeys(named)]


def check_files(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check, before any job starts, that the files a configuration names are there and what they should be.

    Returns:
        The configuration, whose tasks say also what only their files do, the dimension D above all.

    Raises:
        InputError: a file is not so, or holds more than any machine could work on.
    """
    sized = _with_file_sizes(config)
    lines = list(excesses(sized)) if sized != config else []
    if lines:
        raise InputError("\n".join(lines))
    if image_files(config):
        check_image_file(config["images"]["path"])
    if text_files(config):
        check_text_file(config["text"]["path"])
    return sized


def _with_file_sizes(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with what the files of its tasks say of their sizes; raises InputError."""
    experiments = dict(config["experiments"])
    for name in selected(config, "experiments"):
        ((family, task),) = experiments[name]["task"].items()
        try:
            sizes = FAMILIES[family].file_sizes(task)
        except InputError as error:
            raise InputError(f"experiments.{name}.task.{family}: {error}") from error
        (training,) = experiments[name]["training"]
        if sizes.get("n_outputs", 1) > 1 and not ENGINES[training].several_outputs:
            able = " or ".join(one for one, engine in ENGINES.items() if engine.several_outputs)
            raise InputError(
                f"experiments.{name}.training.{training}: labels need {sizes['n_outputs']} outputs; expected {able}, "
                "which covers several; change it, or keep two classes"
            )
        if sizes:
            experiments[name] = {**experiments[name], "task": {family: {**task, **sizes}}}
    return {**config, "experiments": experiments}


def _as_input(path: str) -> str:
    """A name under which Snakemake can track a file: its own, or where that holds a wildcard's braces, a link's."""
    path = os.path.expanduser(path)
    if not set("{}") & set(path) or not os.path.exists(path):
        return path
    link = Path(".snakemake/inputs", hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:16])
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(os.path.abspath(path))
    changed = os.stat(path)  # a link's own time, which Snakemake compares, is that of its making
    os.utime(link, ns=(changed.st_atime_ns, changed.st_mtime_ns), follow_symlinks=False)
    return str(link)
