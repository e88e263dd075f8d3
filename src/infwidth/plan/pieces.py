"""A run in pieces of so many minutes, for machines that are lent for no longer."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from infwidth.io.job_times import CELL_RULES
from infwidth.numerics.checks import InputError
from infwidth.plan.transfer import Plan

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Read a duration such as ``90s``, ``10min`` or ``2h``; raises InputError where it is none."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(s|min|h)", text.strip())
    if found is None or float(found[1]) == 0:
        raise InputError(f"--pieces {text}: expected a duration such as 90s, 10min or 2h; change it")
    return float(found[1]) * _UNITS[found[2]]


def cells_to_run(plan: Plan, jobs: Iterable[str]) -> dict[str, list[str]]:
    """The cells among jobs that are to run, each with those jobs it takes, itself the last.

    Args:
        plan: of the configuration.
        jobs: names as in :func:`infwidth.plan.timing.recorded_seconds`, ``rule/experiment/cell``.
    """
    waiting, found = list(jobs), {}
    for job in sorted(waiting):
        rule, *path = job.split("/")
        if rule not in CELL_RULES:
            continue
        found[job] = [job]
        if rule == "target":
            experiment, cell = path
            source = plan.project(plan.network_cells(experiment)[cell], plan.source_cells(experiment))
            found[job] = [*({f"source/{experiment}/{source}"} & set(waiting)), job]
    return found


def pieces(jobs: Mapping[str, Sequence[str]], seconds: Mapping[str, float], most: float, cores: int) -> list[list[str]]:
    """Divide cells into pieces that take no longer than some time, as far as their times are known.

    Args:
        jobs: cell → the jobs that it takes, itself among them; those of cells before it in a piece cost nothing.
        seconds: of jobs; what is not known counts like the slowest known cell of its rule, else as a whole piece.
        most: seconds of a piece.
        cores: jobs that run at a time.

    Returns:
        The cells of each piece, in their order. A cell that takes longer alone is a piece by itself.
    """
    slowest: dict[str, float] = defaultdict(float)
    for job, took in seconds.items():
        slowest[job.split("/")[0]] = max(slowest[job.split("/")[0]], took)
    found: list[list[str]] = []
    made: set[str] = set()
    spent, longest = math.inf, 0.0
    for cell, needed in jobs.items():
        new = [job for job in dict.fromkeys(needed) if job not in made]
        costs = [seconds.get(job, slowest.get(job.split("/")[0], most * cores)) for job in new]
        spent, longest = spent + sum(costs), max(longest, sum(costs))  # those of a cell wait for each other
        if max(spent / cores, longest) > most:
            found.append([])
            spent = longest = sum(costs)
        found[-1].append(cell)
        made.update(new)
    return found
