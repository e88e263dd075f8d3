"""Every claim's interval beside what is expected of it: theory and networks, claim by claim."""

from __future__ import annotations

import itertools
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
from infwidth.analysis.decision import INCONCLUSIVE, NO_EFFECT, NOT_REPRODUCED, REPRODUCED
from infwidth.figures.parts.style import COLUMN, GREY, PAGE, SERIES, entry, legend_below, new_figure, save_figure
from infwidth.io.atomic import read_json

REACH = 4.0
"""Where the axis ends, in units of the bound; an interval that goes on ends in an arrow."""
COLOURS = {REPRODUCED: SERIES[0], NOT_REPRODUCED: SERIES[3], NO_EFFECT: SERIES[1], INCONCLUSIVE: (0.5, 0.5, 0.5)}
"""Of an inconclusive one the marker is hollow as well."""
ROOM = 40
"""Claims that one column holds; more are shared by two of equal length, as many as a page's width holds."""
FONT, LINE = 6, 0.1
"""Points of a claim's name; inches from a claim to the next."""
SIDES = {"theory": ("D", 0.17), "networks": ("o", -0.17)}
"""Side → its marker and its shift from the claim's line."""


def draw(verdicts: Sequence[Verdict]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows: a line a claim, those of one number together, a point a side.

    Numbers are distances inside the bound, in units of the bound, or, where that is 0, of the interval's half: right of
    the line is what is expected.

    Args:
        verdicts: of a run, in any order; those that were not tested are left out.
    """
    shown = pd.DataFrame(
        list(_points(verdicts)), columns=["paper", "claim", "side", "verdict", "value", "lower", "upper"]
    )
    own = set(shown["claim"][shown["paper"] == "own"])
    claims = sorted(shown["claim"].unique(), key=lambda claim: (claim in own, natural_key(claim)))
    columns = np.array_split(np.array(claims, dtype=object), 2 if len(claims) > ROOM else 1)
    longest = max(*(len(column) for column in columns), 8)
    figure, (panels,) = new_figure(1, len(columns))
    figure.set_size_inches(PAGE if len(columns) > 1 else 1.3 * COLUMN, 0.8 + LINE * longest)
    for column, axes in zip(columns, panels, strict=True):
        _draw_column(axes, shown[shown["claim"].isin(column)], column, longest)
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
    axes.set_yticks(list(places.values()), list(places), fontsize=FONT)
    for above, below in itertools.pairwise(claims):
        if _number(above) != _number(below):
            axes.axhline(places[below] + 0.5, color="0.75", linewidth=0.5, zorder=0)
    axes.set(xlim=(-REACH * 1.05, REACH * 1.05), ylim=(-longest + 0.2, 0.8))
    axes.set_xlabel("units of the bound")
    ends = (
        dict.fromkeys(_number(claim) for claim in (claims[0], claims[-1])) if len(claims) else ["no claim was tested"]
    )
    axes.set_title(" – ".join(ends))


def _number(claim: str) -> str:
    return claim.split(".")[0]


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
