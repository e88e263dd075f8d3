"""The configuration's keys as Markdown, straight from the schema: what config/README.md holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infwidth.plan.config import dereference


def key_table(schema: Mapping[str, Any]) -> str:
    """Return a Markdown table of every key: its path, type and range, default, and meaning with its unit."""
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join(
        rows + [f"| `{path}` | {kind} | {default} | {text} |" for path, kind, default, text in _keys(schema)]
    )


def _keys(schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    def walk(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str, str]]:
        required = node.get("required", [])
        children = dict(node.get("properties", {}))
        if isinstance(node.get("additionalProperties"), Mapping):
            children["<name>"] = node["additionalProperties"]
        for name, child in children.items():
            child = dereference(child, schema)
            inner = f"{path}.{name}".lstrip(".")
            default = "required" if name in required else _default(child)
            yield inner, _type(child, schema), default, child.get("description", "")
            yield from walk(child, inner)

    yield from walk(schema, "")


def _default(node: Mapping[str, Any]) -> str:
    if "default" not in node or node.get("type") == "object":
        return "–"
    return "`null`" if node["default"] is None else f"`{str(node['default']).lower()}`"


def _type(node: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if node.get("type") == "array":
        return f"list of {_type(dereference(node['items'], schema), schema)}"
    if "enum" in node:
        return " / ".join(f"`{choice}`" for choice in node["enum"])
    kinds = node.get("type", "")
    name = " or ".join([kinds] if isinstance(kinds, str) else kinds)
    low, high = node.get("minimum"), node.get("maximum")
    if low is not None and high is not None:
        return f"{name} {low} … {high}"
    bounds = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">"}
    return " ".join([name, *(f"{sign} {node[key]}" for key, sign in bounds.items() if key in node)])
