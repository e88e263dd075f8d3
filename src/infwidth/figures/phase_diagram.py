"""When transfer helps and at which δ: linear teachers averaged over data sets (docs/averaged.md)."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from infwidth.figures.parts.over_ratio import by_setting, ratio_axis, settings
from infwidth.figures.parts.style import colours, entry, legend_below, new_figure
from infwidth.io.tables import select

GAINS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
COUPLINGS = {
    "below 1": 1.0,
    "1 … 10": 10.0,
    "10 … 100": 100.0,
    "above 100": 1e300,
    "∞": math.inf,
}

NOTHING = {"facecolor": "0.92", "edgecolor": "0.6", "hatch": "/////", "linewidth": 0}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    One column of panels a label noise, two rows a richness, over target samples and overlap: what transfer at its best
    δ gains over a target from scratch, and that δ. Above the line frozen source features (δ = ∞) beat scratch.

    Args:
        table: the experiment's table.
    """
    richness, datasets = settings(table)
    figure, grid = new_figure(2 * len(richness), len(datasets))
    shades = ListedColormap(plt.get_cmap("cividis")(np.linspace(0, 1, len(GAINS) - 1)))
    gains, kinds = (
        BoundaryNorm(GAINS, shades.N),
        ListedColormap([*colours([0.3, 3, 30, 300, np.inf], "elastic_coupling").values()]),
    )
    plotted = []
    for row, column, title, rows in by_setting(table):
        best = _grid(select(rows, metric="best_test_loss"))
        scratch = _grid(select(rows, metric="test_loss", elastic_coupling=0))
        coupling = _grid(select(rows, metric="best_test_loss"), "elastic_coupling")
        gain = (100 * (1 - best / scratch)).where(coupling > 0)  # nothing where no tie helps
        for axes in grid[2 * row : 2 * row + 2, column]:
            axes.patch.set(**NOTHING)
        places = best.columns.to_numpy(), best.index.to_numpy()
        above, below = grid[2 * row, column], grid[2 * row + 1, column]
        above.pcolormesh(*_edges(*places), gain.to_numpy(), cmap=shades, norm=gains, rasterized=True)
        classes = np.searchsorted(list(COUPLINGS.values()), coupling.to_numpy()).astype(float)
        classes[coupling.to_numpy() == 0] = np.nan
        below.pcolormesh(*_edges(*places), classes, cmap=kinds, vmin=-0.5, vmax=kinds.N - 0.5, rasterized=True)
        critical = select(rows, metric="critical_overlap").sort_values("n_target")
        for axes in (above, below):
            _draw_critical(axes, critical)
            ratio_axis(axes, critical["n_target"])
            axes.set(ylim=(0, 1), ylabel="overlap of teachers, α")
        above.set_title(f"gain, {title}")
        below.set_title(f"best δ, {title}")
        plotted += [rows[rows["metric"] != "sample_savings"]]
    scale = ScalarMappable(gains, shades)
    label = "gain over scratch at the best δ, % of the test loss"
    figure.colorbar(scale, ax=grid.ravel().tolist(), location="bottom", label=label, aspect=45, shrink=0.8)
    figure.get_layout_engine().set(h_pad=0.1)
    entries = [Patch(color=kinds(i), label=f"best δ {name}") for i, name in enumerate(COUPLINGS)]
    entries.append(Patch(**NOTHING, label="best δ 0: no tie helps"))
    entries.append(entry((0, 0, 0), "critical overlap: above it δ = ∞ beats δ = 0", linewidth=2, marker=""))
    legend_below(figure, entries)
    return figure, pd.concat(plotted, ignore_index=True)


def _grid(rows: pd.DataFrame, column: str = "value") -> pd.DataFrame:
    return rows.pivot(index="overlap", columns="n_target", values=column)


def _edges(ratios: np.ndarray, overlaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Borders halfway between grid points, of ratios in their logarithm."""

    def halfway(places: np.ndarray) -> np.ndarray:
        middle = (places[1:] + places[:-1]) / 2
        return np.concatenate([[2 * places[0] - middle[0]], middle, [2 * places[-1] - middle[-1]]])

    return np.exp(halfway(np.log(ratios))), halfway(overlaps)


def _draw_critical(axes: Axes, critical: pd.DataFrame) -> None:
    """The critical overlap where there is one; it rises above 1 where there is none."""
    heights = np.minimum(critical["value"], 1.2)
    axes.plot(critical["n_target"], heights, color="white", linewidth=3)
    axes.plot(critical["n_target"], heights, color="black", linewidth=1.5)
