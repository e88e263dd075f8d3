"""From values to a page: one environment of templates, in which every value is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infwidth.analysis.decision import INCONCLUSIVE, NO_EFFECT, NOT_REPRODUCED, NOT_TESTED, REPRODUCED, THEORY_SAYS
from infwidth.io.atomic import atomic_file

TEMPLATES = Path(__file__).with_name("templates")
SIGNS = {REPRODUCED: "✓", NOT_REPRODUCED: "✗", NO_EFFECT: "∅", INCONCLUSIVE: "?", NOT_TESTED: "–"}
SIGNS |= {said: f"({SIGNS[verdict]})" for verdict, said in THEORY_SAYS.items()}
"""Verdict → its sign, which says the same without colour."""


def write_page(path: Path, template: str, **values: Any) -> None:
    """Write a page whole or not at all.

    Args:
        path: the file.
        template: name of a file in :data:`TEMPLATES`.
        values: what the template names.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"number": _number, "slug": lambda verdict: verdict.replace(" ", "-")}
    page = environment.get_template(template).render(signs=SIGNS, **values)
    with atomic_file(path, text=True) as handle:
        handle.write(page)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}".replace("-", "−")
