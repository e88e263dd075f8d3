"""Which source and how strongly, on real features: advice beside other ways to choose (docs/trust.md)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import stdtrit

from infwidth.figures.parts.style import MARKERS, SERIES, legend_below, new_figure
from infwidth.io.tables import select

OF_THEORY = "theory"
"""Advice as the infinitely wide networks it is about judge it."""
NAMES = {
    "advise": "advise",
    OF_THEORY: "advise, judged by the theory",
    "advise_definite": "advise, else from scratch",
    "cross_validation": "cross-validated networks",
    "evidence": "Laplace evidence",
    "laplace_torch": "the same, laplace-torch",
    "scratch": "from scratch, δ = 0",
    "fixed": "one fixed δ",
    "frozen": "frozen features, δ = ∞",
    "log_me": "LogME",
    "h_score": "H-score",
    "leep": "LEEP",
}
LOOKS = (
    ("regret", "excess loss at the δ chosen, %", 100),
    ("seconds", "seconds of the processor", 1),
    ("kendall_tau", "Kendall τ of the sources' order", 1),
    ("source_regret", "excess loss, source chosen, %", 100),
)
"""Metric, what its axis says, and the unit."""
LEVEL = 0.95


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    What the δ that each way chooses costs beside the best one, the seconds that it takes to choose, how well it ranks
    sources, and what the source it puts first costs: means and 95 % intervals (Student's) over data sets, as the claims
    have them, an experiment a series.

    Args:
        table: the experiments' tables, one below the other.
    """
    experiments = list(table["experiment"].unique())
    figure, grid = new_figure(2, 2)
    shown = []
    for axes, (metric, label, unit) in zip(grid.ravel(), LOOKS, strict=True):
        parts = [_means(select(table, experiment=name, metric=metric)).assign(experiment=name) for name in experiments]
        found = pd.concat(parts).assign(metric=metric)
        ways = [name for name in NAMES if name in set(found["condition"])]
        for number, name in enumerate(experiments):
            rows = select(found, experiment=name)
            _draw(axes, rows, ways, unit, number, len(experiments), _spelt(table, name))
        axes.set_yticks(-np.arange(len(ways)), [NAMES[name] for name in ways])
        axes.axvline(0, color="0.8", linewidth=1, zorder=0)
        axes.set(xlabel=label)
        shown.append(found)
    legend_below(figure, grid[0, 0].get_legend_handles_labels()[0])
    return figure, pd.concat(shown, ignore_index=True)


def _spelt(table: pd.DataFrame, experiment: str) -> str:
    """What an experiment is made of, and the width of its networks."""
    rows = select(table, experiment=experiment, kind="network")
    pools = list(dict.fromkeys(rows["dataset"].str.split(":").str[0]))
    name = pools[0] if len(pools) == 1 else f"{pools[0]} and {len(pools) - 1} more tables"
    return f"{name}, N = {rows['width'].iloc[0]:g}"


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean of each way to choose and its interval's half, over data sets."""
    judged = rows["condition"].where(rows["kind"] != "theory", OF_THEORY)
    rows = rows[(rows["kind"] != "theory") | (rows["condition"] == "advise")].assign(condition=judged)
    each = rows.groupby(["condition", "seed"])["value"].mean().groupby("condition")
    found = pd.DataFrame({"mean": each.mean(), "stderr": each.sem(), "count": each.size()})
    student = stdtrit(np.maximum(found["count"] - 1, 1), (1 + LEVEL) / 2)
    found["half"] = student * found["stderr"]
    return found.reindex([name for name in NAMES if name in found.index]).rename_axis("condition").reset_index()


def _draw(axes: Axes, found: pd.DataFrame, ways: list[str], unit: float, number: int, count: int, label: str) -> None:
    places = np.array([-ways.index(name) for name in found["condition"]]) - 0.6 * (number + 0.5 - count / 2) / count
    look = {"marker": MARKERS[number % len(MARKERS)], "color": SERIES[number % len(SERIES)]}
    halves = unit * found["half"].where(np.isfinite(found["half"]), 0.0)
    axes.errorbar(unit * found["mean"], places, xerr=halves, linestyle="none", capsize=2, label=label, **look)
