"""The words in which registries say what can be set: types with their bounds and meaning.

A class of settings has one annotated name for each, as the arguments of what they are for have it:

    samples: Annotated[int, Ge(2), Meaning("Training images.")] = 300

``float`` stands for any number. infwidth.plan.model makes the configuration's model of such classes, and so its checks,
its defaults and its documentation; importing this costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Gt, Le, MaxLen, MinLen  # noqa: F401

T = TypeVar("T")


@dataclass(frozen=True)
class Meaning:
    """What a setting is, in one sentence, with its symbol and unit."""

    text: str


@dataclass(frozen=True)
class Different:
    """The entries of a list differ."""


@dataclass(frozen=True)
class Infinite:
    """A number may be infinite; ``whole``: and is whole otherwise."""

    whole: bool = False


@dataclass(frozen=True)
class Pattern:
    """Text as a regular expression has it, and the same in words."""

    regex: str
    words: str


@dataclass(frozen=True)
class File:
    """Text that is a path; ~ is the home folder."""


class OneOf:
    """Settings of which just one is given: the base of classes that list kinds of something."""


Axis = Annotated[list[T], MinLen(1), Different()]
"""One value or more, each a point of the study."""
Count = Annotated[int, Ge(1)]
Several = Annotated[int, Ge(2)]
Positive = Annotated[float, Gt(0)]


def one_of(name: str, kinds: dict[str, type], text: str) -> Any:
    """Return the class of settings that says which of some kinds, and the kind's own settings."""
    annotations = {kind: Annotated[settings, Meaning(settings.__doc__ or "")] for kind, settings in kinds.items()}
    return type(name, (OneOf,), {"__annotations__": annotations, "__doc__": text, "__module__": __name__})
