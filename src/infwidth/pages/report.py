"""The page that a reader of a run opens first: every figure with its claims, what each side says, data and minutes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from infwidth.analysis.claim_table import by_chance, natural_key
from infwidth.analysis.claims import Verdict, together
from infwidth.analysis.decision import VERDICTS
from infwidth.analysis.verdict_files import read_verdict_file
from infwidth.io.atomic import reading
from infwidth.io.job_times import EACH_DATA_SET, recorded_seconds
from infwidth.pages.render import write_page

VERDICT_FIGURE = "verdicts"
STAND_IN = re.compile(r"(.+?) \(fallback for (.+?)\)")


@dataclass(frozen=True)
class Shown:
    """One figure on the page.

    Attributes:
        name: of the figure.
        heading: what it is called.
        about: what it shows, in words.
        experiments: of each experiment it shows the data and title, and seconds on one core (None: never timed).
        stand_ins: data that stand in for others: what, and for what.
        claims: the verdicts that it supports.
        missing: why there is no picture; "" where there is one.
        older: whether the run that made the page did not look at it.
    """

    name: str
    heading: str
    about: str
    experiments: list[tuple[str, float | None]]
    stand_ins: list[tuple[str, str]]
    claims: list[Verdict]
    missing: str
    older: bool


def write_report(path: Path, about: Mapping[str, Any]) -> None:
    """Write the report of the results in whose folder it lies, with links to their files.

    Args:
        path: the page.
        about: ``preset``; ``only``, what a partial run was restricted to, or None; ``figures``, figure → experiments;
            ``headings``, figure → what it is called; ``words``, figure → what it shows; ``titles``, experiment → its
            title; ``planned``, the experiments of this run; ``command``, what makes the whole.
    """
    results, planned = path.parent, set(about["planned"])
    seconds = _seconds(results)
    verdicts = _verdicts(results, about["titles"])
    datasets = {name: _datasets(results / f"tables/{name}.csv") for name in about["titles"]}
    shown = [
        Shown(
            name=name,
            heading=about["headings"][name] or name,
            about=about["words"][name],
            experiments=[
                (", ".join(filter(None, ["; ".join(datasets[one]), about["titles"][one]])), seconds.get(one))
                for one in experiments
            ],
            stand_ins=_stand_ins(data for one in experiments for data in datasets[one]),
            claims=[verdict for verdict in verdicts if verdict.figure == name],
            missing="" if (results / f"figures/{name}.png").exists() else _missing(experiments, datasets),
            older=not set(experiments) <= planned,
        )
        for name, experiments in about["figures"].items()
    ]
    write_page(
        path,
        "report.html",
        preset=about["preset"],
        only=about["only"],
        command=about["command"],
        counts=_counts(verdicts),
        chance=by_chance(verdicts),
        verdict_figure=(results / f"figures/{VERDICT_FIGURE}.png").exists(),
        claim_table=about["only"] is None,
        shown=shown,
        others=[verdict for verdict in verdicts if verdict.figure not in about["figures"]],
        absent=sorted(name for name, found in datasets.items() if not found),
        stand_ins=_stand_ins(data for found in datasets.values() for data in found),
        minutes=sum(seconds.get(name, 0.0) for name in about["titles"]) / 60,
    )


def _stand_ins(datasets: Iterable[str]) -> list[tuple[str, str]]:
    return sorted({(found[1], found[2]) for found in map(STAND_IN.match, datasets) if found})


def _missing(experiments: Sequence[str], datasets: Mapping[str, Collection[str]]) -> str:
    lacking = [name for name in experiments if not datasets[name]]
    if lacking:
        command = f"make reproduce ONLY={lacking[0]}` runs it" if len(lacking) == 1 else "make reproduce` runs them"
        return f"not run yet: {', '.join(lacking)}; `{command}"
    return "not drawn yet: `make reproduce` draws it"


def _verdicts(results: Path, names: Collection[str]) -> list[Verdict]:
    """Those on the configuration's experiments, in the order of their ids."""
    paths = [results / f"claims/{name}.json" for name in names]
    found = together([verdict for path in paths if path.exists() for verdict in read_verdict_file(path)])
    return sorted(found, key=lambda verdict: natural_key(verdict.id))


def _datasets(table: Path) -> list[str]:
    """What an experiment's table calls its data; empty without a table."""
    if not table.exists():
        return []
    with reading(table, "a table (CSV)"):
        names = pd.read_csv(table, usecols=["dataset"], dtype=str, keep_default_na=False, encoding="utf-8")["dataset"]
    return sorted({name for name in names if name})


def _seconds(results: Path) -> dict[str, float]:
    """Experiment → seconds on one core of its jobs."""
    spent: Counter[str] = Counter()
    for job, seconds in recorded_seconds(results).items():
        rule, *rest = job.split("/")
        if rule in EACH_DATA_SET or rule == "pool":
            spent[rest[0]] += seconds
    return dict(spent)


def _counts(verdicts: Sequence[Verdict]) -> list[tuple[str, int]]:
    counts = Counter(verdict.verdict for verdict in verdicts)
    return [(verdict, counts[verdict]) for verdict in VERDICTS]
