"""The look that all figures share, and how they are saved."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from infwidth.io.atomic import atomic_file

PAGE, COLUMN = 6.9, 3.3
"""Widths of a page and of a column of text, inches: figures are drawn at the size they are printed at."""
SCRATCH_COLOUR = (0.45, 0.45, 0.45)
ORIGIN_COLOUR = (0.80, 0.27, 0.07)
"""Of what the target began from: the source, or the target before its training."""
REFERENCE_COLOUR = (0.6, 0.6, 0.6)
SERIES = tuple(sns.color_palette("colorblind"))
"""For what has no order; tells apart to all eyes together with :data:`MARKERS`."""
MARKERS = "os^Dv<>hp"
# a condition looks the same in every figure: by its line, and by the marker of its networks where it is a control
CONDITION_LOOK = {
    "transfer": {"linestyle": "-", "marker": None},
    "scratch": {"linestyle": ":", "marker": "P"},
    "random_anchor": {"linestyle": "--", "marker": "X"},
}
STRENGTHS = ("#000000", "#004488", "#BB5566", "#DDAA33", "#66CCEE")
"""Of γ = .03, .1, .3, 1, 3 and over again: colours that stay apart in grey."""


class Shade(tuple):
    """A colour (red, green, blue) with the marker that tells it from others where colours don't."""

    marker: str

    def __new__(cls, colour: Sequence[float], marker: str = "o") -> Shade:
        """Make one of a colour and a marker."""
        made = super().__new__(cls, colour)
        made.marker = marker
        return made


def new_figure(rows: int = 1, columns: int = 1) -> tuple[Figure, np.ndarray]:
    """A grid of panels in the common style, at most a page wide: the figure and its axes (rows, columns)."""
    sns.set_theme(context="paper", style="ticks", palette="colorblind", font_scale=0.8)
    plt.rcParams |= {"axes.linewidth": 0.8, "lines.markersize": 4, "hatch.linewidth": 0.5, "axes.titlepad": 4}
    width, height = (COLUMN, 2.2) if columns == 1 else (PAGE, {2: 2.2, 3: 1.9}.get(columns, 1.8))
    height = min(height, 8.0 / rows)  # all of it on a page
    return plt.subplots(rows, columns, figsize=(width, height * rows + 0.1), layout="constrained", squeeze=False)


def draw_curve(
    axes: Axes,
    x: Sequence[float],
    points: pd.DataFrame,
    *,
    colour: tuple,
    condition: str = "transfer",
    joined: bool = True,
    bands: bool = True,
) -> None:
    """Draw one curve of averaged points at ``x``: theory as a line with a band, networks as markers with bars.

    Unconverged points are hollow. Where there is no theory a thin line joins the networks, if ``joined``. Without
    ``bands`` theory has its error only where there are no networks, whose bars say the same of the same data sets.
    """
    look = CONDITION_LOOK[condition]
    marker = look["marker"] or getattr(colour, "marker", "o")
    x = np.asarray(x, dtype=float)
    bands = bands or "network" not in set(points["kind"])
    for kind, rows in points.assign(x=x).sort_values("x").groupby("kind"):
        error = rows["stderr"].fillna(0.0)
        if kind == "theory":
            axes.plot(rows["x"], rows["mean"], color=colour, linestyle=look["linestyle"], linewidth=1.2)
            if bands:
                reach = rows["mean"] - error, rows["mean"] + error
                axes.fill_between(rows["x"], *reach, color=colour, alpha=0.09, linewidth=0)
        else:
            axes.errorbar(rows["x"], rows["mean"], error, color=colour, fmt="none", capsize=2, elinewidth=0.9)
        shown = rows if kind == "network" else rows[~rows["converged"]]
        faces = [colour if converged else "white" for converged in shown["converged"]]
        axes.scatter(
            shown["x"],
            shown["mean"],
            s=24 if marker in "XP*" else 15,
            marker=marker,
            facecolors=faces,
            edgecolors=[colour],
            linewidths=0.9,
            zorder=3,
        )
        if joined and kind == "network" and "theory" not in set(points["kind"]):
            axes.plot(rows["x"], rows["mean"], color=colour, linestyle=look["linestyle"], linewidth=0.8, alpha=0.6)


def name_looks(figure: Figure, points: pd.DataFrame, colour_names: Mapping[tuple, str], *, bands: bool = True) -> None:
    """Legend below the panels: one entry a colour, one a condition, and what lines and markers stand for.

    Args:
        figure: the figure.
        points: what it shows.
        colour_names: colour → what it stands for.
        bands: as the curves were drawn.
    """
    kinds, conditions = set(points["kind"]), set(points["condition"])
    entries = [entry(colour, name) for colour, name in colour_names.items()]
    if "theory" in kinds:
        own = bands or "network" not in kinds
        entries.append(entry(GREY, "theory" + " ± standard error" * own, marker=""))
    if "network" in kinds:
        widths = points.loc[points["kind"] == "network", "width"].unique()
        label = ", ".join("N → ∞" if width == np.inf else f"N = {width:g}" for width in sorted(widths))
        entries.append(entry(GREY, f"networks, {label}, ± standard error", linestyle=""))
    for condition, look in CONDITION_LOOK.items():
        if condition in conditions and condition != "transfer":
            entries.append(entry(GREY, CONDITION_NAMES[condition], **look))
    if "converged" in points and not points["converged"].all():
        entries.append(entry(GREY, "hollow: not converged", linestyle="", markerfacecolor="white"))
    legend_below(figure, entries)


