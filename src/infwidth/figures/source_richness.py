"""How rich a source should be: test loss of readouts tuned on its frozen features (docs/version_two.md)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.style import (
    CONDITION_LOOK,
    colours,
    draw_curve,
    legend_below,
    log_ticks,
    new_figure,
    plain_numbers,
)
from infwidth.io.tables import select

COLUMNS = 3
"""Panels beside each other."""
BEST = {"marker": "*", "markersize": 10, "linestyle": "", "markeredgecolor": "white", "markeredgewidth": 0.6}
SHAPES = "osD^vP"
"""Markers that tell settings apart where their best richness is compared."""


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    A panel a setting: test loss against the source's richness γ√D, data sets as points, their average over all data
    sets as lines with a star where it is least. Then, of the settings that have one, the best richness against the
    target's samples; and networks beside the theory of their data sets, where an experiment of them is shown.

    Args:
        table: the experiments' tables.
    """
    points = mean_over_seeds(table)
    trained = points["width"].notna()
    studied, networks = points[~trained], points[trained & (points["metric"] == "test_loss")]
    settings = list(dict.fromkeys(table.loc[table["width"].isna(), "dataset"]))
    panels = len(settings) + 1 + networks["experiment"].nunique()
    columns = min(COLUMNS, panels)
    figure, grid = new_figure(math.ceil(panels / columns), columns)
    places = iter(grid.ravel())
    limits = studied[np.isinf(studied["dimension"])]
    palette = colours(limits["n_target"].unique())
    for setting in settings:
        _draw_setting(next(places), select(studied, dataset=setting), palette)
    best = _draw_best(next(places), select(studied, metric="best_source_richness"), settings)
    for experiment in networks["experiment"].unique():
        _draw_networks(next(places), select(networks, experiment=experiment))
    for axes in places:
        axes.set_visible(False)
    entries = [
        Line2D([], [], color=colour, linewidth=2.5, label=f"P2/D = {ratio:g}") for ratio, colour in palette.items()
    ]
    entries += [
        Line2D([], [], color="0.3", linewidth=1.6, label="average over data sets, D → ∞"),
        Line2D([], [], color="0.3", marker="o", linestyle="", label=f"data sets of D = {_dimension(studied):g}"),
        Line2D([], [], color="0.3", label="least loss", **BEST),
        *best,
    ]
    legend_below(figure, entries)
    return figure, pd.concat([studied, networks], ignore_index=True)


def _dimension(points: pd.DataFrame) -> float:
    return points.loc[np.isfinite(points["dimension"]), "dimension"].iloc[0]


def _draw_setting(axes: Axes, points: pd.DataFrame, palette: dict[float, tuple]) -> None:
    """One setting's losses over the richness."""
    dimension = _dimension(points)
    for ratio, colour in palette.items():
        own = points[np.isclose(points["n_target"], ratio * dimension)]
        own = own.assign(richness=own["source_strength"] * math.sqrt(dimension)).sort_values("richness")
        limit, found = select(own, metric="averaged_test_loss"), select(own, metric="test_loss")
        axes.plot(limit["richness"], limit["mean"], color=colour, linewidth=1.6)
        axes.errorbar(
            found["richness"], found["mean"], found["stderr"].fillna(0.0),
            color=colour, fmt="o", markersize=3.5, capsize=2.5, elinewidth=1.2,
        )  # fmt: skip
        ends = points[np.isinf(points["dimension"]) & np.isclose(points["n_target"], ratio)]
        best = select(ends, metric="best_source_richness")["mean"].item()
        if math.isfinite(best):
            axes.plot(best, select(ends, metric="best_test_loss")["mean"].item(), color=colour, **BEST)
    axes.set_xscale("log")
    plain_numbers(axes.xaxis, (1, 3))
    axes.set_ylim(bottom=0)
    title = points["dataset"].iloc[0].replace("; ", "\n").replace(", source until", ",\nsource until")
    axes.set(xlabel="source richness, γ√D", ylabel="test loss", title=title)


def _draw_best(axes: Axes, points: pd.DataFrame, settings: list[str]) -> list[Line2D]:
    """The best richness against P2/D, of the settings that have one: lines the average, points the data sets.

    Returns the entries of the legend that name the settings.
    """
    shown = [
        setting
        for setting in settings
        if np.isfinite(select(points, dataset=setting, dimension=math.inf)["mean"]).all()
    ]
    entries = []
    for setting, shape, colour in zip(shown, SHAPES, colours(range(len(shown))).values(), strict=False):
        own = select(points, dataset=setting)
        limit = select(own, dimension=math.inf).sort_values("n_target")
        axes.plot(limit["n_target"], limit["mean"], color=colour, linewidth=1.4)
        found = own[np.isfinite(own["dimension"]) & np.isfinite(own["mean"])]
        axes.errorbar(
            found["n_target"] / found["dimension"], found["mean"], found["stderr"].fillna(0.0), color=colour,
            fmt=shape, markersize=5, capsize=2.5,
        )  # fmt: skip
        entries.append(Line2D([], [], color=colour, marker=shape, label=setting.partition("; ")[0]))
    axes.set_yscale("log")
    plain_numbers(axes.yaxis, (1, 2, 5))
    axes.set(xlabel="target samples, P2/D", ylabel="best γ√D of the source", title="where it is least")
    if not shown:
        axes.text(0.5, 0.5, "none: the loss falls all the way", transform=axes.transAxes, ha="center")
    return entries


def _draw_networks(axes: Axes, points: pd.DataFrame) -> None:
    """Networks beside the theory of their data sets, at their last time; training from scratch for comparison."""
    points = points[points["time"] == points["time"].max()]
    positions = log_ticks(axes, points["source_strength"].dropna())
    palette = colours(points["n_target"].unique())
    for (samples, condition), own in points.groupby(["n_target", "condition"]):
        x = own["source_strength"].map(positions)
        draw_curve(axes, x, own, colour=palette[samples], condition=condition)
        line = CONDITION_LOOK[condition]["linestyle"]
        label = f"P2 = {samples:g}{', from scratch' if condition == 'scratch' else ''}"
        axes.plot([], [], color=palette[samples], linestyle=line, label=label)
    widths = ", ".join(f"N = {width:g}" for width in sorted(points["width"].unique()) if math.isfinite(width))
    axes.set(xlabel="γ of the source", ylabel="test loss", title=f"{points['dataset'].iloc[0]}\nnetworks, {widths}")
    axes.legend(frameon=False, fontsize="x-small")
