"""The look that all figures share, and how they are saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from infwidth.io.atomic import atomic_file

# a condition looks the same in every figure
CONDITION_LOOK = {
    "transfer": {"linestyle": "-", "marker": "o"},
    "scratch": {"linestyle": ":", "marker": "s"},
    "random_anchor": {"linestyle": "--", "marker": "X"},
}


def new_figure(rows: int = 1, columns: int = 1) -> tuple[Figure, np.ndarray]:
    """A grid of panels in the common style: the figure and its axes (rows, columns)."""
    sns.set_theme(context="paper", style="ticks", palette="deep", font_scale=1.05)
    return plt.subplots(
        rows, columns, figsize=(4.1 * columns + 1.6, 3.3 * rows + 0.2), layout="constrained", squeeze=False
    )


def draw_curve(
    axes: Axes,
    x: Sequence[float],
    points: pd.DataFrame,
    *,
    colour: tuple,
    condition: str = "transfer",
    joined: bool = True,
) -> None:
    """Draw one curve of averaged points at ``x``: theory as a line with a band, networks as markers with bars.

    Unconverged points are hollow. Where there is no theory a thin line joins the networks, if ``joined``.
    """
    look = CONDITION_LOOK[condition]
    x = np.asarray(x, dtype=float)
    for kind, rows in points.assign(x=x).sort_values("x").groupby("kind"):
        error = rows["stderr"].fillna(0.0)
        if kind == "theory":
            axes.plot(rows["x"], rows["mean"], color=colour, linestyle=look["linestyle"], linewidth=1.6)
            axes.fill_between(
                rows["x"], rows["mean"] - error, rows["mean"] + error, color=colour, alpha=0.09, linewidth=0
            )
        else:
            axes.errorbar(rows["x"], rows["mean"], error, color=colour, fmt="none", capsize=2.5, elinewidth=1.2)
        shown = rows if kind == "network" else rows[~rows["converged"]]
        faces = [colour if converged else "white" for converged in shown["converged"]]
        axes.scatter(
            shown["x"],
            shown["mean"],
            s=24,
            marker=look["marker"],
            facecolors=faces,
            edgecolors=[colour],
            zorder=3,
        )
        if joined and kind == "network" and "theory" not in set(points["kind"]):
            axes.plot(rows["x"], rows["mean"], color=colour, linestyle=look["linestyle"], linewidth=0.8, alpha=0.6)


def name_looks(
    figure: Figure,
    points: pd.DataFrame,
    colour_names: Mapping[tuple, str],
    condition_colours: Mapping[str, tuple] | None = None,
) -> None:
    """Legend beside the panels: one entry a colour, one a condition, and what lines and markers stand for.

    Args:
        figure: the figure.
        points: what it shows.
        colour_names: colour → what it stands for.
        condition_colours: condition → its colour, where conditions have one; otherwise they are grey.
    """
    grey = "0.3"
    entries = [Line2D([], [], color=colour, linewidth=2.5, label=name) for colour, name in colour_names.items()]
    kinds, conditions = set(points["kind"]), set(points["condition"])
    if "theory" in kinds:
        entries.append(Line2D([], [], color=grey, linewidth=1.6, label="theory"))
    if "network" in kinds:
        widths = points.loc[points["kind"] == "network", "width"].unique()
        label = ", ".join("N → ∞" if width == np.inf else f"N = {width:g}" for width in sorted(widths))
        entries.append(Line2D([], [], color=grey, linestyle="", marker="o", label=f"networks, {label}"))
    for condition, look in CONDITION_LOOK.items():
        colour = (condition_colours or {}).get(condition, grey)
        if condition in conditions and (condition != "transfer" or condition_colours):
            name = condition.replace("_", " ")
            entries.append(Line2D([], [], color=colour, linestyle=look["linestyle"], marker=look["marker"], label=name))
    figure.legend(handles=entries, frameon=False, fontsize="small", loc="outside right upper")


def coupling_name(coupling: float) -> str:
    """A value of δ as it is written in figures."""
    return "∞" if coupling == np.inf else f"{coupling:g}"


def coupling_axis(axes: Axes, couplings: Sequence[float]) -> dict[float, float]:
    """Make x an axis of δ on which 0 and ∞ have a place of their own.

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
    axes.set_xticks([positions[value] for value in values], [coupling_name(value) for value in values])
    axes.set_xlabel("elastic coupling δ")
    return positions


def time_axis(axes: Axes, times: Sequence[float]) -> dict[float, float]:
    """Make x a logarithmic axis of time on which 0 has a place of its own; returns time → position."""
    values = sorted({float(value) for value in times})
    positive = [value for value in values if value > 0]
    positions = {value: float(np.log10(value)) for value in positive}
    if 0.0 in values:
        positions[0.0] = min(positions.values(), default=0.0) - 0.5
    axes.set_xticks([positions[value] for value in values], [f"{value:g}" for value in values], rotation=45)
    axes.set_xlabel("target time t")
    return positions


def colours(values: Sequence[float]) -> dict[float, tuple]:
    """One colour a value, from dark to light, the same for theory and networks."""
    ordered = sorted(values)
    return dict(zip(ordered, sns.color_palette("viridis", len(ordered) + 1)[: len(ordered)], strict=True))


def log_ticks(axes: Axes, values: Sequence[float]) -> dict[float, float]:
    """Make x a logarithmic axis with a tick at each of its positive values; returns value → position."""
    positions = {float(value): float(np.log10(value)) for value in sorted(set(values))}
    axes.set_xticks(list(positions.values()), [f"{value:g}" for value in positions])
    return positions


def plain_numbers(axis: Axis, a_decade: Sequence[float]) -> None:
    """Give a logarithmic axis plain numbers at its ticks, those times a power of ten, and at no others."""
    axis.set_major_locator(LogLocator(subs=a_decade))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def side_by_side(values: Sequence[float], step: float = 0.07) -> dict[float, float]:
    """Small shifts in x that keep the error bars of several curves apart."""
    return {value: step * (i - (len(values) - 1) / 2) for i, value in enumerate(values)}


def across(points: pd.DataFrame, positions: Mapping[float, float]) -> pd.DataFrame:
    """Points that have no δ, training from scratch, as a level from the lowest to the highest δ of an axis."""
    return pd.concat([points.assign(elastic_coupling=end) for end in (min(positions), max(positions))])


def plain_text(figure: Figure) -> None:
    """Take titles, legends and notes as they are: a dollar in the name of a data set or file begins no formula.

    Formulas stand in the labels of axes and at ticks alone, where no user's text does.
    """
    labels = {text for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for text in axis.findobj(Text)}
    for text in figure.findobj(Text):
        if text not in labels:
            text.set_parse_math(False)


def save_figure(figure: Figure, plotted: pd.DataFrame, paths: Mapping[str, Path]) -> None:
    """Write the figure as ``pdf`` and ``png`` and the numbers it shows as ``csv``, without dates, so that equal
    figures are equal files.
    """
    plain_text(figure)
    with atomic_file(paths["pdf"]) as handle:
        figure.savefig(handle, format="pdf", metadata={"CreationDate": None})
    with atomic_file(paths["png"]) as handle:
        figure.savefig(handle, format="png", dpi=110, metadata={"Software": None})
    with atomic_file(paths["csv"], text=True) as handle:
        plotted.to_csv(handle, index=False)
    plt.close(figure)
