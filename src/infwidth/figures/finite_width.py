"""Sampled networks of several widths beside E_∞ + c/N, and what c is made of (docs/finite_width.md)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.over_width import width_axis
from infwidth.figures.parts.style import colours, coupling_axis, coupling_name, new_figure
from infwidth.io.tables import select

LOSS, COEFFICIENT = "sampled_test_loss", "sampled_test_loss_deviation"
PARTS = {
    "mean_deviation": ("shift of the mean", "s", (0.0, 0.45, 0.70)),
    "thermal_deviation": ("scatter of networks", "^", (0.84, 0.37, 0.0)),
    "source_deviation": ("scatter of the source", "D", (0.0, 0.62, 0.45)),
    COEFFICIENT: ("c, their sum", "o", (0.1, 0.1, 0.1)),
}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    One column of panels an overlap. Above, test loss of one sampled network against its width, and E_∞ + c/N of the
    theory on the same data sets. Below, c and its parts against δ.

    Args:
        table: the experiment's table.
    """
    points = mean_over_seeds(select(table, metric=[LOSS, *PARTS], condition="transfer"))
    palette = colours(points["elastic_coupling"].unique())
    overlaps = sorted(points["overlap"].unique())
    figure, grid = new_figure(2, len(overlaps))
    plotted = []
    for overlap, (above, below) in zip(overlaps, grid.T, strict=True):
        shown = select(points, overlap=overlap)
        plotted += [_draw_widths(above, shown, palette), _draw_parts(below, shown)]
        above.set_title(f"{table['dataset'].iloc[0]}, α = {overlap:g}")
    grid[0, 0].set_ylabel("test loss of one network")
    grid[1, 0].set_ylabel("c, loss × width")
    entries = [
        Line2D([], [], color=colour, linewidth=2.5, label=f"δ = {coupling_name(coupling)}")
        for coupling, colour in palette.items()
    ]
    entries.append(Line2D([], [], color="0.3", linewidth=1.6, label="theory, E∞ + c/N"))
    entries.append(Line2D([], [], color="0.3", linewidth=1, linestyle=":", label="theory, E∞"))
    entries.append(Line2D([], [], color="0.3", linestyle="", marker="o", label="sampled networks"))
    entries += [
        Line2D([], [], color=colour, marker=marker, linewidth=1.2, label=name)
        for name, marker, colour in PARTS.values()
    ]
    figure.legend(handles=entries, frameon=False, fontsize="small", loc="outside right upper")
    return figure, pd.concat(plotted, ignore_index=True)


def _draw_widths(axes: Axes, points: pd.DataFrame, palette: dict[float, tuple]) -> pd.DataFrame:
    """Draw networks and theory of one overlap; return networks with the theory's value at their width."""
    networks = select(points, kind="network", metric=LOSS)
    width_axis(axes, networks["width"], "width N")
    limits, coefficients = (
        select(points, kind="theory", metric=metric).set_index("elastic_coupling")["mean"]
        for metric in (LOSS, COEFFICIENT)
    )
    line = np.geomspace(0.85 * networks["width"].min(), 1.25 * networks["width"].max(), 60)
    drawn = []
    for coupling, rows in networks.groupby("elastic_coupling"):
        colour, limit, coefficient = palette[coupling], limits[coupling], coefficients[coupling]
        axes.plot(line, limit + coefficient / line, color=colour, linewidth=1.6)
        axes.axhline(limit, color=colour, linestyle=":", linewidth=1)
        axes.errorbar(rows["width"], rows["mean"], rows["stderr"].fillna(0.0), color=colour, fmt="none", capsize=2.5)
        faces = [colour if converged else "white" for converged in rows["converged"]]
        axes.scatter(rows["width"], rows["mean"], s=24, facecolors=faces, edgecolors=[colour], zorder=3)
        one_percent = 100 * abs(coefficient) / limit
        predicted = limit + coefficient / rows["width"]
        drawn.append(rows.assign(limit=limit, predicted=predicted, one_percent_width=one_percent))
    return pd.concat(drawn)


def _draw_parts(axes: Axes, points: pd.DataFrame) -> pd.DataFrame:
    """Draw c of one overlap and its parts; return them."""
    rows = select(points, kind="theory", metric=list(PARTS))
    positions = coupling_axis(axes, rows["elastic_coupling"])
    axes.axhline(0, color="0.3", linewidth=1)
    for metric, (_, marker, colour) in PARTS.items():
        own = select(rows, metric=metric).sort_values("elastic_coupling")
        x = own["elastic_coupling"].map(positions)
        axes.errorbar(
            x, own["mean"], own["stderr"].fillna(0.0), color=colour, marker=marker, markersize=4.5, capsize=2.5
        )
    return rows
