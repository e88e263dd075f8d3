"""The file of claims: templates expanded, statements that say their own bounds, everything checked before a run."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from infwidth.analysis.claim_arguments import bound, check_arguments, nearest, one_of
from infwidth.analysis.claim_statistics import STATISTICS
from infwidth.io.yaml import load_yaml
from infwidth.numerics.checks import InputError

PAPERS = ("T", "S", "own")
DATASETS = ("CIFAR-10", "C4", "digits")
"""Data sets that a claim may be about, and that others may stand in for."""
PLACEHOLDER = re.compile(r"\{([A-Za-z_]\w*)(?::([^{}]*))?\}")


@dataclass(frozen=True)
class Claim:
    """One claim of a paper, or of one's own.

    Attributes:
        id: paper's claim and setting, e.g. ``T2.linear.0.9``.
        statement: the claim in one sentence.
        experiment: the experiment whose table decides it.
        statistic: name of a function in :mod:`infwidth.analysis.claim_statistics`.
        arguments: its arguments.
        expect: ``{below: x}``, ``{above: x}`` or both.
        paper: ``T``, ``S``, or ``own``.
        figure: the figure that shows it; "" of one's own claims only.
        smallest_effect: distance from a single bound below which an effect is as good as none; None where any counts.
        dataset: the data set that it is about, one of :data:`DATASETS`; None where the experiment makes its own.

    Raises:
        InputError: one line for each thing that is wrong.
    """

    id: str
    statement: str
    experiment: str
    statistic: str
    arguments: Mapping[str, Any]
    expect: Mapping[str, float]
    paper: str = "own"
    figure: str = ""
    smallest_effect: float | None = None
    dataset: str | None = None

    def __post_init__(self) -> None:
        lines = list(_problems(self))
        if lines:
            raise InputError("\n".join(f"claim {self.id}: {line}" for line in lines))


FIELDS = tuple(field.name for field in fields(Claim))
REQUIRED = tuple(field.name for field in fields(Claim) if field.default is MISSING)


def check_claims(
    path: str | Path, experiments: Collection[str] | None = None, figures: Collection[str] | None = None
) -> list[Claim]:
    """Read the file of claims and check all of it.

    Args:
        path: the file, a list of entries. An entry with ``each``, a list of mappings, stands for one claim a mapping;
            ``{name}`` anywhere in its text is that mapping's value, and a name that is a claim's own key takes its
            place. In a statement also the arguments and the bounds have names: ``{below:%}`` is the upper bound in
            per cent, ``{above:|%|}`` without its sign.
        experiments: names that a claim may refer to; None: any.
        figures: likewise.

    Returns:
        The claims, in the file's order.

    Raises:
        InputError: one line for each thing that is wrong in the file.
    """
    entries = load_yaml(path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: holds {type(entries).__name__}; expected a list of claims; begin each with a dash")
    lines: list[str] = []
    claims: list[Claim] = []
    for number, entry in enumerate(entries):
        try:
            claims += _claims(entry, f"entry {number + 1}")
        except InputError as error:
            lines += str(error).splitlines()
    for name, count in Counter(claim.id for claim in claims).items():
        if count > 1:
            lines.append(f"claim {name}: found {count} times; expected each id once; rename or remove one")
    for claim in claims:
        for key, known in (("experiment", experiments), ("figure", figures)):
            value = getattr(claim, key)
            if value and known is not None and value not in known:
                hint = nearest(value, known)
                lines.append(f"claim {claim.id}: {key} = {value!r}: no preset has it; {hint}")
    if lines:
        raise InputError("\n".join(f"{path}: {_readable(line)}" for line in dict.fromkeys(lines)))
    return claims


def _readable(line: str) -> str:
    """A line whose words are not pages long, as values that it shows may be."""
    return re.sub(r"\S{100,}", lambda word: f"{word[0][:60]}…{word[0][-20:]}", line)


def _claims(entry: Any, name: str) -> list[Claim]:
    """The claims that an entry of the file stands for; raises InputError with all that is wrong in it."""
    if not isinstance(entry, Mapping):
        raise InputError(f"{name}: {entry!r}: expected a claim's keys and values; see the entries beside it")
    name = f"claim {entry['id']}" if isinstance(entry.get("id"), str) else name
    for number in _no_floats(entry):
        raise InputError(f"{name}: {number}: expected numbers of a size below 1e308; change it")
    each = entry.get("each", [{}])
    if not isinstance(each, list) or not each or not all(isinstance(values, Mapping) for values in each):
        raise InputError(f"{name}: each = {each!r}: expected a list of names and values; write one entry a claim")
    lines: list[str] = []
    claims = []
    for values in each:
        try:
            claims.append(_claim({key: value for key, value in entry.items() if key != "each"}, values, name))
        except InputError as error:
            lines += str(error).splitlines()
    if lines:
        raise InputError("\n".join(lines))
    return claims


def _no_floats(value: Any) -> Iterator[int]:
    """Whole numbers anywhere in an entry that no float comes near."""
    if isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _no_floats(inner)
    elif isinstance(value, int) and abs(value) >= 10**308:
        yield value


def _claim(entry: Mapping[str, Any], values: Mapping[str, Any], name: str) -> Claim:
    """One claim: the entry with the values put in, its statement last, as that names bounds and arguments."""
    entry = {**entry, **{key: value for key, value in values.items() if key in FIELDS}}
    lines = [
        f"{name}: {key}: unknown key; expected one of {', '.join((*FIELDS, 'each'))}; {nearest(key, FIELDS)}"
        for key in entry
        if key not in FIELDS
    ]
    lines += [f"{name}: {key}: missing; expected it in every claim; add it" for key in REQUIRED if key not in entry]
    if lines:
        raise InputError("\n".join(lines))
    used: set[str] = set()
    filled = {key: _filled(value, values, name, used) for key, value in entry.items() if key != "statement"}
    known = dict(values)
    for more in (filled["expect"], filled["arguments"]):
        known |= dict(more) if isinstance(more, Mapping) else {}
    statistic = STATISTICS.get(filled["statistic"]) if isinstance(filled["statistic"], str) else None
    if statistic and isinstance(filled["arguments"], Mapping):
        known |= bound(statistic, filled["arguments"])
    filled["statement"] = _filled(entry["statement"], known, name, used)
    unused = [key for key in values if key not in used and key not in FIELDS]
    if unused:
        raise InputError(
            f"{name}: each: {', '.join(map(str, unused))}: used nowhere; expected {{{unused[0]}}} somewhere; remove it"
        )
    return Claim(**filled)


def _filled(value: Any, names: Mapping[str, Any], where: str, used: set[str]) -> Any:
    """Put values in place of ``{name}`` in every text of a nested value; alone in a text, a value keeps its type."""
    if isinstance(value, Mapping):
        return {key: _filled(item, names, where, used) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, names, where, used) for item in value]
    if not isinstance(value, str):
        return value

    def found(match: re.Match[str]) -> Any:
        if match[1] not in names:
            known = ", ".join(map(str, names)) or "none, without each"
            raise InputError(
                f"{where}: {match[0]}: stands for nothing; expected one of {known}; {nearest(match[1], names)}"
            )
        used.add(match[1])
        return names[match[1]]

    alone = PLACEHOLDER.fullmatch(value)
    if alone and alone[2] is None:
        return found(alone)
    return PLACEHOLDER.sub(lambda match: _spelt(found(match), match[2] or ""), value)


def _spelt(value: Any, how: str) -> str:
    """A value in a sentence: numbers as short as they are, in per cent with ``%``, without their sign in ``|…|``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    value = abs(value) if how.startswith("|") else value
    text = f"{100 * value:g} %" if "%" in how else f"{value:g}"
    return text.replace("-", "−").replace("inf", "∞")


