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
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

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
        rows, columns, figsize=(4.3 * columns + 0.3, 3.3 * rows + 0.2), layout="constrained", squeeze=False
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
                rows["x"], rows["mean"] - error, rows["mean"] + error, color=colour, alpha=0.12, linewidth=0
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


def name_looks(axes: Axes, points: pd.DataFrame, colour_names: Mapping[tuple, str]) -> None:
    """Legend: one entry a colour, one a condition, and what lines and markers stand for."""
    entries = [Line2D([], [], color=colour, linewidth=2.5, label=name) for colour, name in colour_names.items()]
    kinds = set(points["kind"])
    if "theory" in kinds:
        entries.append(Line2D([], [], color="0.3", linewidth=1.6, label="theory"))
    if "network" in kinds:
        width = points.loc[points["kind"] == "network", "width"].max()
        entries.append(Line2D([], [], color="0.3", linestyle="", marker="o", label=f"networks, N = {width:g}"))
    for condition in [name for name in CONDITION_LOOK if name in set(points["condition"]) - {"transfer"}]:
        look = CONDITION_LOOK[condition]
        name = condition.replace("_", " ")
        entries.append(Line2D([], [], color="0.3", linestyle=look["linestyle"], marker=look["marker"], label=name))
    axes.legend(handles=entries, frameon=False, fontsize="small")


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
    axes.set_xticks(
        [positions[value] for value in values], ["∞" if value == np.inf else f"{value:g}" for value in values]
    )
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


def side_by_side(values: Sequence[float]) -> dict[float, float]:
    """Small shifts in x that keep the error bars of several curves apart."""
    return {value: 0.07 * (i - (len(values) - 1) / 2) for i, value in enumerate(values)}


def save_figure(figure: Figure, plotted: pd.DataFrame, paths: Mapping[str, Path]) -> None:
    """Write the figure as ``pdf`` and ``png`` and the numbers it shows as ``csv``, without dates, so that equal
    figures are equal files.
    """
    with atomic_file(paths["pdf"]) as handle:
        figure.savefig(handle, format="pdf", metadata={"CreationDate": None})
    with atomic_file(paths["png"]) as handle:
        figure.savefig(handle, format="png", dpi=110, metadata={"Software": None})
    with atomic_file(paths["csv"], text=True) as handle:
        plotted.to_csv(handle, index=False)
    plt.close(figure)