GREY = (0.3, 0.3, 0.3)
LEGEND_SIZE = 7
CONDITION_NAMES = {"scratch": "from scratch", "random_anchor": "tied to random weights"}


def entry(colour: tuple, label: str, **look: Any) -> Line2D:
    """An entry of a legend: a line of a colour with its marker, unless ``look`` says otherwise."""
    marker = getattr(colour, "marker", "o")
    return Line2D([], [], **{"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.2} | look, label=label)


def legend_below(figure: Figure, entries: Sequence[Artist], **options: Any) -> None:
    """Legend below all panels, in as many columns as its words leave room for; the figure grows by its height."""
    size, renderer = FontProperties(size=LEGEND_SIZE), figure.canvas.get_renderer()
    lines = [artist.get_label().split("\n") for artist in entries]
    measured = [max(renderer.get_text_width_height_descent(line, size, False)[0] for line in each) for each in lines]
    wide = [pixels / figure.dpi + 0.42 for pixels in measured]  # the handle and the space beside it

    def needed(columns: int) -> float:
        return sum(max(part) for part in np.array_split(wide, columns))  # as matplotlib fills them

    width, height = figure.get_size_inches()
    columns = next((n for n in range(len(wide), 1, -1) if needed(n) < width - 0.1), 1)
    figure.set_size_inches(width, height + 0.16 * -(-len(wide) // columns) + 0.1)
    look = {"frameon": False, "fontsize": LEGEND_SIZE, "columnspacing": 1.2, "handlelength": 2.2}
    figure.legend(handles=list(entries), loc="outside lower center", ncols=columns, **look | options)


def coupling_name(coupling: float) -> str:
    """A value of δ as it is written in figures."""
    return "∞" if coupling == np.inf else f"{coupling:g}"


def coupling_axis(axes: Axes, couplings: Sequence[float], *, scratch: bool = False) -> dict[float, float]:
    """Make x an axis of δ on which 0 and ∞ have a place of their own, and with ``scratch`` training without a source.

    Returns:
        δ → position: log10 δ for finite positive values, one step beside them for 0 and inf.
    """
    values = sorted({float(value) for value in couplings})
    finite = [value for value in values if 0 < value < np.inf]
    positions = {value: float(np.log10(value)) for value in finite}
    lowest, highest = (min(positions.values()), max(positions.values())) if finite else (0.0, 0.0)
    if 0.0 in values:
        positions[0.0] = lowest - 1.0
    if np.inf in values:
        positions[np.inf] = highest + 1.0
    labels = {positions[value]: coupling_name(value) for value in values}
    _set_ticks(axes, {_beside(positions): "scratch"} | labels if scratch else labels)
    axes.set_xlabel("elastic coupling δ")
    return positions


def _beside(positions: Mapping[float, float]) -> float:
    """The place of training from scratch, which has no δ."""
    return min(positions.values()) - 1.2


def time_axis(axes: Axes, times: Sequence[float]) -> dict[float, float]:
    """Make x a logarithmic axis of time on which 0 has a place of its own; returns time → position."""
    values = sorted({float(value) for value in times})
    positive = [value for value in values if value > 0]
    positions = {value: float(np.log10(value)) for value in positive}
    if 0.0 in values:
        positions[0.0] = min(positions.values(), default=0.0) - 0.5
    _set_ticks(axes, {positions[value]: f"{value:g}" for value in values})
    axes.set_xlabel("target time t")
    return positions


def colours(values: Sequence[float], of: str = "") -> dict[float, Shade]:
    """One colour a value, the same for theory and networks, from dark to light or the other way; and a marker each.

    Args:
        values: what is told apart.
        of: the column they are of: ``elastic_coupling``, ``overlap`` or ``target_strength``, whose values look the same
            in every figure; else they share what colours there are.
    """
    ordered = sorted(values)
    even = sns.color_palette("viridis", len(ordered) + 1)
    pick = _COLOUR_OF.get(of, lambda value: even[ordered.index(value)])
    return {value: Shade(pick(value), MARKERS[i % len(MARKERS)]) for i, value in enumerate(ordered)}


def _of_coupling(coupling: float) -> Sequence[float]:
    """δ = 0 darkest, ∞ lightest, a decade a step between."""
    if coupling == 0 or coupling == np.inf:
        place = 0.0 if coupling == 0 else 0.88
    else:
        place = float(np.clip(0.34 + 0.14 * np.log10(coupling), 0.14, 0.74))
    return plt.get_cmap("viridis")(place)[:3]


def _of_strength(strength: float) -> Sequence[float]:
    return to_rgb(STRENGTHS[(round(2 * np.log10(strength)) + 3) % len(STRENGTHS)])


_COLOUR_OF = {
    "elastic_coupling": _of_coupling,
    "overlap": lambda overlap: plt.get_cmap("flare")(abs(overlap))[:3],
    "target_strength": _of_strength,
}


def log_ticks(axes: Axes, values: Sequence[float]) -> dict[float, float]:
    """Make x a logarithmic axis with a tick at each of its positive values; returns value → position."""
    positions = {float(value): float(np.log10(value)) for value in sorted(set(values))}
    _set_ticks(axes, {place: f"{value:g}" for value, place in positions.items()})
    return positions


def _set_ticks(axes: Axes, labels: Mapping[float, str]) -> None:
    """Put labels at places of x, but for those that would run into the one before."""
    place = axes.get_subplotspec()
    columns = place.get_gridspec().ncols if place else 1
    room = axes.figure.get_size_inches()[0] / columns - 0.75
    ends = min(labels, default=0.0), max(labels, default=1.0)
    inch = room / ((ends[1] - ends[0]) or 1.0)
    shown, reach = {}, -math.inf
    for at in sorted(labels):
        half = 0.03 * len(labels[at]) + 0.02
        free = (at - ends[0]) * inch - half >= reach
        shown[at] = labels[at] if free else ""
        reach = (at - ends[0]) * inch + half if free else reach
    axes.set_xticks(list(shown), list(shown.values()))


def plain_numbers(axis: Axis, a_decade: Sequence[float]) -> None:
    """Give a logarithmic axis plain numbers at its ticks, those times a power of ten, and at no others."""
    axis.set_major_locator(LogLocator(subs=a_decade))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def side_by_side(values: Sequence[float], step: float = 0.07) -> dict[float, float]:
    """Small shifts in x that keep the error bars of several curves apart."""
    return {value: step * (i - (len(values) - 1) / 2) for i, value in enumerate(values)}


def placed(points: pd.DataFrame, positions: Mapping[float, float]) -> pd.DataFrame:
    """Points with a column ``place`` on an axis of δ; training from scratch beside it, with its level drawn across."""
    own = points.assign(place=points["elastic_coupling"].map(positions))
    if points["elastic_coupling"].notna().any():
        return own
    levels = own[own["kind"] == "theory"]
    levels = own if levels.empty else levels
    ends = _beside(positions), max(positions.values())
    return pd.concat([own.assign(place=ends[0]), levels.assign(place=ends[1])])


def panel_titles(table: pd.DataFrame) -> dict[str, str]:
    """Experiment → the title of its panels: what it learns, and how the experiment is called, if that is known."""
    names = table.attrs.get("titles", {})
    datasets = table.groupby("experiment", sort=False)["dataset"].first()
    return {one: ", ".join(filter(None, [dataset, names.get(one)])) for one, dataset in datasets.items()}


def settle(figure: Figure) -> None:
    """Take titles, legends and notes as they are, and break titles that are wider than their panel.

    A dollar in the name of a data set or file begins no formula: formulas stand in the labels of axes and at ticks
    alone, where no user's text does.
    """
    labels = {text for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in axis.findobj(Text)}
    for text in figure.findobj(Text):
        if text not in labels:
            text.set_parse_math(False)
    for axes in figure.axes:
        place = axes.get_subplotspec()
        if place is not None:
            room = figure.get_size_inches()[0] / place.get_gridspec().ncols
            letters = max(int(15 * (room - 0.5) * 8 / axes.title.get_fontsize()), 12)
            title = axes.get_title().replace(" = ", "\u00a0=\u00a0")
            lines = [wrap(line, letters, break_long_words=False) or [""] for line in title.split("\n")]
            axes.title.set_text("\n".join(line for broken in lines for line in broken))


def save_figure(figure: Figure, plotted: pd.DataFrame, paths: Mapping[str, Path]) -> None:
    """Write the figure as ``pdf`` and ``png`` and the numbers it shows as ``csv``, without dates, so that equal
    figures are equal files.
    """
    settle(figure)
    with atomic_file(paths["pdf"]) as handle:
        figure.savefig(handle, format="pdf", metadata={"CreationDate": None})
    figure.set_layout_engine(None)  # panels stay where they are: to lay them out takes longer than to draw them
    with atomic_file(paths["png"]) as handle:
        figure.savefig(handle, format="png", dpi=160, metadata={"Software": None})
    with atomic_file(paths["csv"], text=True) as handle:
        plotted.to_csv(handle, index=False)
    plt.close(figure)