def _problems(claim: Claim) -> Iterator[str]:
    """One line for each thing that is wrong with a claim by itself."""
    if not isinstance(claim.id, str) or not re.fullmatch(r"[^\s|]+", claim.id):
        yield f"id = {claim.id!r}: expected text without spaces or |; change it"
    for key in ("statement", "figure", "experiment"):
        value = getattr(claim, key)
        if key == "figure" and value == "" and claim.paper == "own":
            continue
        if not isinstance(value, str) or not value.strip() or "\n" in value:
            yield f"{key} = {value!r}: expected one line of text; write some"
    yield from one_of(*PAPERS)("paper", claim.paper)
    yield from one_of(*DATASETS, None)("dataset", claim.dataset)
    if isinstance(claim.statistic, str) and claim.statistic in STATISTICS:
        yield from check_arguments(STATISTICS[claim.statistic], claim.arguments)
    else:
        yield from one_of(*STATISTICS)("statistic", claim.statistic)
    yield from _expect_problems(claim.expect)
    yield from _effect_problems(claim)


def _expect_problems(expect: Any) -> Iterator[str]:
    if not isinstance(expect, Mapping) or not expect or set(expect) - {"above", "below"}:
        yield f"expect = {expect!r}: expected above and/or below, such as {{below: 0.05}}; change it"
        return
    for side, value in expect.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            yield f"expect.{side} = {value!r}: expected a finite number; change it"
            return
    if expect.get("above", -math.inf) >= expect.get("below", math.inf):
        yield f"expect = {dict(expect)!r}: leaves nothing; expected above < below; swap or change them"


def _effect_problems(claim: Claim) -> Iterator[str]:
    size = claim.smallest_effect
    if size is None:
        return
    if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < math.inf:
        yield f"smallest_effect = {size!r}: expected a finite number > 0; change or drop it"
    elif isinstance(claim.expect, Mapping) and len(claim.expect) > 1:
        yield f"smallest_effect = {size!r}: expected with one bound, found {dict(claim.expect)!r}; drop it"
