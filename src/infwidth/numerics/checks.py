"""Checks of what a caller passes in: one line naming the argument, its value and what was expected."""

from __future__ import annotations

import math
from collections.abc import Collection
from difflib import get_close_matches


class InputError(ValueError):
    """Bad input. The message is one line: what, the value found, what was expected, the remedy."""


def check_number(
    name: str,
    value: float,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    open_minimum: bool = False,
    allow_inf: bool = False,
) -> float:
    """Return ``value`` as a float if it lies in the range.

    Args:
        name: the argument's name, for the message.
        value: the number found.
        minimum: least value allowed.
        maximum: greatest value allowed.
        open_minimum: whether ``minimum`` itself is excluded.
        allow_inf: whether +inf is allowed.

    Raises:
        InputError: not a number, NaN, infinite where that is not allowed, or out of range.
    """
    bounds = f"a number {'>' if open_minimum else '≥'} {minimum:g}" if minimum > -math.inf else "a finite number"
    if maximum < math.inf:
        bounds = f"a number in {'(' if open_minimum else '['}{minimum:g}, {maximum:g}]"
    if allow_inf:
        bounds += " or inf"
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise InputError(f"{name} = {value!r}: expected {bounds}; pass a number")
    number = float(value)
    too_low = number <= minimum if open_minimum else number < minimum
    bad_inf = math.isinf(number) and not (allow_inf and number > 0)
    if math.isnan(number) or bad_inf or too_low or (number > maximum and not allow_inf):
        raise InputError(f"{name} = {value!r}: expected {bounds}; change it to a value in that range")
    return number


def check_count(name: str, value: int, *, minimum: int = 1) -> int:
    """Return ``value`` as an int if it is a whole number ≥ ``minimum``; raises InputError otherwise."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < minimum:
        raise InputError(f"{name} = {value!r}: expected a whole number ≥ {minimum}; change it")
    return int(value)


def check_choice(name: str, value: str, choices: Collection[str]) -> str:
    """Return ``value`` if it is one of ``choices``; raises InputError naming the nearest one otherwise."""
    if value not in choices:
        near = get_close_matches(str(value), list(choices), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of those"
        raise InputError(f"{name} = {value!r}: expected one of {', '.join(map(repr, choices))}; {hint}")
    return value
