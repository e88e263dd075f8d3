"""The configuration's keys as Markdown, straight from its model: what config/README.md holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infwidth.plan.complaints import child, dereference
from infwidth.plan.model import model


def key_table() -> str:
    """Return a Markdown table of every key: its path, type and range, default, and meaning with its unit."""
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    schema = model().model_json_schema()
    rows += [f"| `{path}` | {kind} | {default} | {text} |" for path, kind, default, text in _keys(schema)]
    return "\n".join(rows)


def _keys(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    def walk(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
        names = [*node.get("properties", {}), *(["<name>"] if node.get("additionalProperties") else [])]
        for name in names:
            found = child(node, name, schema)
            inner = f"{path}.{name}".lstrip(".")
            default = "required" if name in node.get("required", []) else _default(found)
            yield inner, _type(found, schema), default, found.get("description", "").replace("|", "\\|")
            yield from walk(found, inner)
            if found.get("type") == "array":
                yield from walk(dereference(found["items"], schema), f"{inner}[]")

    yield from walk(schema, "")


def _default(node: Mapping[str, Any]) -> str:
    if "default" not in node or (node["type"] == "object" and not node.get("nullable")):
        return "–"
    return "`null`" if node["default"] is None else f"`{str(node['default']).lower()}`"


def _type(node: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if node["type"] == "array":
        return f"list of {_type(dereference(node['items'], schema), schema)}"
    if "enum" in node:
        return " / ".join(f"`{choice}`" for choice in node["enum"])
    name = node["type"] + (" or null" if node.get("nullable") else "")
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f"{name} {low} … {high}"
    bounds = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">"}
    return " ".join([name, *(f"{sign} {node[key]}" for key, sign in bounds.items() if key in node)])
