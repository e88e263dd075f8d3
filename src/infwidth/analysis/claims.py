"""The papers' claims as tests on tables: a statistic, its interval, and what it has to be."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import pandas as pd

from infwidth.analysis.claim_file import Claim
from infwidth.analysis.claim_statistics import STATISTICS
from infwidth.analysis.seeds import confidence_interval, jackknife
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
INCONCLUSIVE, NOT_TESTED = "inconclusive", "not tested"
_VERDICTS = (REPRODUCED, NOT_REPRODUCED, INCONCLUSIVE, NOT_TESTED)


@dataclass(frozen=True)
class Verdict:
    """What became of a claim: one of reproduced, not reproduced, inconclusive, not tested."""

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

    def as_dict(self) -> dict[str, Any]:
        """The verdict as a mapping, for JSON."""
        return asdict(self)


def judge(claim: Claim, table: pd.DataFrame) -> Verdict:
    """Evaluate one claim on its experiment's table.

    The 95 % interval of the statistic (jackknife over seeds, Student's t) decides: wholly inside the expected
    range the claim is reproduced, wholly outside it is not, else it is inconclusive. A table without the rows the
    claim needs leaves it not tested. A seed with an unconverged solver is left out of every point, so that points
    stay comparable, and the note says which.
    """
    # a learning rate that diverged in a sweep was not taken: it fails nothing
    poor = (table["status"] != Status.CONVERGED.value) & (table["metric"] != "sweep_loss")
    failed = sorted(table.loc[poor, "seed"].unique().tolist())
    notes = [f"seeds {failed} left out, unconverged"] if failed else []
    statistic = partial(STATISTICS[claim.statistic], **claim.arguments)
    low, high = claim.expect.get("above", -float("inf")), claim.expect.get("below", float("inf"))
    expected = " and ".join(f"{side} {bound:g}" for side, bound in claim.expect.items())
    told = {key: getattr(claim, key) for key in ("id", "paper", "statement", "figure", "experiment")}
    kept = table[~table["seed"].isin(failed)]
    try:
        check_dataset(claim, table)
        if kept.empty:
            raise InputError("no data set whose solvers all converged: expected one; see the status column for which")
        value, stderr, seeds = jackknife(statistic, kept)
    except InputError as error:
        return Verdict(
            **told,
            expected=expected,
            verdict=NOT_TESTED,
            value=None,
            stderr=None,
            seeds=0,
            note="; ".join([str(error), *notes]),
        )
    lower, upper = confidence_interval(value, stderr, seeds)
    if low < lower and upper < high:
        verdict = REPRODUCED
    elif upper < low or lower > high:
        verdict = NOT_REPRODUCED
    else:
        verdict = INCONCLUSIVE
    error = None if stderr != stderr else stderr
    notes += [] if seeds > 1 else ["one seed: no standard error"]
    return Verdict(
        **told,
        expected=expected,
        verdict=verdict,
        value=value,
        stderr=error,
        seeds=seeds,
        note="; ".join(notes),
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


def as_markdown(verdicts: list[Verdict]) -> str:
    """The claim table as Markdown, in the order of the claims' ids."""
    head = ["claim", "statement", "verdict", "found", "expected", "seeds", "figure"]
    lines = ["# Claims", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for v in sorted(verdicts, key=lambda verdict: natural_key(verdict.id)):
        statement = f"{v.statement} ({v.note})" if v.note else v.statement
        cells = [v.id, statement, f"**{v.verdict}**", _found(v), v.expected, str(v.seeds), v.figure]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "`found` is the statistic with its standard error over data sets (jackknife); a claim is reproduced when the",
        "95 % interval (Student's t) lies inside what is expected, not reproduced when outside, else inconclusive.",
        "",
    ]
    return "\n".join(lines)


def as_text(verdicts: list[Verdict]) -> str:
    """The claim table for a terminal: one line a claim, then the count of each verdict."""
    ordered = sorted(verdicts, key=lambda verdict: natural_key(verdict.id))
    wide = max((len(v.id) for v in ordered), default=0)
    lines = [
        f"{v.id:<{wide}}  {v.verdict:<14}  {_found(v):>20}  expected {v.expected:<12}  {v.statement}" for v in ordered
    ]
    counts = [f"{sum(v.verdict == kind for v in ordered)} {kind}" for kind in _VERDICTS]
    return "\n".join([*lines, f"{len(ordered)} claims: {', '.join(counts)}"])


def _found(verdict: Verdict) -> str:
    if verdict.value is None:
        return "–"
    return f"{verdict.value:.4f} ± {'?' if verdict.stderr is None else f'{verdict.stderr:.4f}'}"


def natural_key(text: str) -> list[tuple[int, float | str]]:
    """Sort key that puts T10 after T9."""
    parts = re.findall(r"\d+(?:\.\d+)?|\D+", text)
    return [(0, float(part)) if part[0].isdigit() else (1, part) for part in parts]
