"""The claim table, as Markdown and for a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from infwidth.analysis.claims import Verdict, together
from infwidth.analysis.decision import DEFINITE, NO_EFFECT, NOT_REPRODUCED, NOT_TESTED, REPRODUCED, VERDICTS, level_of

EXPLAINED = """\
`theory` and `networks` are what each side says by itself, on its own data sets: the statistic ± its standard error
over them (how many). A side is reproduced when the 95 % interval lies inside what is expected, not reproduced when
outside; where it holds the bound there is no such effect if it excludes the smallest one that would count, else it is
inconclusive. Networks decide where they can; where they can't the theory does, if a claim of agreement
(T1, T10) on the same experiment is reproduced; else it is told what the theory says. A † marks a verdict that does not
stand when all claims of its paper are judged at once. docs/claims.md says more."""


def as_markdown(verdicts: Sequence[Verdict]) -> str:
    """The claim table as Markdown, in the order of the claims' ids."""
    head = ["claim", "statement", "verdict", "theory", "networks", "expected", "figure"]
    lines = ["# Claims", "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    ordered = _ordered(verdicts)
    for v in ordered:
        statement = f"{v.statement} ({v.note})" if v.note else v.statement
        mark = " †" if v.stands is False else ""
        sides = (
            [_side(side) for side in (v.theory, v.networks)] if v.theory or v.networks else ["–", _found(v.as_dict())]
        )
        cells = [v.id, statement, f"**{v.verdict}**{mark}", *sides, v.expected, v.figure or "–"]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, "", EXPLAINED, "", *by_chance(ordered), *of_looks(ordered), ""])


def as_text(verdicts: Sequence[Verdict]) -> str:
    """The claim table for a terminal: one line a claim, then the count of each verdict."""
    ordered = _ordered(verdicts)
    wide = max((len(v.id) for v in ordered), default=0)
    said = max((len(v.verdict) for v in ordered), default=0) + len(" †")
    lines = [
        f"{v.id:<{wide}}  {v.verdict + (' †' if v.stands is False else ''):<{said}}  {_found(v.as_dict()):>20}  "
        f"theory {_word(v.theory):<4} networks {_word(v.networks):<4} expected {v.expected:<12}  {v.statement}"
        for v in ordered
    ]
    if not lines:
        return "no claim is about these experiments; docs/claims.md says how to make some of your own"
    counts = [f"{sum(v.verdict == kind for v in ordered)} {kind}" for kind in VERDICTS]
    return "\n".join([*lines, f"{len(ordered)} claims: {', '.join(counts)}", *by_chance(ordered), *of_looks(ordered)])


def by_chance(verdicts: Sequence[Verdict]) -> list[str]:
    """One sentence a paper: how many of its intervals miss by chance, and how many verdicts stand together."""
    sentences = []
    for paper in sorted({verdict.paper for verdict in verdicts}):
        of_paper = [verdict for verdict in verdicts if verdict.paper == paper and verdict.verdict != NOT_TESTED]
        definite = [verdict for verdict in of_paper if verdict.verdict in DEFINITE]
        if of_paper:
            stand = sum(bool(verdict.stands) for verdict in definite)
            name = "Own claims" if paper == "own" else f"Paper {paper}"
            sentences.append(
                f"{name}: of {len(of_paper)} intervals at 95 % about {0.05 * len(of_paper):.1f} miss by chance; "
                f"of {len(definite)} definite verdicts {stand} stand together (Holm), the others are marked †."
            )
    return sentences


def of_looks(verdicts: Sequence[Verdict]) -> list[str]:
    """A sentence on the looks that were taken, where the error is spent over several; none elsewhere."""
    looks: dict[str, int] = {}
    for verdict in verdicts:
        for side in filter(None, (verdict.theory, verdict.networks)):
            looks[verdict.experiment] = max(looks.get(verdict.experiment, 0), side.get("look", 0))
    if not any(looks.values()):
        return []
    several = [f"{name} {count}" for name, count in sorted(looks.items()) if count > 1]
    levels = ", ".join(f"{100 * level_of(look):.4g} %" for look in range(1, max(looks.values()) + 1))
    of = f"{', '.join(several)}, each other experiment 1" if several else "1 at each experiment"
    return [f"The error of 5 % is spent over looks at the data ({of}): intervals are of {levels} at each in turn."]


def natural_key(text: str) -> list[tuple[int, float | str]]:
    """Sort key that puts T10 after T9."""
    parts = re.findall(r"\d+(?:\.\d+)?|\D+", text)
    return [(0, float(part)) if part[0].isdigit() else (1, part) for part in parts]


def _ordered(verdicts: Sequence[Verdict]) -> list[Verdict]:
    return sorted(together(verdicts), key=lambda verdict: natural_key(verdict.id))


def _side(side: Mapping[str, Any] | None) -> str:
    return "–" if side is None else f"{side['verdict']}, {_found(side)} ({side['seeds']})"


def _found(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return "–"
    return f"{found['value']:.4f} ± {'?' if found['stderr'] is None else format(found['stderr'], '.4f')}"


def _word(side: Mapping[str, Any] | None) -> str:
    """Yes, no, none, or a question mark."""
    return (
        "–"
        if side is None
        else {REPRODUCED: "yes", NOT_REPRODUCED: "no", NO_EFFECT: "none", NOT_TESTED: "–"}.get(side["verdict"], "?")
    )
