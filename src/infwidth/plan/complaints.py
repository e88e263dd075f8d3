"""What is wrong with a configuration, one line an error: key, value found, what was expected, remedy."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

LONGEST = 100
"""Characters of a value or a key that a message shows."""
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = LONGEST
_SHORT.maxlist = _SHORT.maxdict = 8
RENAMED = {"adam_ntk": "studies"}
"""Keys of before → what they are called now."""
_SPOKEN = {
    "int_type": "a whole number",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "string_type": "text",
    "none_required": "nothing (null)",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than_equal": ("≥", "ge"),
    "greater_than": (">", "gt"),
    "less_than_equal": ("≤", "le"),
    "less_than": ("<", "lt"),
}


def lines_of(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """Return one line for each thing that pydantic found, in the order of keys."""
    schema = _schema(model)
    errors = error.errors(include_url=False)
    misnamed = [one["loc"][:-1] for one in errors if one["loc"] and one["loc"][-1] == "[key]"]  # what they hold is moot
    errors = [one for one in errors if not any(one["loc"][: len(key)] == key != one["loc"][:-1] for key in misnamed)]
    found = [(spell(one["loc"]), one) for one in errors]
    lines = [_line(path, one, _node(schema, one["loc"])) for path, one in sorted(found, key=lambda pair: pair[0])]
    return list(dict.fromkeys(lines))


@cache
def _schema(model: type[BaseModel]) -> Mapping[str, Any]:
    return model.model_json_schema()


def spell(path: Iterable[str | int]) -> str:
    """A key's path as messages have it: ``experiments.lin.width[0]``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{_plain(part)}" for part in path if part != "[key]"]
    return "".join(parts).lstrip(".")


def show(value: Any) -> str:
    """A value as messages have it, shortened."""
    text = _SHORT.repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def nearest(name: str, known: Sequence[str], otherwise: str) -> str:
    """The remedy for an unknown name: the nearest known one, if any is near."""
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def _line(path: str, error: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    kind, last = error["type"], str(error["loc"][-1]) if error["loc"] else ""
    if kind == "extra_forbidden" or (kind == "literal_error" and last == "[key]"):
        known = list(node.get("properties") or node.get("propertyNames", {}).get("enum", ()))
        name = str(error["loc"][-2] if last == "[key]" else last)
        now = RENAMED.get(name)
        remedy = f"it is {now!r} now: rename it" if now in known else nearest(name, known, "remove it")
        return f"{path}: unknown key; expected one of {', '.join(known)}; {remedy}"
    if kind == "missing":
        text = node.get("description", "")
        return f"{path}: missing; expected a value{f' ({text})' if text else ''}; add it"
    if kind == "invalid_key" or last == "[key]":
        words = error.get("ctx", {}).get("words", "text")
        place = spell(error["loc"][: -2 if last == "[key]" else -1]) or "configuration"
        return f"{place}: the key {show(error['input'])}: expected {words}; rename it"
    return f"{path or 'configuration'} = {show(error['input'])}: expected {_expectation(error, node)}; change it"


def _expectation(error: Mapping[str, Any], node: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "expected":
        return context["words"] if "words" in context else error["msg"]
    if kind in _BOUNDS:
        if "minimum" in node and "maximum" in node:
            return f"{node['minimum']} … {node['maximum']}"
        sign, name = _BOUNDS[kind]
        return f"a number {sign} {context[name]:g}"
    if kind == "literal_error":
        known = [str(choice) for choice in node.get("enum", [node.get("const")])]
        near = get_close_matches(str(error["input"]), known, n=1)
        return f"one of {', '.join(known)}" + (f" (did you mean {near[0]!r}?)" if near else "")
    if kind in ("too_short", "too_long"):
        count, side = (context["min_length"], "least") if kind == "too_short" else (context["max_length"], "most")
        return f"at {side} {count} entr{'y' if count == 1 else 'ies'}"
    return _SPOKEN.get(kind, error["msg"])


def _node(schema: Mapping[str, Any], path: Sequence[str | int]) -> Mapping[str, Any]:
    """The part of the schema where an error is; for a key that is wrong, what should hold it."""
    node: Mapping[str, Any] = schema
    for part in path[:-2] if path and path[-1] == "[key]" else path:
        inner = child(node, part, schema)
        if inner is None:
            break
        node = inner
    return node


def child(node: Mapping[str, Any], part: str | int, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What a part of the schema says of one of its keys or entries, if anything."""
    if isinstance(part, int):
        inner = node.get("items")
    else:
        inner = node.get("properties", {}).get(part, node.get("additionalProperties") or None)
    return dereference(inner, root) if isinstance(inner, Mapping) else None


def dereference(node: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part of the schema with its ``$ref`` put in and without the alternative null; its own keys win."""
    if "anyOf" in node:
        (inner,) = (one for one in node["anyOf"] if one.get("type") != "null")
        own = {key: value for key, value in node.items() if key != "anyOf"}
        return {**dereference(inner, root), **own, "nullable": True}
    if "$ref" not in node:
        return node
    target: Any = root
    for part in node["$ref"].removeprefix("#/").split("/"):
        target = target[part]
    return {**target, **{key: value for key, value in node.items() if key != "$ref"}}


def _plain(part: str | int) -> str:
    """A key that would break the line is shown as Python spells it."""
    text = str(part)
    return text if text and text.isprintable() and len(text) <= LONGEST else show(text)
