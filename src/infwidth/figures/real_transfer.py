"""Which source and how strongly, on real features: advice beside other ways to choose (docs/trust.md)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infwidth.figures.parts.style import new_figure
from infwidth.io.tables import select

NAMES = {
    "advise": "advise",
    "cross_validation": "cross-validated networks",
    "evidence": "Laplace evidence",
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


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Two rows an experiment: what the δ that each way chooses costs beside the best one, the seconds that it takes to
    choose, how well it ranks sources, and what the source it puts first costs; means and standard errors over pairs or
    targets and data sets.

    Args:
        table: the experiments' tables, one below the other.
    """
    experiments = list(table["experiment"].unique())
    figure, grid = new_figure(2 * len(experiments), 2)
    shown = []
    for experiment, panels in zip(experiments, grid.reshape(-1, len(LOOKS)), strict=True):
        rows = select(table, experiment=experiment)
        for axes, (metric, label, unit) in zip(panels, LOOKS, strict=True):
            found = _means(select(rows, metric=metric))
            _draw(axes, found, unit)
            axes.set(xlabel=label)
            shown.append(found.assign(experiment=experiment, metric=metric))
        panels[0].set_title(rows["dataset"].iloc[0].split(":")[0])
    return figure, pd.concat(shown, ignore_index=True)


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard error of each way to choose, the best known ways first."""
    grouped = rows.groupby("condition")["value"]
    found = pd.DataFrame({"mean": grouped.mean(), "stderr": grouped.sem(), "count": grouped.size()})
    return found.reindex([name for name in NAMES if name in found.index]).rename_axis("condition").reset_index()


def _draw(axes: Axes, found: pd.DataFrame, unit: float) -> None:
    places = -np.arange(len(found))
    colours = ["tab:red" if name == "advise" else "0.45" for name in found["condition"]]
    for place, colour, row in zip(places, colours, found.itertuples(), strict=True):
        error = unit * row.stderr if np.isfinite(row.stderr) else 0.0
        axes.errorbar(unit * row.mean, place, xerr=error, marker="o", color=colour, capsize=3)
    axes.set_yticks(places, [NAMES[name] for name in found["condition"]])
    axes.axvline(0, color="0.8", linewidth=1, zorder=0)
