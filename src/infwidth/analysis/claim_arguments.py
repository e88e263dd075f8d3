"""What the arguments of a claim's statistic may be: types that carry their check, so that it runs before any job."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from types import SimpleNamespace
from typing import Annotated, Any, get_type_hints

from infwidth.analysis.coupling_choice import CRITERIA
from infwidth.io.tables import COLUMNS, KEYS, VOCABULARY

Check = Callable[[str, Any], Iterator[str]]
"""(what messages call it, value) → one line for each thing wrong."""
CHOOSABLE = tuple(key for key in KEYS if key not in ("experiment", "seed"))
"""Columns by which a claim may choose rows; its experiment is its own, and all data sets count."""
AXES = tuple(key for key in CHOOSABLE if COLUMNS[key] is float)


def one_of(*choices: str | None) -> Check:
    """A check that the value is one of several words, or None where that is among them."""

    def check(name: str, value: Any) -> Iterator[str]:
        if value in choices:
            return
        words = [choice for choice in choices if choice is not None]
        yield f"{name} = {value!r}: expected one of {', '.join(words)}; {nearest(value, words)}"

    return check


def _metrics(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, list) and value:
        for item in value:
            yield from _metric(name, item)
    else:
        yield from _metric(name, value)


def _rows(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{name} = {value!r}: expected columns and the values to choose, such as {{kind: network}}; write them so"
        return
    for column, wanted in value.items():
        if column not in CHOOSABLE:
            known = ", ".join(CHOOSABLE)
            yield f"{name}.{column}: no such column; expected one of {known}; {nearest(column, CHOOSABLE)}"
            continue
        options = wanted if isinstance(wanted, list) else [wanted]
        if not options:
            yield f"{name}.{column} = []: expected at least one value; add some or remove the column"
        for option in options:
            yield from _entry(f"{name}.{column}", column, option)


def _entry(name: str, column: str, value: Any) -> Iterator[str]:
    """What is wrong with an entry of a column, of which None is the empty one."""
    if value is None:
        return
    if column in VOCABULARY:
        yield from one_of(*VOCABULARY[column])(name, value)
    elif COLUMNS[column] is str:
        if not isinstance(value, str):
            yield f"{name} = {value!r}: expected text; write it as such"
    elif isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        yield f"{name} = {value!r}: expected a number, .inf or null; change it"


def _pair(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, list) or len(value) != 2:
        yield f"{name} = {value!r}: expected two choices of rows, [at, versus]; write both"
        return
    for i, rows in enumerate(value):
        yield from _rows(f"{name}[{i}]", rows)


def _flag(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{name} = {value!r}: expected true or false; change it"


_metric = one_of(*VOCABULARY["metric"])
Metric = Annotated[str, _metric]
OtherMetric = Annotated[str | None, one_of(*VOCABULARY["metric"], None)]
Metrics = Annotated[str | list[str], _metrics]
Axis = Annotated[str, one_of(*AXES)]
Rows = Annotated[Mapping[str, Any], _rows]
Pair = Annotated[list[Mapping[str, Any]], _pair]
Flag = Annotated[bool, _flag]
Scale = Annotated[str, one_of("point", "start")]
Criterion = Annotated[str, one_of(*CRITERIA)]
OtherCriterion = Annotated[str | None, one_of(*CRITERIA, None)]


def check_arguments(statistic: Callable[..., Any], arguments: Any) -> Iterator[str]:
    """Hold a claim's arguments against its statistic's signature, the table aside.

    Yields:
        One line for each that is unknown, missing, or not what its type says.
    """
    if not isinstance(arguments, Mapping):
        yield f"arguments = {arguments!r}: expected names and values; write them so"
        return
    parameters = dict(list(inspect.signature(statistic).parameters.items())[1:])
    own = SimpleNamespace(__annotations__={name: one.annotation for name, one in parameters.items()})  # not the table's
    hints = get_type_hints(own, inspect.unwrap(statistic).__globals__, include_extras=True)
    for name in [name for name in arguments if name not in parameters]:
        known = ", ".join(parameters)
        yield f"arguments.{name}: unknown to {statistic.__name__}; expected {known}; {nearest(name, parameters)}"
    for name, parameter in parameters.items():
        if name in arguments:
            for check in hints[name].__metadata__:
                yield from check(f"arguments.{name}", arguments[name])
        elif parameter.default is parameter.empty:
            yield f"arguments.{name}: missing; {statistic.__name__} needs it; add it"
    yield from _fixed_axis(arguments, {name for name in parameters if hints[name] == Rows})


def _fixed_axis(arguments: Mapping[str, Any], choices: set[str]) -> Iterator[str]:
    """A statistic along an axis has nothing to follow where the rows have one value of it."""
    along = arguments.get("along")
    if not isinstance(along, str):
        return
    for name in sorted(choices & set(arguments)):
        rows = arguments[name]
        if isinstance(rows, Mapping) and along in rows and not (isinstance(rows[along], list) and len(rows[along]) > 1):
            yield f"arguments.{name}.{along} = {rows[along]!r}: expected several values along {along}; remove it"


def bound(statistic: Callable[..., Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments by name, defaults filled in."""
    parameters = list(inspect.signature(statistic).parameters.values())[1:]
    return {one.name: one.default for one in parameters if one.default is not one.empty} | dict(arguments)


def nearest(found: Any, known: Any) -> str:
    """The remedy for an unknown word: the one that was probably meant, if any."""
    near = get_close_matches(str(found), list(map(str, known)), n=1)
    return f"did you mean {near[0]!r}?" if near else "choose one of those"
