"""The papers' claims as tests on tables: an estimate, its interval, what it has to be, and what would decide it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd

from infwidth.analysis.claim_file import Claim
from infwidth.analysis.claim_statistics import COMPARISONS, STATISTICS
from infwidth.analysis.decision import (
    DEFINITE,
    INCONCLUSIVE,
    NO_EFFECT,
    NOT_REPRODUCED,
    NOT_TESTED,
    REPRODUCED,
    THEORY_SAYS,
    decide,
    in_minutes,
    is_hidden_by_width,
    level_of,
    p_value,
    price,
    reason,
)
from infwidth.analysis.estimates import LEVEL, Estimate
from infwidth.analysis.seeds import student_quantile
from infwidth.analysis.sweeps import check_rates
from infwidth.numerics.checks import InputError


@dataclass(frozen=True)
class Finding:
    """What one side, theory or networks, says of a claim.

    Attributes:
        verdict: one of :data:`infwidth.analysis.decision.VERDICTS`.
        value: the statistic; None where it is not tested.
        stderr: its standard error over data sets; None for one data set.
        lower: lower end of the interval, of 95 % or what the look is judged at; None where it has none or an
            end is infinite.
        upper: upper end; likewise.
        seeds: data sets.
        p: of a definite verdict, the least error, of all looks together, at which it would not be one.
        note: what it rests on, and why it is not tested.
        budget: of an inconclusive verdict, what the variance is of: source → part, together 1.
        needed: data sets that should decide it; None where 1,000 would not.
        needed_stderr: the standard error that they would give.
        minutes: what those that are missing cost; None where it was never timed.
        look: the how manieth look at its data this is, where the error is spent over several; else 0.
    """

    verdict: str
    value: float | None = None
    stderr: float | None = None
    lower: float | None = None
    upper: float | None = None
    seeds: int = 0
    p: float | None = None
    note: str = ""
    budget: Mapping[str, float] | None = None
    needed: int | None = None
    needed_stderr: float | None = None
    minutes: float | None = None
    look: int = 0


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: the deciding side's verdict and number, and both sides by themselves.

    Attributes:
        theory: the theory's finding as a mapping; None where the claim does not ask the theory alone.
        networks: the networks' finding, or that of networks held against theory; None where it asks the theory alone.
        decided_by: ``networks``, ``theory``, or "" where nothing is decided.
        licence: the claim of agreement that lets the theory decide; "" without one.
        stands: whether a definite verdict stands when all claims of its paper are judged at once; None elsewhere.
        look: the deciding side's.
    """

    id: str
    paper: str
    statement: str
    figure: str
    experiment: str
    expected: str
    verdict: str
    value: float | None
    stderr: float | None
    seeds: int
    note: str = ""
    lower: float | None = None
    upper: float | None = None
    p: float | None = None
    theory: Mapping[str, Any] | None = None
    networks: Mapping[str, Any] | None = None
    decided_by: str = ""
    licence: str = ""
    stands: bool | None = None
    look: int = 0

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a mapping, for JSON."""
        return asdict(self)


def judge(
    claim: Claim,
    table: pd.DataFrame,
    licence: str = "",
    seconds: Mapping[str, float] | None = None,
    looks: Mapping[str, int] | None = None,
    refuted: str = "",
) -> Verdict:
    """Evaluate one claim on its experiment's table.

    The 95 % interval of the statistic over data sets decides: wholly inside the expected range the claim is reproduced,
    wholly outside it is not; where it holds the bound there is no such effect if it excludes the smallest that counts,
    else it is inconclusive; a table without the rows the claim needs leaves it not tested.
    A claim that names no ``kind`` is asked of theory and networks, each on its data sets. Networks decide where they
    can; where they can't the theory does, if ``licence`` holds; without it the theory's finding is told as no more than
    that, and as nothing where theory and networks disagree. A data set counts wherever its own solvers converged.

    Args:
        claim: the claim.
        table: the experiment's table.
        licence: id of the claim that theory and networks agree here, where that is reproduced.
        seconds: what one more data set costs, of ``theory`` and of ``networks``, as far as that is known.
        looks: the how manieth look at the data of ``theory`` and of ``networks`` this is, where the error is spent over
            several; see :func:`infwidth.analysis.decision.level_of`.
        refuted: id of a claim that theory and networks agree here which is not reproduced.
    """
    sides = {
        name: judge_side(claim, rows, name, (seconds or {}).get(name), (looks or {}).get(name, 0))
        for name, rows in asked(claim, table)
    }
    theory, networks = sides.get("theory"), sides.get("networks")
    name = _decider(theory, networks, licence)
    found = sides[name]
    word, note = found.verdict, found.note
    if theory and networks:
        other = theory if name == "networks" else networks
        if name == "theory" and found.verdict in DEFINITE:
            note = "; ".join(filter(None, [f"decided by the theory, as {licence} is reproduced", note]))
        elif theory.verdict in DEFINITE and found.verdict not in DEFINITE:
            why = f"as {refuted} is not reproduced" if refuted else "without a licence"
            note = "; ".join(filter(None, [f"networks can't tell: {note}", f"theory: {theory.verdict}, {why}"]))
            if not refuted:
                found, word = theory, THEORY_SAYS[theory.verdict]
        elif other.verdict in DEFINITE and other.verdict != found.verdict:
            note = "; ".join(filter(None, [note, f"{'theory' if name == 'networks' else 'networks'}: {other.verdict}"]))
    told = {key: getattr(claim, key) for key in ("id", "paper", "statement", "figure", "experiment")}
    return Verdict(
        **told,
        expected=" and ".join(f"{side} {bound:g}" for side, bound in claim.expect.items()),
        verdict=word,
        note=note,
        **{key: getattr(found, key) for key in ("value", "stderr", "seeds", "lower", "upper")},
        p=found.p if word in DEFINITE else None,
        theory=asdict(theory) if theory else None,
        networks=asdict(networks) if networks else None,
        decided_by=name if word in DEFINITE else "",
        licence=licence if theory and networks else "",
        look=found.look,
    )


def judge_all(
    claims: Sequence[Claim],
    table: pd.DataFrame,
    seconds: Mapping[str, float] | None = None,
    looks: Mapping[str, int] | None = None,
) -> list[Verdict]:
    """Evaluate the claims about one experiment, those of agreement first, which license the theory to decide others."""
    verdicts = {claim.id: judge(claim, table, "", seconds, looks) for claim in claims if claim.statistic in COMPARISONS}
    agreements = [claim for claim in claims if claim.id in verdicts]
    for claim in claims:
        if claim.id not in verdicts:
            covering = {verdicts[one.id].verdict: one.id for one in reversed(agreements) if _covers(one, claim)}
            licence, refuted = covering.get(REPRODUCED, ""), covering.get(NOT_REPRODUCED, "")
            verdicts[claim.id] = judge(claim, table, licence, seconds, looks, refuted)
    return [verdicts[claim.id] for claim in claims]


def estimate(claim: Claim, rows: pd.DataFrame) -> Estimate:
    """The claim's number on some rows, of theory, networks or both; raises InputError where they can't give it."""
    check_dataset(claim, rows)
    check_rates(rows, claim.arguments)
    return STATISTICS[claim.statistic](rows, **claim.arguments)


def judge_side(claim: Claim, rows: pd.DataFrame, side: str, seconds: float | None = None, look: int = 0) -> Finding:
    """What the rows of a side, ``theory`` or ``networks``, or of both for it, say of a claim."""
    try:
        found = estimate(claim, rows)
    except InputError as error:
        return Finding(NOT_TESTED, note=str(error), look=look)
    level = level_of(look)
    verdict = decide(claim, found, level)
    lower, upper = found.interval(level)
    notes = [getattr(found, "note", "")]
    if found.left_out:
        points = "points of " if claim.statistic in COMPARISONS else ""
        notes.append(f"{points}seeds {list(found.left_out)} left out, unconverged or missing")
    told: dict[str, Any] = {}
    stderr = getattr(found, "stderr", None)
    if math.isfinite(upper - lower):
        if stderr is None:
            stderr = (upper - lower) / 2 / student_quantile(found.seeds - 1, level) if upper > lower else 0.0
    else:
        lower = upper = None
        if stderr is None or not math.isfinite(stderr):
            stderr = None
            notes.append(f"{'one seed' if found.seeds == 1 else f'{found.seeds} seeds'}: no standard error")
        else:
            notes.append(f"{found.seeds} seeds don't tell what it is divided by from 0")
    if verdict == NO_EFFECT:
        notes.append(f"an effect of {claim.smallest_effect:g} or more is excluded")
    if verdict == INCONCLUSIVE:
        if is_hidden_by_width(claim, found, level):
            # two widths more, narrower ones, on the same data sets
            cost = in_minutes(None if seconds is None else round(2 * found.seeds * seconds / 60, 1))
            more = f"networks of three widths{cost.replace(' (', ' (at most ')}, or a predicted deviation, would tell"
            notes.append(f"what is found may be the finite width's: {more}")
        else:
            own = rows[rows["kind"] == ("theory" if side == "theory" else "network")]
            drawn = max(own["seed"].nunique(), found.seeds)
            told = price(claim, found, stderr, drawn, seconds, level)
            notes.append(reason(told, found))
    return Finding(
        verdict,
        value=found.value,
        stderr=stderr,
        lower=lower,
        upper=upper,
        seeds=found.seeds,
        p=p_value(claim, found, verdict, look) if verdict in DEFINITE else None,
        note="; ".join(filter(None, notes)),
        look=look,
        **told,
    )


def check_dataset(claim: Claim, table: pd.DataFrame) -> None:
    """Refuse a table whose data stand in for those that the claim is about.

    Raises:
        InputError: "digits stand in for CIFAR-10".
    """
    if claim.dataset is None:
        return
    # a data set is the same however its name's parts are joined: CIFAR-10, cifar10_part, CIFAR-10 0,1 → 8,9
    parts = re.findall(r"[A-Za-z]+|\d+", claim.dataset)
    about = re.compile("[-_ ]?".join(parts) + r"(?![A-Za-z0-9])", re.IGNORECASE)
    others = [str(name) for name in table["dataset"].unique() if not about.match(str(name))]
    if others:
        found = re.sub(r" \(fallback for .*?\)| \d+,\d+ → \d+,\d+", "", others[0])
        raise InputError(f"{found} {'stand' if found.endswith('s') else 'stands'} in for {claim.dataset}")


def together(verdicts: Sequence[Verdict], level: float = LEVEL) -> list[Verdict]:
    """Say of each definite verdict whether it stands when all claims of its paper are judged at once (Holm)."""
    stands: dict[int, bool] = {}
    for paper in {verdict.paper for verdict in verdicts}:
        tested = [i for i, v in enumerate(verdicts) if v.paper == paper and v.verdict != NOT_TESTED]
        tested.sort(key=lambda i: 1.0 if verdicts[i].p is None else verdicts[i].p)
        holds = True
        for rank, i in enumerate(tested):
            p = verdicts[i].p
            holds = holds and p is not None and p <= (1 - level) / (len(tested) - rank)
            stands[i] = holds
    return [
        replace(verdict, stands=stands.get(i) if verdict.verdict in DEFINITE else None)
        for i, verdict in enumerate(verdicts)
    ]


def asked(claim: Claim, table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Who is asked, ``theory`` or ``networks`` (which a comparison asks), and on which rows."""
    kinds = set(_kinds(claim.arguments))
    if claim.statistic in COMPARISONS or len(kinds) > 1:
        yield "networks", table
    elif kinds or claim.statistic == "choice_excess":
        yield ("networks" if kinds == {"network"} else "theory"), table
    else:
        for name, kind in (("theory", "theory"), ("networks", "network")):
            yield name, table[table["kind"] == kind]


