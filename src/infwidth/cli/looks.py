"""Looking at a run's claims again and again, with more data each time, until they are decided or the time is spent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from infwidth.cli.request import Request

OVERHEAD = 8.0
"""Seconds of a look beside its jobs: what starts them, and what draws and judges afterwards."""


@dataclass(frozen=True)
class _Look:
    """What is to be seen at one look.

    Attributes:
        verdicts: on each claim.
        found: the undecided claims.
        stocks: what each of their experiments has.
        prices: what more of it costs.
    """

    verdicts: Mapping[str, str]
    found: list[Any]
    stocks: Mapping[str, Any]
    prices: Mapping[str, Any]


def look_on(request: Request, results: Path, minutes: float, make: Callable[..., None]) -> None:
    """Buy what decides claims, make it and look again.

    Args:
        request: the run, finished.
        results: its folder.
        minutes: how long to go on.
        make: makes some files of the results folder.
    """
    from infwidth.plan.additions import read_additions, write_additions
    from infwidth.plan.purchases import addition, buy

    end, number, before = time.monotonic() + 60 * minutes, 0, {}
    write_additions(results, read_additions(results))  # from here on the error is spent over looks
    while True:
        config = request.read_again()
        look = _look(config, results)
        if number:
            click.echo(f"look {number}: {_news(before, look)}")
        before = look.verdicts
        seconds = (end - time.monotonic() - OVERHEAD) * request.cores
        bought = buy(look.found, look.stocks, look.prices, max(seconds, 0.0))
        if not bought:
            break
        added, number = read_additions(results), number + 1
        for name, stock in bought.items():
            section = _section(config, name)
            entry = addition(stock, look.stocks[name], config[section][name])
            added[section].setdefault(name, []).append(entry)
        write_additions(results, added)
        click.echo(f"look {number}: adds {_spelt(bought, look)}")
        make(*(f"{results}/tables/{name}.csv" for name in bought))
    for line in _left(look, end - time.monotonic(), request.cores):
        click.echo(line)


def _look(config: Mapping[str, Any], results: Path) -> _Look:
    """The undecided claims of a finished run."""
    from infwidth.analysis.claims import judge_all
    from infwidth.io.tables import read_table
    from infwidth.plan.additions import looks
    from infwidth.plan.claims import check_run_claims
    from infwidth.plan.purchases import Stock, costs, hanging
    from infwidth.plan.timing import recorded_seconds
    from infwidth.plan.transfer import Plan

    plan, jobs = Plan(config), recorded_seconds(results)
    found: list[Any] = []
    verdicts: dict[str, str] = {}
    stocks, prices = {}, {}
    claims = check_run_claims(config)
    for name in [*plan.experiments, *plan.studies]:
        of_it = [claim for claim in claims if claim.experiment == name]
        if not of_it:
            continue
        settings, table = config[_section(config, name)][name], read_table(results / f"tables/{name}.csv")
        at = looks(config, name)
        judged = judge_all(of_it, table, looks=at)
        verdicts |= {verdict.id: verdict.verdict for verdict in judged}
        hangs = list(hanging(of_it, judged, table, settings, at))
        if hangs:
            found += hangs
            stocks[name], prices[name] = Stock.of(settings), costs(jobs, name, settings)
    return _Look(verdicts, found, stocks, prices)


def _section(config: Mapping[str, Any], name: str) -> str:
    from infwidth.plan.config import SECTIONS

    return next(section for section in SECTIONS if name in config[section])


def _news(before: Mapping[str, str], look: _Look) -> str:
    """What a look changed."""
    changed = [f"{name} {verdict}" for name, verdict in look.verdicts.items() if verdict != before[name]]
    return f"{', '.join(changed) or 'no verdict changed'}; {len(look.found)} claims are undecided"


def _spelt(bought: Mapping[str, Any], look: _Look) -> str:
    """What was bought, and what it should take."""
    parts = []
    for name, stock in bought.items():
        old = look.stocks[name]
        more = [
            f"{new - was} {what}"
            for new, was, what in (
                (stock.data_sets, old.data_sets, "data sets"),
                (stock.theory if stock.theory > stock.data_sets else old.theory, old.theory, "of the theory"),
                (stock.networks, old.networks, "networks each"),
            )
            if new > was
        ]
        parts.append(f"{name} {', '.join(more)}")
    seconds = sum(look.prices[name].of(stock, look.stocks[name]) for name, stock in bought.items())
    return f"{'; '.join(parts)} ({seconds / 60:.1f} core minutes)"


def _left(look: _Look, seconds: float, cores: int) -> Iterator[str]:
    """A line on each claim that stays undecided, and why."""
    for claim in look.found:
        if not claim.wanted:
            yield f"undecided: {claim.id}: {claim.reason}"
            continue
        price = min(look.prices[claim.experiment].of(option, look.stocks[claim.experiment]) for option in claim.wanted)
        yield (
            f"undecided: {claim.id}: would take {price / cores / 60:.1f} minutes on {cores} cores; "
            f"{max(seconds, 0) / 60:.1f} are left"
        )
    if not look.found:
        yield "every claim is decided that can be tested"
