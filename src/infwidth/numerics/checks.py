"""Checks of what a caller passes in: one line naming the argument, its value and what was expected."""

from __future__ import annotations

import math
from collections.abc import Collection
from difflib import get_close_matches

LONGEST = 80
"""Characters of a value found that a message shows."""


class InputError(ValueError):
    """Bad input. The message is one line: what, the value found, what was expected, the remedy."""


def scalar(value: object) -> object:
    """A 0-dimensional array or tensor as the Python number it holds; anything else as it is."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def spell(value: object) -> str:
    """``repr(value)`` on one line, cut where it is long: an array passed for a number must not fill the screen."""
    text = " ".join(repr(scalar(value)).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


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
    item = scalar(value)
    array = getattr(item, "ndim", 0) != 0
    if array or isinstance(item, bool | str | bytes) or not hasattr(item, "__float__"):
        raise InputError(f"{name} = {spell(value)}: expected {bounds}; pass a number")
    try:
        number = float(item)
    except OverflowError:  # an integer beyond 1e308
        number = math.nan
    too_low = number <= minimum if open_minimum else number < minimum
    bad_inf = math.isinf(number) and not (allow_inf and number > 0)
    if math.isnan(number) or bad_inf or too_low or (number > maximum and not (allow_inf and math.isinf(number))):
        raise InputError(f"{name} = {spell(value)}: expected {bounds}; change it to a value in that range")
    return number


def check_count(name: str, value: int, *, minimum: int = 1) -> int:
    """Return ``value`` as an int if it is a whole number ≥ ``minimum``; raises InputError otherwise."""
    item = scalar(value)
    whole = not isinstance(item, bool) and getattr(item, "ndim", 0) == 0 and hasattr(item, "__index__")
    if not whole or int(item) < minimum:
        raise InputError(f"{name} = {spell(value)}: expected a whole number ≥ {minimum}; change it")
    return int(item)


def check_choice(name: str, value: str, choices: Collection[str]) -> str:
    """Return ``value`` if it is one of ``choices``; raises InputError naming the nearest one otherwise."""
    if not isinstance(value, str) or value not in choices:
        near = get_close_matches(str(value), list(choices), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "choose one of those"
        raise InputError(f"{name} = {spell(value)}: expected one of {', '.join(map(repr, choices))}; {hint}")
    return value