def _kinds(value: Any) -> Iterator[str]:
    """Every ``kind`` that nested arguments name."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from ([item] if key == "kind" and isinstance(item, str) else _kinds(item))
    elif isinstance(value, list):
        for item in value:
            yield from _kinds(item)


def _decider(theory: Finding | None, networks: Finding | None, licence: str) -> str:
    """Whose finding is the verdict: the networks' where they can tell, else the theory's where it is licensed.

    That networks find no such effect doesn't say which side of the bound is true, as the theory may.
    """
    if networks is None or theory is None:
        return "theory" if networks is None else "networks"
    says_more = networks.verdict not in DEFINITE or (networks.verdict == NO_EFFECT != theory.verdict)
    if licence and theory.verdict in DEFINITE and says_more:
        return "theory"
    return "theory" if networks.verdict == NOT_TESTED and theory.verdict == INCONCLUSIVE else "networks"


def _covers(agreement: Claim, claim: Claim) -> bool:
    """Whether theory and networks were compared on all that a claim is about."""
    metrics = agreement.arguments["metric"]
    rows = [part for value in claim.arguments.values() for part in (value if isinstance(value, list) else [value])]
    rows = [part for part in rows if isinstance(part, Mapping)]
    asked = {claim.arguments.get("metric")} | {part["metric"] for part in rows if "metric" in part}
    if not asked <= set(metrics if isinstance(metrics, list) else [metrics]):
        return False
    for column, allowed in agreement.arguments["where"].items():
        within = allowed if isinstance(allowed, list) else [allowed]
        if any(part.get(column) not in within for part in rows):
            return False
    return True
