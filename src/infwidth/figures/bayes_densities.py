"""Bayesian networks: densities of preactivations of source and target, their spread and their tails."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.extrapolation import infinite_width
from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.style import (
    GREY,
    ORIGIN_COLOUR,
    REFERENCE_COLOUR,
    colours,
    coupling_axis,
    coupling_name,
    draw_curve,
    name_looks,
    new_figure,
    panel_titles,
)
from infwidth.io.rows import largest
from infwidth.io.tables import select

READS_ARRAYS = True
METRICS = {"preactivation_std": "standard deviation of h", "preactivation_excess_kurtosis": "excess kurtosis of h"}
LOWEST = 1e-4


def draw(table: pd.DataFrame, arrays: Mapping[str, np.ndarray]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    A row an experiment: the densities of one data set at the largest overlap, theory as lines and networks as dots;
    standard deviation and excess kurtosis against δ, means over data sets, with the source's at the left.

    Args:
        table: the experiments' tables, with representations.
        arrays: the arrays beside them.
    """
    entries = pd.DataFrame({name: list(arrays[name]) for name in arrays if name not in ("edges", "kernel")})
    middle = (arrays["edges"][1:] + arrays["edges"][:-1]) / 2
    couplings = entries.loc[entries["condition"] == "transfer", "elastic_coupling"].unique()
    palette = colours(couplings, "elastic_coupling")
    experiments = panel_titles(table)
    rows = select(infinite_width(largest(table, "overlap")), metric=list(METRICS), condition=["transfer", "source"])
    points = mean_over_seeds(rows)
    figure, grid = new_figure(len(experiments), 3)
    plotted = [points]
    for (experiment, title), panels in zip(experiments.items(), grid, strict=True):
        chosen = largest(entries[entries["experiment"] == experiment], "overlap")
        chosen = chosen[chosen["seed"] == chosen["seed"].min()]
        for entry in chosen.itertuples():
            look = {"linestyle": "-"} if entry.kind == "theory" else {"linestyle": "", "marker": ".", "markersize": 3}
            colour = palette.get(entry.elastic_coupling, ORIGIN_COLOUR)
            panels[0].plot(middle, entry.density, color=colour, linewidth=1.2, **look)
            named = {"experiment": experiment, "kind": entry.kind, "condition": entry.condition, "metric": "density"}
            named |= {"elastic_coupling": entry.elastic_coupling, "seed": entry.seed, "width": entry.width}
            plotted.append(pd.DataFrame({**named, "preactivation": middle, "mean": entry.density}))
        panels[0].plot(
            middle, np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi), color=REFERENCE_COLOUR, linewidth=0.8, zorder=1
        )
        reach = np.abs(middle[(np.stack([*chosen["density"]]) > LOWEST).any(0)]).max(initial=1.0)
        panels[0].set(yscale="log", ylim=(LOWEST, None), xlim=(-reach, reach))
        panels[0].set(xlabel="preactivation h", ylabel="density", title=title)
        widest = chosen.loc[chosen["kind"] == "network", "width"].max()
        if widest == widest:
            where = {"transform": panels[0].transAxes, "va": "top", "fontsize": "small"}
            panels[0].text(0.02, 0.96, f"dots: N = {widest:g}", **where)
        for (metric, name), axes in zip(METRICS.items(), panels[1:], strict=True):
            shown = select(points, experiment=experiment, metric=metric)
            positions = coupling_axis(axes, shown["elastic_coupling"].dropna())
            draw_curve(axes, shown["elastic_coupling"].map(positions), shown, colour=GREY)
            source = select(shown, condition="source")
            place = min(positions.values()) - 0.6
            for kind, one in source.groupby("kind"):  # of the theory a dash, as one point makes no line
                ends = [place - 0.2, place + 0.2] if kind == "theory" else [place]
                draw_curve(axes, ends, pd.concat([one] * len(ends)), colour=ORIGIN_COLOUR)
            axes.set(ylabel=name)
    names = {colour: f"target, δ = {coupling_name(coupling)}" for coupling, colour in palette.items()}
    name_looks(figure, points, {ORIGIN_COLOUR: "source", **names, REFERENCE_COLOUR: "N(0, 1)"})
    return figure, pd.concat(plotted, ignore_index=True)
