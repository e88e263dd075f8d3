"""What a shift between source and target does to the gain of transfer (docs/theory.md §5)."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infwidth.analysis.seeds import paired_difference
from infwidth.figures.parts.style import (
    colours,
    coupling_axis,
    draw_curve,
    entry,
    legend_below,
    new_figure,
    side_by_side,
)
from infwidth.io.tables import select

SPECTRUM, SOURCE, TARGET = "spectrum ", "source label noise ", "target label noise "
LEGEND = 0.25  # of a panel's height, left above the curves for the words


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    A panel a kind of shift: 100 (1 − E(δ)/E(0)), by how much transfer lowers the test loss of the target from scratch,
    against δ. Theory as lines, networks as markers, means over data sets with the standard error of the paired
    difference. Where nothing is shifted the curve is in every panel.

    Args:
        table: the study's table.
    """
    rows = select(table, metric="test_loss")
    gains = paired_difference(rows, select(rows, elastic_coupling=0), ignoring=("elastic_coupling",))
    gains = gains.assign(mean=-100 * gains["mean"], stderr=100 * gains["stderr"])
    figure, grid = new_figure(2, 2)
    for axes, (title, curves) in zip(grid.ravel(), _panels(gains).items(), strict=True):
        _draw_panel(axes, title, curves)
        axes.sharey(grid[0, 0])
    bottom, top = grid[0, 0].get_ylim()
    grid[0, 0].set_ylim(bottom, top + LEGEND * (top - bottom))
    widths = ", ".join(f"N = {width:g}" for width in sorted(select(gains, kind="network")["width"].unique()))
    looks = [entry((0.3,) * 3, "theory, N = ∞", marker="")]
    if widths:
        looks.append(entry((0.3,) * 3, f"networks, {widths}", marker="o", linestyle=""))
    legend_below(figure, looks)
    return figure, gains


def _panels(gains: pd.DataFrame) -> dict[str, dict[str, pd.DataFrame]]:
    """Title → words → the curve that they name, nothing shifted first."""
    kinds = {
        SPECTRUM: ("inputs, source → target", "", "flat → flat"),
        SOURCE: ("label noise of the source", "σ = ", "σ = 0"),
        TARGET: ("label noise of the target", "σ = ", "σ = 0"),
    }
    shifted = gains["dataset"].str.startswith(tuple(kinds))
    plain = gains[~shifted]
    usual = select(plain, overlap=gains.loc[shifted, "overlap"].iloc[0])
    found: dict[str, dict[str, pd.DataFrame]] = {}
    for prefix, (title, before, none) in kinds.items():
        words = [name for name in dict.fromkeys(gains["dataset"]) if name.startswith(prefix)]
        found[title] = {none: usual}
        found[title] |= {before + name.removeprefix(prefix): select(gains, dataset=name) for name in words}
    overlaps = sorted(plain["overlap"].unique(), reverse=True)
    found["direction of the target"] = {f"α = {overlap:g}": select(plain, overlap=overlap) for overlap in overlaps}
    return found


def _draw_panel(axes: Axes, title: str, curves: Mapping[str, pd.DataFrame]) -> None:
    positions = coupling_axis(axes, next(iter(curves.values()))["elastic_coupling"])
    axes.axhline(0, color="0.6", linewidth=0.8)
    apart = side_by_side(list(curves))
    entries = []
    for (words, curve), colour in zip(curves.items(), colours(range(len(curves))).values(), strict=True):
        theory, networks = (select(curve, kind=kind) for kind in ("theory", "network"))
        draw_curve(axes, theory["elastic_coupling"].map(positions), theory, colour=colour)
        if len(networks):
            x = networks["elastic_coupling"].map(positions) + apart[words]
            draw_curve(axes, x, networks, colour=colour, joined=False)
        entries.append(entry(colour, words, linewidth=1.2, marker=colour.marker))
    axes.set(ylabel="gain over scratch, %", title=title)
    axes.legend(
        handles=entries, loc="upper left", frameon=False, fontsize="x-small", ncols=1 if len(entries) < 5 else 2
    )
