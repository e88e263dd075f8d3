"""Image classes, gradient flow: densities of preactivations before and after training, their spread and tails."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.extrapolation import infinite_width
from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.style import (
    ORIGIN_COLOUR,
    REFERENCE_COLOUR,
    colours,
    coupling_name,
    draw_curve,
    log_ticks,
    name_looks,
    new_figure,
    side_by_side,
)
from infwidth.io.tables import select

READS_ARRAYS = True
METRICS = {"preactivation_std": "standard deviation of h", "preactivation_excess_kurtosis": "excess kurtosis of h"}
LOWEST = 1e-4


def draw(table: pd.DataFrame, arrays: Mapping[str, np.ndarray]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Above, the density of one data set's preactivations for each γ: theory as a line, networks as dots. Below,
    their standard deviation and excess kurtosis against γ, means over data sets.

    Args:
        table: the experiment's table, with representations.
        arrays: the arrays beside it.
    """
    entries = pd.DataFrame({name: list(arrays[name]) for name in arrays if name not in ("edges", "kernel")})
    entries = entries[(entries["condition"] == "transfer") & (entries["seed"] == entries["seed"].min())]
    strengths = sorted(entries["target_strength"].unique())
    couplings = sorted(entries["elastic_coupling"].unique())
    palette = colours(couplings, "elastic_coupling")
    middle = (arrays["edges"][1:] + arrays["edges"][:-1]) / 2
    first, last = entries["time"].min(), entries["time"].max()
    figure, grid = new_figure(2, max(2, len(strengths)))
    plotted = []
    for strength, axes in zip(strengths, grid[0], strict=False):
        chosen = entries[entries["target_strength"] == strength]
        before = chosen[(chosen["time"] == first) & (chosen["elastic_coupling"] == couplings[0])]
        after = chosen[chosen["time"] == last]
        for entry in [*before.itertuples(), *after.itertuples()]:
            start = entry.time == first
            colour = ORIGIN_COLOUR if start else palette[entry.elastic_coupling]
            look = {"linestyle": "-"} if entry.kind == "theory" else {"linestyle": "", "marker": ".", "markersize": 3}
            axes.plot(middle, entry.density, color=colour, linewidth=1.2, zorder=4 if start else 2, **look)
            named = {"kind": entry.kind, "metric": "density", "target_strength": strength, "time": entry.time}
            named |= {"elastic_coupling": entry.elastic_coupling, "seed": entry.seed}
            plotted.append(pd.DataFrame({**named, "preactivation": middle, "mean": entry.density}))
        axes.plot(
            middle, np.exp(-(middle**2) / 2) / np.sqrt(2 * np.pi), color=REFERENCE_COLOUR, linewidth=0.8, zorder=1
        )
        densities = np.stack([*after["density"], *before["density"]])
        reach = np.abs(middle[(densities > LOWEST).any(0)]).max(initial=1.0)
        axes.set(yscale="log", ylim=(LOWEST, None), xlim=(-reach, reach), xlabel="preactivation h", ylabel="density")
        axes.set_title(f"{table['dataset'].iloc[0]}, γ = {strength:g}")

    widest = entries.loc[entries["kind"] == "network", "width"].max()
    grid[0, 0].text(0.02, 0.96, f"dots: N = {widest:g}", transform=grid[0, 0].transAxes, va="top", fontsize="small")

    rows = select(infinite_width(table), metric=list(METRICS), condition="transfer")
    points = mean_over_seeds(rows)
    begun, ended = (points[points["time"] == time] for time in (rows["time"].min(), rows["time"].max()))
    shifts = side_by_side(couplings, step=0.02)
    for (metric, name), axes in zip(METRICS.items(), grid[1], strict=False):
        positions = log_ticks(axes, strengths)
        for coupling, curve in select(ended, metric=metric).groupby("elastic_coupling"):
            x = curve["target_strength"].map(positions) + shifts[coupling]
            draw_curve(axes, x, curve, colour=palette[coupling])
        start = select(begun, metric=metric, elastic_coupling=couplings[0])
        draw_curve(axes, start["target_strength"].map(positions), start, colour=ORIGIN_COLOUR)
        axes.set(xlabel="target strength γ", ylabel=name)
    for axes in [*grid[0][len(strengths) :], *grid[1][len(METRICS) :]]:
        axes.set_visible(False)
    names = {colour: f"after, δ = {coupling_name(coupling)}" for coupling, colour in palette.items()}
    name_looks(figure, points, {ORIGIN_COLOUR: "before target training", **names, REFERENCE_COLOUR: "N(0, 1)"})
    return figure, pd.concat([*plotted, points], ignore_index=True)
