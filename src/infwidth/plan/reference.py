"""A committed reference made of a run: beside the old one, checked, and only then in its place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from infwidth.analysis.claim_table import as_markdown, natural_key
from infwidth.analysis.claims import Verdict, together
from infwidth.io.atomic import atomic_file, read_arrays, read_json, write_json
from infwidth.io.job_times import CELL_RULES, read_seconds, recorded_seconds, write_seconds
from infwidth.io.tables import read_table
from infwidth.io.whole import SUFFIX, check_whole, read_manifest
from infwidth.numerics.checks import InputError
from infwidth.plan.comparison import compare, compare_tables
from infwidth.plan.outputs import finished_outputs
from infwidth.plan.run_record import FILE, KEY, recorded_configuration
from infwidth.plan.titles import experiment_titles
from infwidth.plan.transfer import Plan

__all__ = ["compare", "compare_tables", "make_reference"]

_VERDICTS = "figures/verdicts.png"
_ENTRIES = {"tables", "figures", "manifest.json", "claims.json", "claims.md", "seconds.csv"}


def make_reference(results: Path, reference: Path, only: str = "", plan: Plan | None = None) -> list[Path]:
    """Replace a reference by a run's tables, small figures, claims, one manifest and its jobs' seconds.

    Args:
        results: the run's folder.
        reference: the reference's folder.
        only: renew the experiments whose name begins so, and the figures that show them; the rest of the reference
            stays.
        plan: that of the run, of all its experiments; what it does not name is left out, and all that it names must be
            there. None: every experiment that has a table.

    Returns:
        The files written.

    Raises:
        InputError: the run is not finished, damaged or has no manifests, or the folder is no reference's. Then the old
            reference is as it was.
    """
    _check_place(results, reference)
    run = _Run.of(results, only, plan)
    run.check(plan)
    reference.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{reference.name}-", dir=reference.parent))
    try:
        new, old = beside / "new", beside / "old"
        new.mkdir()
        if only and reference.exists():
            _keep(reference, new, only, plan)
        _write(run, new, reference if only else None)
        if only and plan is not None:
            _draw_shared(run, new, plan)
        if reference.exists():
            os.rename(reference, old)
        try:
            os.rename(new, reference)
        except OSError:
            if old.exists():
                os.rename(old, reference)
            raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return sorted(path for path in reference.rglob("*") if path.is_file())


def _check_place(results: Path, reference: Path) -> None:
    """Raise InputError where replacing that folder would remove anything but a reference."""
    if results.resolve() == reference.resolve() or reference.resolve() in results.resolve().parents:
        raise InputError(f"{reference}: holds the run itself; expected a reference's folder; name another")
    if reference.is_symlink() or (reference.exists() and not reference.is_dir()):
        raise InputError(f"{reference}: expected a folder of its own; name another")
    others = (
        sorted(path.name for path in reference.iterdir() if path.name not in _ENTRIES) if reference.exists() else []
    )
    if others:
        raise InputError(
            f"{reference}: holds {', '.join(others[:5])}, which no reference does; expected a reference's folder, such "
            "as results/reference/ci; name that"
        )


@dataclass(frozen=True)
class _Run:
    """What of a run goes into a reference: its experiments and figures."""

    results: Path
    only: str
    experiments: list[str]
    figures: list[str]

    @classmethod
    def of(cls, results: Path, only: str, plan: Plan | None) -> _Run:
        tables = sorted(path.stem for path in (results / "tables").glob("*.csv"))
        if plan is None:
            experiments, figures = tables, sorted(path.stem for path in (results / "figures").glob("*.png"))
        else:
            experiments = [*plan.experiments, *plan.studies]
            figures = [name for name, shown in plan.figures.items() if all(one.startswith(only) for one in shown)]
            figures += [] if only else ["verdicts"]
        experiments = sorted(name for name in experiments if name.startswith(only))
        if not experiments or not tables:
            raise InputError(f"{results}/tables: no tables; expected a finished run; run `make reproduce` first")
        return cls(results, only, experiments, figures)

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Path below the results of each cell's manifest → its content."""
        paths = [
            path
            for rule in CELL_RULES
            for name in self.experiments
            for path in sorted((self.results / rule / name).glob(f"*{SUFFIX}"))
        ]
        return {path.relative_to(self.results).as_posix(): read_manifest(path) for path in paths}

    def check(self, plan: Plan | None) -> None:
        """Raise InputError unless the run is finished, has its manifests and is whole."""
        missing = []
        if plan is not None:
            wanted = [path for path in finished_outputs(plan) if self._makes(path)]
            missing += [path for path in wanted if not (self.results / path).exists()]
        made = {_experiment(name) for name in self.manifests()}
        missing += [f"the manifests of {name}" for name in self.experiments if name not in made]
        missing += [f"claims/{name}.json" for name in self.experiments if not self._verdict_file(name).exists()]
        if missing:
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise InputError(
                f"{self.results}: {', '.join(missing[:3])}{more} not there; expected a finished run with its "
                "manifests; run `make reproduce` first"
            )
        for name in self.experiments:
            read_table(self.results / f"tables/{name}.csv")
            if (self.results / f"tables/{name}.npz").exists():
                read_arrays(self.results / f"tables/{name}.npz")
        for name in self.figures:
            check_whole(self.results / f"figures/{name}.png")

    def _makes(self, path: str) -> bool:
        """Whether the run makes a file: one of its experiments or figures, or, of a whole run, what is made of all."""
        folder, *rest = path.split("/")
        names = self.figures if folder == "figures" else self.experiments
        return rest[0].split(".")[0] in names if rest else not self.only

    def verdicts(self) -> list[dict[str, Any]]:
        """Those on its experiments."""
        paths = dict.fromkeys(map(self._verdict_file, self.experiments))
        return [entry for path in paths for entry in read_json(path) if entry["experiment"] in self.experiments]

    def _verdict_file(self, experiment: str) -> Path:
        """The experiment's own, newer after a run of it alone, or the whole table."""
        own = self.results / f"claims/{experiment}.json"
        return own if own.exists() else self.results / "claims.json"


