"""What a run leaves in its results folder, and what of it has to be made again."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from infwidth.io.whole import SUFFIX, damaged_outputs, unchecked_outputs
from infwidth.numerics.checks import InputError
from infwidth.plan.studies import StudyPlan
from infwidth.plan.transfer import Plan

FOLDERS = ("data", "source", "target", "theory", "language", "study", "tables", "figures", "claims")
"""Folders of the jobs' outputs below a results folder."""
SINGLE = ("claims", "index")
"""Jobs whose outputs lie in the results folder itself."""
INTERMEDIATE = ("data", "source")
"""Those whose manifests no run asks for: without one, an output would be refused by each job that reads it."""
ASIDE = ".damaged"


def cell_outputs(plan: Plan, experiment: str) -> dict[str, list[str]]:
    """The table, and the arrays beside it, of each cell of an experiment: its job → its files, without manifests."""
    if experiment in plan.studies:
        studies = StudyPlan(plan.config)
        folder = "language" if studies.kind(experiment) == "language" else "study"
        stems = [f"{folder}/{experiment}/{cell}" for cell in studies.cells(experiment)]
        return {stem: [f"{stem}.csv"] for stem in stems}
    stems = [f"target/{experiment}/{cell}" for cell in plan.network_cells(experiment)]
    stems += [f"theory/{experiment}/{cell}" for cell in plan.theory_cells(experiment)]
    return {stem: [f"{stem}.{kind}" for kind in ("csv", "npz")] for stem in stems}


def finished_outputs(plan: Plan) -> list[str]:
    """All that a finished run holds, below its results folder, each with its manifest.

    Data sets and source networks are not among them: they are made when what is made of them is.
    """
    outputs: dict[str, list[str]] = {}
    for experiment in [*plan.experiments, *plan.studies]:
        outputs |= cell_outputs(plan, experiment)
        outputs[f"tables/{experiment}"] = [f"tables/{experiment}.{kind}" for kind in ("csv", "npz")]
        outputs[f"claims/{experiment}"] = [f"claims/{experiment}.json"]
    outputs |= {
        f"figures/{name}": [f"figures/{name}.{kind}" for kind in ("pdf", "png", "csv")] for name in plan.figures
    }
    if plan.config["only"] is None:
        outputs["claims"] = ["claims.json", "claims.md"]
        outputs["figures/verdicts"] = [f"figures/verdicts.{kind}" for kind in ("pdf", "png", "csv")]
    outputs["index"] = ["index.html"]
    return [path for stem, paths in outputs.items() for path in [*paths, f"{stem}{SUFFIX}"]]


def job_files(results: str | Path) -> Iterator[Path]:
    """Every file that jobs left in a results folder."""
    for name in FOLDERS:
        yield from (path for path in Path(results, name).rglob("*") if path.is_file())
    for name in SINGLE:
        yield from Path(results).glob(f"{name}.*")


def set_damaged_aside(results: str | Path) -> Iterator[str]:
    """Rename every output that isn't what its job wrote, or may not be, so that it is made again; a line says so.

    Whether a file is whole, its manifest says; what was made of it was checked when it was read, and stays.

    Raises:
        InputError: a file can't be renamed.
    """
    folder = Path(results)
    found = [*damaged_outputs([folder / name for name in FOLDERS] + [folder / f"{name}{SUFFIX}" for name in SINGLE])]
    unchecked = unchecked_outputs(folder / name for name in INTERMEDIATE)
    for path in dict.fromkeys([*found, *unchecked]):  # a manifest that is a link to nothing is both damaged and gone
        try:
            path.rename(path.with_name(path.name + ASIDE))
        except OSError as error:
            raise InputError(
                f"{path}: isn't what its job wrote, and can't be renamed ({error.strerror}); expected a folder that "
                "can be written to; delete the file"
            ) from error
        why = "isn't what its job wrote" if path in found else "has lost its manifest, which says whether it is whole"
        yield f"infwidth: {path} {why}: set aside as {path.name}{ASIDE}, made again where needed"


def date_to_now(paths: Iterable[str | Path]) -> Iterator[str]:
    """Give files dated in the future the present date, and say so in a line each.

    Snakemake discards what is made of a file that is newer than its outputs.

    Raises:
        InputError: a file's date can't be set.
    """
    now = time.time()
    for path in sorted(map(str, paths)):
        try:
            ahead = max(os.stat(path).st_mtime, os.lstat(path).st_mtime) - now
        except OSError:  # that it is missing is said where it is needed
            continue
        if ahead <= 0:
            continue
        try:
            os.utime(path)
            if os.path.islink(path):
                os.utime(path, follow_symlinks=False)
        except OSError as error:
            raise InputError(
                f"{path}: dated {ahead:.0f} s in the future, and its date can't be set ({error.strerror}); expected a "
                "date until now, as what is made of it would be discarded as older; `touch` it, or copy it"
            ) from error
        yield f"infwidth: {path} was dated {ahead:.0f} s in the future: dated to now"
