"""What to add to a run so that its undecided claims are decided, cheapest first, for the time there is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from infwidth.analysis.claim_file import Claim
from infwidth.analysis.claims import Verdict, asked, estimate
from infwidth.analysis.decision import (
    DEFINITE,
    NOT_TESTED,
    data_sets_needed,
    is_hidden_by_width,
    level_of,
    networks_needed,
    to_draw,
)
from infwidth.numerics.checks import InputError
from infwidth.plan.groups import Groups, study_groups, theory_alone
from infwidth.plan.timing import EACH_DATA_SET

MOST_LOOKS = 6
"""Looks at an experiment: those before the seventh spend all but a sixty-fourth of the error."""
GROWTH = 4
"""How many times as many as there are a look may bring: what a few say of how many are needed is rough."""
START = 5.0
"""Seconds that the fastest job of a rule may take to be all start and no work."""
ON_THE_BOUND = "its value lies on the bound, for all that can be told"


@dataclass(frozen=True)
class Stock:
    """What an experiment has, or is to have.

    Attributes:
        theory: data sets, of a study repetitions, that the theory is solved on.
        data_sets: those of networks.
        networks: networks a data set.
    """

    theory: int
    data_sets: int
    networks: int = 1

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Stock:
        """That of an experiment or a study, by its settings."""
        if "data_seeds" not in settings:
            seeds = sum(map(len, study_groups(settings).values()))
            return cls(seeds, seeds - sum(map(len, theory_alone(settings).values())))
        groups = Groups.of(settings)
        return cls(groups.theory_data_sets, groups.data_sets, groups.network_seeds)


@dataclass(frozen=True)
class Part:
    """Seconds on one core of a part of an experiment, the theory's or the networks'.

    Attributes:
        each: of one data set, or of one network on one.
        group: of a group of data sets, whatever is in it: its jobs' start.
    """

    each: float
    group: float

    @classmethod
    def of(cls, jobs: Sequence[tuple[float, float]], groups: int, size: float) -> Part:
        """By the seconds of jobs, and of their starts, of so many groups that made ``size`` of it."""
        return cls(sum(whole - start for whole, start in jobs) / size, sum(start for _, start in jobs) / groups)


@dataclass(frozen=True)
class Cost:
    """What more of an experiment takes; of a study the networks' part stands for all of it."""

    theory: Part
    networks: Part
    per_job: int

    def of(self, more: Stock, than: Stock) -> float:
        """Seconds on one core from one stock to a larger one."""
        solved, shared = more.theory - than.theory, more.data_sets - than.data_sets
        networks = more.data_sets * more.networks - than.data_sets * than.networks
        groups = math.ceil(shared / self.per_job)
        groups += math.ceil(than.data_sets / self.per_job) if more.networks > than.networks else 0
        return (
            self.theory.each * solved
            + self.theory.group * math.ceil(solved / self.per_job)
            + self.networks.each * networks
            + self.networks.group * groups
        )


@dataclass(frozen=True)
class Hanging:
    """An undecided claim.

    Attributes:
        id: the claim's.
        experiment: its experiment.
        wanted: stocks each of which should decide it; none where nothing does.
        reason: why none does.
    """

    id: str
    experiment: str
    wanted: tuple[Stock, ...] = ()
    reason: str = ""


def costs(jobs: Mapping[str, float], experiment: str, settings: Mapping[str, Any]) -> Cost:
    """Costs by the seconds of jobs, ``rule/experiment/cell``, that made what the experiment has.

    Raises:
        InputError: none of its jobs was timed.
    """
    starts = {
        rule: min([START, *(seconds for job, seconds in jobs.items() if job.startswith(f"{rule}/"))])
        for rule in EACH_DATA_SET
    }
    spent: dict[str, list[tuple[float, float]]] = {"theory": [], "networks": []}
    alone = () if "data_seeds" in settings else theory_alone(settings)
    for job, seconds in jobs.items():
        rule, name, cell, *_ = [*job.split("/"), "", ""]
        if rule in starts and name == experiment and cell not in alone:
            spent["theory" if rule in ("theory", "data") else "networks"].append((seconds, starts[rule]))
    if not any(spent.values()):
        raise InputError(f"{experiment}: no job of it was timed; expected benchmarks of a finished run; run it first")
    stock = Stock.of(settings)
    groups = {"theory": 1, "networks": 1}
    if "data_seeds" in settings:
        found = Groups.of(settings)
        groups = {"theory": len(found.theory), "networks": len(found.networks)}
    else:
        groups["networks"] = len(study_groups(settings)) - len(alone)
    sizes = {"theory": stock.theory, "networks": stock.data_sets * stock.networks}
    parts = {side: Part.of(spent[side], groups[side], sizes[side]) for side in spent}
    return Cost(**parts, per_job=settings["seeds_per_job"])


