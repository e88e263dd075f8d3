"""Every claim's interval beside what is expected of it: theory and networks, claim by claim."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infwidth.analysis.claim_table import natural_key
from infwidth.analysis.claims import Verdict
from infwidth.analysis.decision import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED
from infwidth.figures.parts.style import GREY, SERIES, entry, legend_below, new_figure, save_figure
from infwidth.io.atomic import read_json

REACH = 4.0
"""Where the axis ends, in units of the bound; an interval that goes on ends in an arrow."""
COLOURS = {REPRODUCED: SERIES[0], NOT_REPRODUCED: SERIES[3], INCONCLUSIVE: (0.5, 0.5, 0.5)}
"""Of an inconclusive one the marker is hollow as well."""
LONGEST = 56
"""Claims in a column, more only where the page would not hold the columns."""
COLUMNS = 3
"""Columns that a page's width holds; a paper has one at least."""
SIDES = {"theory": ("D", 0.17), "networks": ("o", -0.17)}
"""Side → its marker and its shift from the claim's line."""


def draw(verdicts: Sequence[Verdict]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows: columns for each paper, a line a claim, a point a side.

    Numbers are distances inside the bound, in units of the bound, or, where that is 0, of the interval's half: right of
    the line is what is expected.

    Args:
        verdicts: of a run, in any order; those that were not tested are left out.
    """
    columns = ["paper", "claim", "side", "verdict", "value", "lower", "upper"]
    shown = pd.DataFrame(list(_points(verdicts)), columns=columns)
    parts = list(_columns(shown)) or [("no claim was tested", [])]
    longest = max(len(claims) for _, claims in parts)
    figure, (panels,) = new_figure(1, len(parts))
    figure.set_size_inches(max(figure.get_size_inches()[0], 2.3 * len(parts)), 0.5 + 0.125 * max(longest, 8))
    for (title, claims), axes in zip(parts, panels, strict=True):
        _draw_column(axes, shown[shown["claim"].isin(claims)], claims, longest)
        axes.set_title(title)
    entries = [
        entry(colour, verdict, linewidth=2, marker="s", markerfacecolor="white" if verdict == INCONCLUSIVE else colour)
        for verdict, colour in COLOURS.items()
    ]
    entries += [entry(GREY, side, marker=marker, linestyle="") for side, (marker, _) in SIDES.items()]
    entries.append(entry(GREY, "right of the line: inside the bound", linestyle="", marker=""))
    legend_below(figure, entries)
    return figure, shown


def draw_claims(claims: Path, paths: Mapping[str, Path]) -> None:
    """Draw the verdicts of a claims.json and write ``pdf``, ``png`` and ``csv``."""
    save_figure(*draw([Verdict(**entry) for entry in read_json(claims)]), paths)


def _columns(shown: pd.DataFrame) -> Iterator[tuple[str, list[str]]]:
    """The title and the claims of each column: a paper's, in parts of equal length where they are many."""
    papers = {paper: sorted(rows["claim"].unique(), key=natural_key) for paper, rows in shown.groupby("paper")}
    longest, room = LONGEST, max(COLUMNS, len(papers))
    while sum(-(-len(claims) // longest) for claims in papers.values()) > room:
        longest += 1
    for paper, claims in papers.items():
        name = "own claims" if paper == "own" else f"paper {paper}"
        parts = np.array_split(np.array(claims, dtype=object), -(-len(claims) // longest))
        for i, part in enumerate(parts):
            yield name if len(parts) == 1 else f"{name} ({i + 1})", list(part)


def _draw_column(axes: Axes, shown: pd.DataFrame, claims: Sequence[str], longest: int) -> None:
    places = {claim: -line for line, claim in enumerate(claims)}
    for point in shown.itertuples():
        marker, shift = SIDES[point.side]
        y, colour = places[point.claim] + shift, COLOURS[point.verdict]
        low, value, high = (float(np.clip(x, -REACH, REACH)) for x in (point.lower, point.value, point.upper))
        face = "white" if point.verdict == INCONCLUSIVE else colour
        axes.plot([low, high], [y, y], color=colour, linewidth=1)
        axes.plot([value], [y], color=colour, marker=marker, markersize=2.6, markerfacecolor=face)
        for end, arrow in ((point.lower, "<"), (point.upper, ">")):
            if abs(end) > REACH:
                axes.plot([np.sign(end) * REACH], [y], color=colour, marker=arrow, markersize=2.6)
    axes.axvspan(0, REACH * 1.05, color="0.95", zorder=0)
    axes.axvline(0, color="0.3", linewidth=1)
    axes.set_yticks(list(places.values()), list(places), fontsize=5)
    axes.set(xlim=(-REACH * 1.05, REACH * 1.05), ylim=(-longest + 0.2, 0.8))
    axes.set_xlabel("units of the bound", fontsize=6.5)


def _points(verdicts: Sequence[Verdict]) -> Iterator[tuple[Any, ...]]:
    for verdict in verdicts:
        found = {side: getattr(verdict, side) for side in SIDES}
        for side, finding in found.items():
            if finding is not None and finding["lower"] is not None and finding["verdict"] in COLOURS:
                numbers = _in_units(finding, verdict.expected)
                yield verdict.paper, verdict.id, side, finding["verdict"], *numbers


def _in_units(finding: Mapping[str, Any], expected: str) -> tuple[float, float, float]:
    """Value and both ends of the interval as distances inside what is expected, in units of the nearest bound."""
    bounds = {side: float(bound) for side, bound in re.findall(r"(above|below) (\S+)", expected)}
    ends = np.array([finding["value"], finding["lower"], finding["upper"]])
    inside = [sign * (ends - bounds[side]) for side, sign in (("above", 1), ("below", -1)) if side in bounds]
    distance = np.min(inside, axis=0)
    units = [abs(bound) for bound in bounds.values()]
    if len(bounds) == 2:
        units = [(bounds["below"] - bounds["above"]) / 2]
    half = (finding["upper"] - finding["lower"]) / 2
    unit = min(units) or half or 1.0
    value, one, other = distance / unit
    return value, min(value, one, other), max(value, one, other)
