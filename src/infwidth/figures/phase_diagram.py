"""When transfer helps and at which δ: linear teachers averaged over data sets (docs/averaged.md)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from infwidth.figures.parts.over_ratio import by_setting, ratio_axis, settings
from infwidth.figures.parts.style import new_figure
from infwidth.io.tables import select

GAINS = (0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
COUPLINGS = {
    "0: no tie helps": 0.0,
    "below 1": 1.0,
    "1 … 10": 10.0,
    "10 … 100": 100.0,
    "above 100": 1e300,
    "∞": math.inf,
}

NOTHING = "0.75"


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    One column of panels a label noise, two rows a richness, over target samples and overlap: what transfer at its best
    δ gains over a target from scratch, and that δ. Above the line frozen source features (δ = ∞) beat scratch.

    Args:
        table: the experiment's table.
    """
    richness, datasets = settings(table)
    figure, grid = new_figure(2 * len(richness), len(datasets))
    colours = ListedColormap(_viridis(len(GAINS) - 1))
    gains, kinds = BoundaryNorm(GAINS, colours.N), ListedColormap([NOTHING, *_viridis(len(COUPLINGS) - 1)])
    plotted = []
    for row, column, title, rows in by_setting(table):
        best = _grid(select(rows, metric="best_test_loss"))
        scratch = _grid(select(rows, metric="test_loss", elastic_coupling=0))
        coupling = _grid(select(rows, metric="best_test_loss"), "elastic_coupling")
        gain = (100 * (1 - best / scratch)).where(coupling > 0)  # nothing where no tie helps
        for axes in grid[2 * row : 2 * row + 2, column]:
            axes.set_facecolor(NOTHING)
        places = best.columns.to_numpy(), best.index.to_numpy()
        above, below = grid[2 * row, column], grid[2 * row + 1, column]
        above.pcolormesh(*_edges(*places), gain.to_numpy(), cmap=colours, norm=gains, rasterized=True)
        classes = np.searchsorted(list(COUPLINGS.values()), coupling.to_numpy())
        below.pcolormesh(*_edges(*places), classes, cmap=kinds, vmin=-0.5, vmax=kinds.N - 0.5, rasterized=True)
        critical = select(rows, metric="critical_overlap").sort_values("n_target")
        for axes in (above, below):
            _draw_critical(axes, critical)
            ratio_axis(axes, critical["n_target"])
            axes.set(ylim=(0, 1), ylabel="overlap of teachers, α")
        above.set_title(f"gain, {title}")
        below.set_title(f"best δ, {title}")
        plotted += [rows[rows["metric"] != "sample_savings"]]
    scale = ScalarMappable(gains, colours)
    label = "gain over scratch at the best δ, % of the test loss"
    figure.colorbar(scale, ax=grid.ravel().tolist(), location="bottom", label=label, aspect=45, shrink=0.9)
    figure.get_layout_engine().set(h_pad=0.1)
    entries = [Patch(color=kinds(i), label=name) for i, name in enumerate(COUPLINGS)]
    entries.append(
        Line2D([], [], color="black", linewidth=3, marker="", label="critical overlap: above it\nδ = ∞ beats δ = 0")
    )
    figure.legend(handles=entries, title="best δ", frameon=False, fontsize="small", loc="outside right lower")
    return figure, pd.concat(plotted, ignore_index=True)


def _viridis(count: int) -> list[tuple]:
    import seaborn as sns

    return list(sns.color_palette("viridis", count))


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
    axes.plot(critical["n_target"], heights, color="white", linewidth=4.5)
    axes.plot(critical["n_target"], heights, color="black", linewidth=2.2)