def hanging(
    claims: Sequence[Claim],
    verdicts: Sequence[Verdict],
    table: pd.DataFrame,
    settings: Mapping[str, Any],
    looks: Mapping[str, int],
) -> Iterator[Hanging]:
    """The undecided claims about an experiment at a look, and what should decide each at the next.

    Args:
        claims: those about the experiment.
        verdicts: on them, at this look.
        table: its table.
        settings: its settings.
        looks: how often the data of each side have been looked at.
    """
    stock, study = Stock.of(settings), "data_seeds" not in settings
    for claim, verdict in zip(claims, verdicts, strict=True):
        if verdict.verdict in (*DEFINITE, NOT_TESTED):
            continue
        found = Hanging(claim.id, claim.experiment)
        sides = {side: rows for side, rows in asked(claim, table) if not _is_told(verdict, side)}
        wanted, reasons = [], []
        for side, rows in sides.items():
            if looks[side] >= MOST_LOOKS:
                reasons.append(f"{looks[side]} looks were taken")
                continue
            try:
                number = estimate(claim, rows)
            except InputError as error:
                reasons.append(str(error))
                continue
            if is_hidden_by_width(claim, number, level_of(looks[side])):
                reasons.append("what is found may be the finite width's")
                continue
            options = list(_options(claim, number, stock, side, level_of(looks[side] + 1), study=study))
            wanted += options
            reasons += [] if options else [ON_THE_BOUND]
        yield replace(found, wanted=tuple(wanted), reason="" if wanted else "; ".join(dict.fromkeys(reasons)))


def _is_told(verdict: Verdict, side: str) -> bool:
    """Whether a side of an undecided claim has said what it can: a theory that lacks a licence."""
    own = getattr(verdict, side)
    return bool(own and own["verdict"] in DEFINITE)


def _options(claim: Claim, number: Any, stock: Stock, side: str, level: float, *, study: bool) -> Iterator[Stock]:
    """Stocks that should decide a claim of one side."""
    needed = data_sets_needed(claim, number, level)
    if needed is not None:
        needed = to_draw(needed, number, stock.theory if side == "theory" else stock.data_sets)
        if study:  # a repetition more is one of both
            more = needed - (stock.theory if side == "theory" else stock.data_sets)
            yield replace(stock, theory=stock.theory + more, data_sets=stock.data_sets + more)
        elif side == "theory":
            yield replace(stock, theory=max(needed, stock.theory))
        else:
            yield replace(stock, data_sets=needed, theory=max(needed, stock.theory))
    if side == "networks" and not study:
        times = networks_needed(claim, number, level)
        if times is not None:
            yield replace(stock, networks=times * stock.networks)


def buy(
    found: Sequence[Hanging], stocks: Mapping[str, Stock], prices: Mapping[str, Cost], seconds: float
) -> dict[str, Stock]:
    """What to have of each experiment after the next look, for so many seconds on one core.

    What the theory alone can tell is bought first; then, claim by claim, what decides one at the least further cost.
    Of an option that is more than ``GROWTH`` times what there is the first part is bought, if the whole could be.

    Returns:
        Experiment → its larger stock, of those that get one.
    """
    have = dict(stocks)
    waiting = [(claim, option) for claim in found for option in claim.wanted]

    def cost(claim: Hanging, option: Stock) -> float:
        """Beside what is bought already."""
        name = claim.experiment
        price, had = prices[name], have[name]
        return price.of(_joined(had, option), stocks[name]) - price.of(had, stocks[name])

    def alone(claim: Hanging, option: Stock) -> bool:
        """Whether it is the theory's alone."""
        stock = stocks[claim.experiment]
        return (option.data_sets, option.networks) == (stock.data_sets, stock.networks)

    while waiting:
        waiting.sort(key=lambda one: (not alone(*one), cost(*one)))
        claim, option = waiting[0]
        if cost(claim, option) <= seconds:
            step = _capped(option, stocks[claim.experiment])
            spent = cost(claim, step)
            have[claim.experiment] = _joined(have[claim.experiment], step)
            seconds -= spent
            waiting = [one for one in waiting if one[0] is not claim]
        else:
            waiting.pop(0)
    return {name: stock for name, stock in have.items() if stock != stocks[name]}


def _joined(one: Stock, other: Stock) -> Stock:
    """The larger of each."""
    return Stock(max(one.theory, other.theory), max(one.data_sets, other.data_sets), max(one.networks, other.networks))


def _capped(wanted: Stock, stock: Stock) -> Stock:
    """At most ``GROWTH`` times what there is."""
    return Stock(
        min(wanted.theory, GROWTH * stock.theory),
        min(wanted.data_sets, GROWTH * stock.data_sets),
        min(wanted.networks, GROWTH * stock.networks),
    )


def addition(more: Stock, than: Stock, settings: Mapping[str, Any]) -> Any:
    """What is written of a purchase: the entry of one look in ``added``."""
    if "data_seeds" not in settings:
        return more.data_sets - than.data_sets
    parts = {
        "theory_data_seeds": more.theory - than.theory if more.theory > max(than.theory, more.data_sets) else 0,
        "data_seeds": more.data_sets - than.data_sets,
        "network_seeds": more.networks - than.networks,
    }
    return {key: count for key, count in parts.items() if count}
