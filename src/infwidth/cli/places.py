"""Which configuration, which results: the one place where commands find out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from infwidth.numerics.checks import InputError

DEFAULT_CONFIG = "config/config.yaml"


def check_root() -> None:
    """Raise InputError where the working folder is not the project's root; the message says where that is."""
    marks = ("Snakefile", "workflow")
    if all(Path(mark).exists() for mark in marks):
        return
    roots = [parent for parent in Path.cwd().parents if all((parent / mark).exists() for mark in marks)]
    remedy = f"`cd {roots[0]}` first" if roots else "`cd` to your clone first"
    raise InputError(f"{Path.cwd()}: expected the repository's root, which holds {' and '.join(marks)}; {remedy}")


def read_config(path: str, **given: Any) -> dict[str, Any]:
    """Read and resolve a configuration of this project, a file or a preset's name, with what the command line gives.

    Raises:
        InputError: not in the project's root, no such file, or a configuration with errors, one line each.
    """
    from infwidth.plan.config import load_config

    return load_config(_existing(path), given=given)


def read_run(path: str, **given: Any) -> dict[str, Any]:
    """Read a configuration as :func:`read_config` does, with what `infwidth decide` added to its run."""
    from infwidth.plan.additions import load_run

    return load_run(_existing(path), given=given)


def _existing(path: str) -> str:
    """The path of a configuration, a file or a preset's name."""
    from infwidth.plan.complaints import nearest
    from infwidth.plan.config import preset_file

    check_root()
    path = str(preset_file(path))
    if not Path(path).exists():
        known = sorted(file.stem for file in Path("config").glob("*.yaml") if file.stem not in ("config", "claims"))
        remedy = nearest(Path(path).stem, known, "name one of those, or correct the path")
        raise InputError(
            f"{path}: No such file; expected a configuration; presets are default, {', '.join(known)}; {remedy}"
        )
    return path


def place(config: Mapping[str, Any], path: str, results: str = "") -> str:
    """The folder of a configuration's results, by its ``preset:``; raises InputError if ``results`` is another."""
    from infwidth.plan.config import results_folder

    where = results_folder(config)
    if results and Path(results) != Path(where):
        raise InputError(f"{results}: {path} writes to {where} (its `preset:`); name that folder, or its configuration")
    return where


def planned(config: Mapping[str, Any] | None) -> set[str] | None:
    """Names of all experiments of a configuration; None without one."""
    return None if config is None else {*config["experiments"], *config["studies"]}


def config_of(results: str | Path) -> str | None:
    """The configuration that makes a results folder of this project, if it is known.

    It is the one written down there, or without such a record the preset that the folder is called by.

    Raises:
        InputError: the record names what is not there any more, or several files.
    """
    from infwidth.plan.run_record import FILE

    folder = Path(results)
    recorded = _recorded(folder / FILE)
    if recorded:
        return recorded
    if folder == Path("results"):
        path = Path(DEFAULT_CONFIG)
    elif folder.parent == Path("results"):
        path = Path("config", f"{folder.name}.yaml")
    else:
        return None
    return str(path) if path.exists() else None


def config_of_reference(reference: str | Path) -> str | None:
    """The configuration that made a reference: the one in its manifest, or else that of the run it is called by."""
    return _recorded(Path(reference, "manifest.json")) or config_of(run_of(reference))


def _recorded(record: Path) -> str | None:
    """The configuration that a record names, if there is one; raises InputError where it is not one that is there."""
    from infwidth.plan.run_record import recorded_configuration

    made_by = recorded_configuration(record)
    if made_by is None:
        return None
    lost = [path for path in made_by if not Path(path).exists()]
    if lost or len(made_by) > 1:
        why = f"{lost[0]}, which is not there any more" if lost else f"{' and '.join(made_by)} together"
        raise InputError(f"{record.parent}: made by {why}; expected its configuration; name --config")
    return made_by[0]


def reference_of(results: str | Path) -> Path:
    """The committed reference of a results folder: ``results/ci`` → ``results/reference/ci``.

    Raises:
        InputError: the folder is not one that a preset writes.
    """
    folder = Path(results)
    check_folder(folder, "a run")
    if folder == Path("results"):
        return Path("results/reference/default")
    if folder.parent != Path("results") or folder.name == "reference":
        raise InputError(f"{results}: not a preset's results, so its reference isn't known; name that as well")
    return Path("results/reference", folder.name)


def run_of(reference: str | Path) -> Path:
    """The folder of the results that a reference is called by: ``results/reference/ci`` → ``results/ci``."""
    name = Path(reference).name
    return Path("results") if name == "default" else Path("results", name)


def check_folder(path: str | Path, expected: str) -> None:
    """Raise InputError for a file where a folder is meant: what it lacks would be no help."""
    if Path(path).is_file():
        raise InputError(f"{path}: a file; expected the folder of {expected}")


def check_names(option: str, wanted: Iterable[str], known: Iterable[str], *, prefix: bool = False) -> None:
    """Raise InputError naming the nearest for a name that is not known, or with ``prefix`` begins none that is."""
    from infwidth.plan.complaints import nearest

    known = sorted(known)
    spoken = ", ".join(known)
    for name in wanted:
        if name in known or (prefix and any(one.startswith(name) for one in known)):
            continue
        raise InputError(f"{option} {name!r}: no such experiment; {nearest(name, known, f'choose one of {spoken}')}")
