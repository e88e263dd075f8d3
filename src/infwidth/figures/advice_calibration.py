"""Advice on δ beside the truth, over tasks of teachers (docs/trust.md)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter
from scipy.stats import norm

from infwidth.analysis.control_variate import share_of_luck
from infwidth.figures.parts.style import colours, coupling_name, legend_below, new_figure
from infwidth.io.tables import select

GROUPS = 5
"""Groups of tasks by their number of target samples."""
FARTHEST = 4.0
"""Standard errors beyond which deviations of gains count in the last bar."""


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    A row an experiment: predicted against true loss, a point a task and δ; the ratio of their means, less what it owes
    to the luck of the samples, against target samples, with standard errors over tasks and the band of ±5 %; and how
    far predicted gains are from true ones, in their standard errors, beside a normal distribution.

    Args:
        table: the experiments' tables, one below the other.
    """
    titles = {name: table.attrs.get("titles", {}).get(name, "all teachers") for name in table["experiment"].unique()}
    palette = colours(table["elastic_coupling"].dropna().unique())
    figure, grid = new_figure(len(titles), 3)
    shown = []
    for experiment, panels in zip(titles, grid, strict=True):
        rows = select(table, experiment=experiment)
        losses = _losses(rows)
        for coupling, points in losses.groupby("elastic_coupling"):
            panels[0].scatter(points["test_loss"], points["predicted_loss"], s=4, color=palette[coupling], alpha=0.5)
        ends = np.nanquantile(losses[["test_loss", "predicted_loss"]], [0.001, 0.999])
        panels[0].plot(ends, ends, color="0.3", linewidth=1)
        panels[0].set(xlim=(ends[0] / 2, 2 * ends[1]), ylim=(ends[0] / 2, 2 * ends[1]))
        panels[0].set(
            xscale="log",
            yscale="log",
            xlabel="true loss",
            ylabel="predicted loss",
            title=f"{titles[experiment]}: {rows['seed'].nunique()} tasks",
        )
        ratios = _ratios(losses)
        _draw_ratios(panels[1], ratios, palette)
        deviations = select(rows, metric="gain_deviation")["value"].dropna()
        _draw_deviations(panels[2], deviations, rows)
        shown += [ratios.assign(experiment=experiment)]
    handles = [
        Line2D([], [], color=colour, marker="o", label=f"δ = {coupling_name(coupling)}")
        for coupling, colour in palette.items()
    ]
    legend_below(figure, handles)
    return figure, pd.concat(shown, ignore_index=True)


def _losses(rows: pd.DataFrame) -> pd.DataFrame:
    """Predicted and true loss of each task and δ that has both, and the task's luck, 0 where a table tells none."""
    both = select(rows, metric=["predicted_loss", "test_loss"])
    keys = ["seed", "n_target", "elastic_coupling"]
    losses = both.pivot_table("value", keys, "metric").dropna().reset_index()
    luck = select(rows, metric="held_out_luck").set_index("seed")["value"]
    return losses.assign(luck=losses["seed"].map(luck).fillna(0.0))


def _ratios(losses: pd.DataFrame) -> pd.DataFrame:
    """Mean predicted over mean true loss of each δ in groups of tasks by size, and its standard error over tasks."""
    groups = pd.qcut(losses["n_target"], GROUPS, duplicates="drop")
    losses = losses.assign(owed=losses.groupby("elastic_coupling", group_keys=False)[[*losses]].apply(_owed))
    rows = []
    for (_, coupling), some in losses.groupby([groups, "elastic_coupling"], observed=True):
        predicted, true = some["predicted_loss"] - some["owed"], some["test_loss"]
        ratio, count = predicted.mean() / true.mean(), len(some)
        error = (predicted - ratio * true).std() / np.sqrt(count) / true.mean() if count > 1 else np.nan
        rows.append(
            {
                "n_target": np.exp(np.log(some["n_target"]).mean()),
                "elastic_coupling": coupling,
                "predicted_over_true": ratio,
                "stderr": error,
                "tasks": count,
            }
        )
    return pd.DataFrame(rows)


def _owed(losses: pd.DataFrame) -> pd.Series:
    """What predicted losses of one δ owe to the luck of their samples."""
    predicted, true, luck = losses["predicted_loss"], losses["test_loss"], losses["luck"]
    return share_of_luck(predicted - predicted.mean() / true.mean() * true, luck) * luck


def _draw_ratios(axes: Axes, ratios: pd.DataFrame, palette: dict) -> None:
    axes.axhspan(0.95, 1.05, color="0.9", zorder=0)
    axes.axhline(1, color="0.3", linewidth=1, zorder=0)
    for place, (coupling, curve) in enumerate(ratios.groupby("elastic_coupling")):
        x = curve["n_target"] * 1.03**place  # beside one another
        axes.errorbar(
            x,
            curve["predicted_over_true"],
            curve["stderr"],
            marker="o",
            markersize=3.5,
            linewidth=1,
            capsize=2.5,
            color=palette[coupling],
        )
    axes.set(xscale="log", xlabel="target samples P2", ylabel="predicted / true, less luck")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())


def _draw_deviations(axes: Axes, deviations: pd.Series, rows: pd.DataFrame) -> None:
    edges = np.linspace(-FARTHEST, FARTHEST, 25)
    axes.hist(np.clip(deviations, -FARTHEST, FARTHEST), edges, density=True, color="0.75")
    axes.plot(edges, norm.pdf(edges), color="0.2", linewidth=1.2)
    definite, wrong = (select(rows, metric=name)["value"].sum() for name in ("definite", "wrong"))
    axes.set(xlabel="deviation of the gain, stderr", ylabel="density")
    axes.set_title(f"s.d. {deviations.std():.2f}; {wrong:.0f} of {definite:.0f} wrong")
