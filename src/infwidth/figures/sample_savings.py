"""How many target samples pretraining is worth: linear teachers averaged over data sets (docs/averaged.md)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from infwidth.figures.parts.over_ratio import by_setting, ratio_axis, settings
from infwidth.figures.parts.over_width import log_values
from infwidth.figures.parts.style import GREY, colours, entry, legend_below, new_figure
from infwidth.io.tables import select

SHOWN = 5
"""Overlaps shown at most, spread over those there are."""
LEAST = 0.005
"""Savings below this are drawn nowhere, samples a dimension."""


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    One panel a richness and label noise: how many more samples a target from scratch needs for the test loss of
    transfer at its best δ, against the samples that transfer has. Stars: no number of samples does as well.

    Args:
        table: the experiment's table.
    """
    rows = select(table, metric="sample_savings")
    overlaps = np.array(sorted(rows.loc[rows["overlap"] > 0, "overlap"].unique()))
    overlaps = overlaps[np.unique(np.linspace(0, len(overlaps) - 1, SHOWN).round().astype(int))]
    palette = colours(overlaps, "overlap")
    rows = select(rows, overlap=overlaps.tolist())
    finite = rows.loc[np.isfinite(rows["value"]), "value"]
    top = 2 * finite.max()
    richness, datasets = settings(rows)
    figure, grid = new_figure(len(richness), len(datasets))
    for row, column, title, shown in by_setting(rows):
        axes = grid[row, column]
        for overlap, colour in palette.items():
            curve = select(shown, overlap=overlap).sort_values("n_target")
            drawn = curve["value"].where((curve["value"] > LEAST) & np.isfinite(curve["value"]))
            axes.plot(curve["n_target"], drawn, color=colour, marker=colour.marker, markersize=3, linewidth=1)
            beyond = curve[curve["value"] == np.inf]
            axes.plot(beyond["n_target"], np.full(len(beyond), top), "*", color=colour, markersize=6)
        ratio_axis(axes, rows["n_target"])
        log_values(axes)
        axes.set(ylim=(LEAST, 1.3 * top), ylabel="samples saved per dimension", title=title)
    entries = [entry(colour, f"α = {overlap:g}") for overlap, colour in palette.items()]
    if (rows["value"] == np.inf).any():
        entries.append(entry(GREY, "more than any number of samples", linestyle="", marker="*"))
    legend_below(figure, entries)
    return figure, rows
