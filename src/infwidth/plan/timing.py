"""How long a run should take, from the benchmarks of earlier runs."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from statistics import median

from infwidth.io.job_times import CELL_RULES, EACH_DATA_SET, read_seconds, recorded_seconds
from infwidth.numerics.checks import InputError

_FOLLOWING = {"pool": ("data",), "data": ("source", "theory"), "source": ("target",), "text": ("language",)}
"""Rules whose jobs wait for a rule's, of the same experiment, and take long."""
_GROUP = re.compile(r"seeds=(\d+)-(\d+)")
"""The data sets in a cell's name."""


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


def seconds_per_data_set(
    experiment: str, data_sets: Mapping[str, int], results: str | Path, alone: Collection[str] = ()
) -> dict[str, float]:
    """Seconds on one core that a data set of an experiment took in its preset's reference; empty if it isn't there.

    Args:
        experiment: its name.
        data_sets: how many there are of ``theory`` and of ``networks``, for jobs whose names don't say whose they are;
            the reference may be of fewer.
        results: the preset's results folder.
        alone: cells of a study that solve the theory alone.

    Returns:
        Seconds that one more costs: of the theory alone, and of networks with theory.
    """
    spent: dict[str, float] = defaultdict(float)
    made: dict[str, set[int]] = defaultdict(set)
    unnamed: set[str] = set()
    for job, seconds in _reference_seconds(results).items():
        rule, *path = job.split("/")
        if rule in EACH_DATA_SET and path[0] == experiment:
            side = "theory" if rule in ("theory", "data") or path[-1] in alone else "networks"
            spent[side] += seconds
            group = _GROUP.search(path[-1])
            if group:
                made[side] |= set(range(int(group[1]), int(group[2]) + 1))
            else:
                unnamed.add(side)
    each = {side: spent[side] / (data_sets[side] if side in unnamed else len(made[side])) for side in spent}
    # a study has one kind of job, which asks whomever it asks
    whole = each.get("networks", 0.0) if alone else sum(each.values())
    found = {"theory": each.get("theory", whole), "networks": whole}
    return {side: round(seconds, 3) for side, seconds in found.items() if seconds}


def job_seconds(results: str | Path) -> dict[str, float]:
    """Seconds of each job that are known: of earlier runs of these results, else of their preset's reference."""
    return _reference_seconds(results) | recorded_seconds(results)


class Foreseen:
    """What the jobs of a run should take, by the reference of their preset.

    Args:
        results: the preset's results folder.
    """

    def __init__(self, results: str | Path):
        self.seconds = _reference_seconds(results)
        self._slowest: dict[tuple[str, str], float] = defaultdict(float)
        for job, took in self.seconds.items():
            rule, experiment = [*job.split("/"), ""][:2]
            self._slowest[rule, experiment] = max(self._slowest[rule, experiment], took)

    def priority(self, job: str) -> float:
        """Seconds of a job and of the longest that waits for it: those that decide when a run ends begin first."""
        rule, experiment = [*job.split("/"), ""][:2]
        return self.seconds.get(job, self._slowest[rule, experiment]) + self._after(rule, experiment)

    def _after(self, rule: str, experiment: str) -> float:
        following = _FOLLOWING.get(rule, ())
        return max((self._slowest[one, experiment] + self._after(one, experiment) for one in following), default=0.0)

    def minutes(self, job: str, attempt: int) -> int:
        """Minutes to ask a cluster for: four times what a job took, as machines differ, at least ten; else two hours.

        Args:
            job: its name.
            attempt: 1, and one more each time that it was not enough, for twice as long.
        """
        took = self.seconds.get(job)
        return (120 if took is None else max(10, math.ceil(4 * took / 60))) * 2 ** (attempt - 1)


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
