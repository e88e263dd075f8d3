"""How long a run should take, from the benchmarks of earlier runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median

import pandas as pd

from infwidth.io.atomic import atomic_file, reading
from infwidth.io.reading import READ_ERRORS
from infwidth.numerics.checks import InputError

CELL_RULES = ("target", "theory", "language", "study")
"""Rules whose jobs are the cells of experiments."""
EACH_DATA_SET = (*CELL_RULES, "data", "source")
"""Rules whose jobs grow with the number of data sets."""


def recorded_seconds(results: str | Path) -> dict[str, float]:
    """Seconds of each job under ``results/benchmarks``: path below that folder (without suffix) → wall time."""
    folder = Path(results) / "benchmarks"
    found = {}
    for path in sorted(folder.rglob("*.tsv")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        with suppress(*READ_ERRORS):  # one that a killed job left unfinished tells nothing
            found[name] = float(pd.read_csv(path, sep="\t", usecols=["s"], encoding="utf-8")["s"].mean())
    return found


def write_seconds(path: str | Path, seconds: Mapping[str, float]) -> None:
    """Write a record of job times, to be committed with a reference."""
    with atomic_file(path, text=True) as handle:
        pd.Series(seconds, name="seconds").rename_axis("job").round(1).to_csv(handle)


def read_seconds(path: str | Path) -> dict[str, float]:
    """Read what :func:`write_seconds` wrote; empty where there is no such file, InputError where it is damaged."""
    if not Path(path).exists():
        return {}
    with reading(path, "job times (CSV)"):
        table = pd.read_csv(path, dtype={"job": str}, keep_default_na=False, encoding="utf-8")
        return dict(zip(table["job"], table["seconds"].astype(float).tolist(), strict=True))


def announcement(benchmarks: Iterable[str], cores: int) -> str:
    """One line on the jobs of a run: experiments, cells, jobs, expected minutes.

    Args:
        benchmarks: the jobs' benchmark files, ``results[/<preset>]/benchmarks/rule/experiment/cell.tsv``.
        cores: number of jobs that run at a time.
    """
    benchmarks = list(benchmarks)
    if not benchmarks:
        return "infwidth: nothing to run, everything is up to date"
    results = Path(benchmarks[0].split("/benchmarks/")[0])
    jobs = [path.split("/benchmarks/")[1].removesuffix(".tsv") for path in benchmarks]
    experiments = sorted({job.split("/")[1] for job in jobs if "/" in job and not job.startswith("figure/")})
    cells = {tuple(job.split("/")[1:]) for job in jobs if job.split("/")[0] in CELL_RULES}
    reference = _reference_seconds(results)
    seconds = expected_seconds(jobs, recorded_seconds(results), reference)
    expected = "an unknown time" if seconds is None else f"about {max(0.1, seconds / cores / 60):.1f} minutes"
    of = f"{len(cells)} cells of {', '.join(experiments)}" if cells else "no cells"
    return f"infwidth: {len(jobs)} jobs to run ({of}), {expected} on {cores} cores"


def seconds_per_data_set(experiment: str, data_sets: Mapping[str, int], results: str | Path) -> dict[str, float]:
    """Seconds on one core that a data set of an experiment took in its preset's reference; empty if it isn't there.

    Args:
        experiment: its name.
        data_sets: how many there are of ``theory`` and of ``networks``.
        results: the preset's results folder.

    Returns:
        Seconds that one more costs: of the theory alone, and of networks with theory.
    """
    spent: dict[str, float] = defaultdict(float)
    for job, seconds in _reference_seconds(results).items():
        rule, *path = job.split("/")
        if rule in EACH_DATA_SET and path[0] == experiment:
            spent["theory" if rule in ("theory", "data") else "networks"] += seconds
    each = {side: spent[side] / data_sets[side] for side in spent}
    found = {"theory": each.get("theory", 0.0), "networks": sum(each.values())}
    return {side: round(seconds, 1) for side, seconds in found.items() if seconds}


def _reference_seconds(results: str | Path) -> dict[str, float]:
    """Job times of the reference of the preset whose results folder this is."""
    name = Path(results).name
    with suppress(InputError):  # what a run takes is no reason not to start it
        return read_seconds(Path("results/reference") / ("default" if name == "results" else name) / "seconds.csv")
    return {}


def expected_seconds(jobs: Iterable[str], *records: Mapping[str, float]) -> float | None:
    """Estimate the summed time of ``jobs``.

    Args:
        jobs: names as in :func:`recorded_seconds`, ``rule/experiment/cell``.
        records: name → seconds, the most trusted first. A job in none of them costs the median of its rule and
            experiment, else of its rule.

    Returns:
        Seconds on one core, or None if a job's rule was never timed.
    """
    known = {name: seconds for record in reversed(records) for name, seconds in record.items()}
    total = 0.0
    for job in jobs:
        if job in known:
            total += known[job]
            continue
        alike = [
            [seconds for name, seconds in known.items() if name.startswith(prefix)]
            for prefix in ("/".join(job.split("/")[:2]) + "/", job.split("/")[0] + "/")
        ]
        found = next((group for group in alike if group), None)
        if found is None:
            return None
        total += median(found)
    return total
