"""Classes of settings as pydantic models that read kindly: one value for a list of one, text that spells a number.

Snakemake hands every nested ``--config`` value over as text, and people write 4.0 where a whole number is meant.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WrapValidator,
    create_model,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from infwidth.numerics.settings import Different, File, Infinite, Meaning, OneOf, Pattern

DIGITS = 12
"""Numbers of a list have to differ in their first digits, to which rows of tables are told apart."""


def model_of(settings: type) -> type[BaseModel]:
    """Return the pydantic model of a class of settings (see :mod:`infwidth.numerics.settings`)."""
    fields = {}
    for name, annotation in get_type_hints(settings, include_extras=True).items():
        default: Any = ...
        if issubclass(settings, OneOf):
            default = None  # never shown: only what is given is kept
        elif hasattr(settings, name):
            default = getattr(settings, name)
            default = Field(default=list(default) if isinstance(default, tuple) else default, validate_default=True)
        fields[name] = (_typed(annotation), default)
    base = _Kinds if issubclass(settings, OneOf) else _Settings
    return create_model(settings.__name__, __base__=base, __doc__=settings.__doc__, **fields)


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class _Kinds(_Settings):
    """Exactly one of the fields is given, and only it is kept."""

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) != 1 and set(value) <= set(cls.model_fields):
            found = f"{' and '.join(value)} together" if value else "none"
            raise _expected(f"exactly one of {', '.join(cls.model_fields)}, not {found}")
        return value

    @model_serializer(mode="wrap")
    def _given(self, serialize: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if name in self.model_fields_set}


def _marks(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _typed(annotation: Any) -> Any:
    """The annotation as pydantic has it: with what reads and checks values as we mean them."""
    marks = _marks(annotation)
    base = get_args(annotation)[0] if marks else annotation
    origin, inner = get_origin(base), get_args(base)
    bounds = [_CHECKS[type(mark)](mark) if type(mark) in _CHECKS else mark for mark in marks]
    if base is float:
        infinite = next((mark for mark in marks if isinstance(mark, Infinite)), None)
        finite = [] if infinite else [Field(allow_inf_nan=False)]
        return Annotated[(float, *bounds, *finite, WrapValidator(_number(whole=bool(infinite and infinite.whole))))]
    if base is int:
        return Annotated[(int, *bounds, BeforeValidator(_whole))]
    if base is bool:
        return Annotated[(bool, *bounds, BeforeValidator(_truth))]
    if origin is list:
        return Annotated[(list[_typed(inner[0])], *bounds, BeforeValidator(_listed))]
    if origin is dict:
        found: Any = dict[_typed(inner[0]), _typed(inner[1])]  # type: ignore[misc]
    elif origin in (Union, UnionType):
        (some,) = (one for one in inner if one is not type(None))
        text = get_args(some)[0] is str if get_origin(some) is Annotated else some is str
        found = Annotated[_typed(some) | None, BeforeValidator(_kept if text else _nothing)]
    else:
        found = model_of(base) if isinstance(base, type) and base is not str else base
    return Annotated[(found, *bounds)] if bounds else found


def _expected(words: str) -> PydanticCustomError:
    return PydanticCustomError("expected", "{words}", {"words": words})


def _number(*, whole: bool) -> Callable[[Any, Callable[[float], float]], int | float]:
    """Check a number and keep it as it was written, 1 or 1.0: parameters of jobs are compared as text."""

    def read(value: Any, check: Callable[[float], float]) -> int | float:
        value = _spelt(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _expected("a number")
        try:
            check(float(value))
        except OverflowError:
            raise _expected("a finite number") from None
        if whole and isinstance(value, float) and math.isfinite(value):
            if not value.is_integer():
                raise _expected("a whole number, or .inf")
            return int(value)
        return value

    return read


def _spelt(value: Any) -> Any:
    """Text that spells a number, as that number."""
    if not isinstance(value, str) or len(value) > 400:
        return value
    for read in (int, lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))):
        try:
            return read(value)
        except ValueError:
            continue
    return value


def _whole(value: Any) -> Any:
    value = _spelt(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _expected("a whole number")
    if abs(value) >= 10**18:
        raise _expected("a whole number below 10^18")
    return value


def _truth(value: Any) -> Any:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise _expected("true or false")
    return value


def _listed(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value if isinstance(value, list | dict) or value is None else [value]


def _nothing(value: Any) -> Any:
    return None if isinstance(value, str) and value.lower() in ("null", "none", "~", "") else value


def _kept(value: Any) -> Any:
    return value


def _different(values: list[Any]) -> list[Any]:
    spelt = [f"{value:.{DIGITS}g}" if isinstance(value, int | float) else value for value in values]
    twice = next((value for i, value in enumerate(spelt) if value in spelt[:i]), None)
    if twice is not None:
        raise _expected(f"different entries ({twice} stands twice, to {DIGITS} digits)")
    return values


def _matching(pattern: Pattern) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not re.fullmatch(pattern.regex, text):
            raise _expected(pattern.words)
        return text

    return check


def _at_home(text: str) -> str:
    if not text or "\0" in text:
        raise _expected("a path, or null")
    return os.path.expanduser(text)


_CHECKS: dict[type, Callable[[Any], Any]] = {
    Meaning: lambda mark: Field(description=mark.text),
    Infinite: lambda _: None,  # _typed asks for it
    Different: lambda _: AfterValidator(_different),
    File: lambda _: AfterValidator(_at_home),
    Pattern: lambda mark: AfterValidator(_matching(mark)),
}