def _keep(reference: Path, new: Path, only: str, plan: Plan | None) -> None:
    """Copy what stays of an old reference: the tables of other experiments, and figures."""
    planned = None if plan is None else {*plan.experiments, *plan.studies, *plan.figures}
    for path in [*reference.glob("tables/*"), *reference.glob("figures/*")]:
        stays = path.parent.name == "figures" or not path.stem.startswith(only)
        if stays and (planned is None or path.stem in planned):
            _copy(path, new / path.relative_to(reference))


def _write(run: _Run, new: Path, old: Path | None) -> None:
    """Write the reference's files; ``old`` is a reference of which other experiments stay, if any."""
    for name in run.experiments:
        for kind in ("csv", "npz"):
            if (run.results / f"tables/{name}.{kind}").exists():
                _copy(run.results / f"tables/{name}.{kind}", new / f"tables/{name}.{kind}")
    for name in run.figures:
        if (run.results / f"figures/{name}.png").exists():
            _copy(run.results / f"figures/{name}.png", new / f"figures/{name}.png")
    manifests, verdicts = run.manifests(), run.verdicts()
    seconds = {job: s for job, s in recorded_seconds(run.results).items() if _of(job, run)}
    cells: dict[str, Any] = {}
    if old is not None:
        stay = {path.stem for path in new.glob("tables/*.csv")} - set(run.experiments)
        kept = _read_json(old / "manifest.json", {"cells": {}})["cells"]
        cells = {name: facts for name, facts in kept.items() if _experiment(name) in stay}
        verdicts += [entry for entry in _read_json(old / "claims.json", []) if entry["experiment"] in stay]
        seconds = read_seconds(old / "seconds.csv") | seconds
    first = next(iter(manifests.values()))
    summary = {key: first[key] for key in ("commit", "python", "machine", "versions")}
    made_by = recorded_configuration(run.results / FILE)
    summary |= {} if made_by is None else {KEY: made_by}
    summary["cells"] = cells | {name: manifest["facts"] for name, manifest in manifests.items()}
    judged = together([Verdict(**entry) for entry in verdicts])
    judged.sort(key=lambda verdict: natural_key(verdict.id))
    write_json(new / "manifest.json", summary)
    write_json(new / "claims.json", [verdict.as_dict() for verdict in judged])
    with atomic_file(new / "claims.md", text=True) as handle:
        handle.write(as_markdown(judged))
    write_seconds(new / "seconds.csv", dict(sorted(seconds.items())))
    if old is not None and (old / _VERDICTS).exists():  # of experiments that stay, too
        _draw_verdicts(new)


def _draw_shared(run: _Run, reference: Path, plan: Plan) -> None:
    """Draw the figures that show one of the run's experiments beside others, from the reference's tables."""
    from infwidth.figures.draw import draw_figure  # reads matplotlib, which a whole reference does without

    for name, shown in plan.figures.items():
        tables = [reference / f"tables/{experiment}.csv" for experiment in shown]
        shared = name not in run.figures and not set(run.experiments).isdisjoint(shown)
        if shared and all(table.exists() for table in tables):
            titles = experiment_titles(plan.config, shown)
            _draw(reference / f"figures/{name}.png", partial(draw_figure, name, tables, titles=titles))


def _draw_verdicts(reference: Path) -> None:
    """Draw the figure of a reference's claims anew."""
    from infwidth.figures.verdicts import draw_claims  # reads matplotlib, which a whole reference does without

    _draw(reference / _VERDICTS, partial(draw_claims, reference / "claims.json"))


def _draw(picture: Path, write: Callable[..., None]) -> None:
    """Keep of a figure's files, which ``write`` makes at the ``paths`` it is given, the picture."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: Path(folder, f"{picture.stem}.{kind}") for kind in ("pdf", "png", "csv")}
        write(paths=paths)
        _copy(paths["png"], picture)


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def _of(job: str, run: _Run) -> bool:
    """Whether a job is one of the run's experiments, figures or, of a whole run, the claim table or the report."""
    name = _experiment(job)
    return name in run.experiments or name in run.figures or (job in ("claims", "report") and not run.only)


def _experiment(job: str) -> str:
    """The experiment in the path of a job, rule/experiment/cell."""
    parts = job.split("/")
    return parts[1].split(".")[0] if len(parts) > 1 else parts[0]


def _read_json(path: Path, absent: Any) -> Any:
    return read_json(path) if path.exists() else absent
