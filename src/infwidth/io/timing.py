"""How long a run should take, from the benchmarks of earlier runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median

import pandas as pd

from infwidth.io.atomic import atomic_file


def recorded_seconds(results: str | Path) -> dict[str, float]:
    """Seconds of each job under ``results/benchmarks``: path below that folder (without suffix) → wall time."""
    folder = Path(results) / "benchmarks"
    found = {}
    for path in sorted(folder.rglob("*.tsv")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        found[name] = float(pd.read_csv(path, sep="\t", usecols=["s"])["s"].mean())
    return found


def write_seconds(path: str | Path, seconds: Mapping[str, float]) -> None:
    """Write a record of job times, to be committed with a reference."""
    with atomic_file(path, text=True) as handle:
        pd.Series(seconds, name="seconds").rename_axis("job").round(1).to_csv(handle)


def read_seconds(path: str | Path) -> dict[str, float]:
    """Read what :func:`write_seconds` wrote; empty where there is no such file."""
    if not Path(path).exists():
        return {}
    return pd.read_csv(path, index_col="job")["seconds"].to_dict()


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
