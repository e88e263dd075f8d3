"""What one network's test loss gains at finite width, beside c/N, and what c is made of (docs/finite_width.md)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infwidth.analysis.seeds import mean_over_seeds, relative_difference
from infwidth.figures.parts.over_width import log_values, width_axis
from infwidth.figures.parts.style import (
    GREY,
    Shade,
    colours,
    coupling_axis,
    coupling_name,
    entry,
    legend_below,
    new_figure,
    side_by_side,
)
from infwidth.io.rows import at_last_time
from infwidth.io.tables import KEYS, select

LOSS, COEFFICIENT = "sampled_test_loss", "sampled_test_loss_deviation"
TRAINED = {"test_loss": LOSS, "test_loss_deviation": COEFFICIENT}
"""The same of networks under gradient flow, whose losses are those of one network anyway."""
PARTS = {
    "mean_deviation": ("shift of the mean", "s", (0.0, 0.45, 0.70)),
    "thermal_deviation": ("scatter of networks", "^", (0.84, 0.37, 0.0)),
    "source_deviation": ("scatter of the source", "D", (0.0, 0.62, 0.45)),
    COEFFICIENT: ("c, their sum", "o", (0.1, 0.1, 0.1)),
}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    Two rows an experiment, one column of panels an overlap. Above, by how much the test loss of one network (sampled,
    or at the end of its training) exceeds E_∞ on the same data sets, against its width, and the theory's c/N. Below, c
    and its parts against δ.

    Args:
        table: the experiments' tables.
    """
    rows = _one_network(select(at_last_time(table), condition="transfer"))
    points, beyond = mean_over_seeds(rows), relative_difference(_corrected(rows))
    palette = colours(points["elastic_coupling"].unique(), "elastic_coupling")
    experiments = list(dict.fromkeys(rows["experiment"]))
    figure, grid = new_figure(2 * len(experiments), rows.groupby("experiment")["overlap"].nunique().max())
    plotted = []
    for experiment, panels in zip(experiments, grid.reshape(len(experiments), 2, -1), strict=True):
        own = select(rows, experiment=experiment)
        name = f"{own['dataset'].iloc[0]}{', gradient flow' if own['time'].notna().any() else ''}"
        overlaps = sorted(own["overlap"].unique())
        for axes in panels[:, len(overlaps) :].flat:
            axes.set_visible(False)
        for overlap, (above, below) in zip(overlaps, panels.T, strict=False):
            place = {"experiment": experiment, "overlap": overlap}
            theory = select(points, kind="theory", **place)
            plotted += [_draw_widths(above, select(beyond, **place), theory, palette), _draw_parts(below, theory)]
            above.set_title(f"{name}, α = {overlap:g}")
            below.set_title(f"what c is made of, α = {overlap:g}")
        panels[0, 0].set_ylabel("loss of one network\nabove E∞, %")
        panels[1, 0].set_ylabel("c, test loss × width")
    _name(figure, palette)
    return figure, pd.concat(plotted, ignore_index=True)


def _one_network(rows: pd.DataFrame) -> pd.DataFrame:
    """Losses of one network, and c with its parts, by the names that posteriors' have."""
    sampled = rows["experiment"].isin(rows.loc[rows["metric"] == LOSS, "experiment"])
    names = rows["metric"].where(sampled, rows["metric"].replace(TRAINED))
    return select(rows.assign(metric=names), metric=[LOSS, *PARTS])


def _corrected(rows: pd.DataFrame) -> pd.DataFrame:
    """Losses of theory and of networks, from these c/N of their own data set taken off: c depends on it as E_∞ does."""
    theory, networks = select(rows, kind="theory"), select(rows, kind="network", metric=LOSS)
    keys = [key for key in KEYS if key not in ("kind", "width", "metric")]
    coefficient = select(theory, metric=COEFFICIENT).rename(columns={"value": "coefficient"})[[*keys, "coefficient"]]
    found = networks.merge(coefficient, on=keys)
    found["value"] -= found.pop("coefficient") / found["width"]
    return pd.concat([select(theory, metric=LOSS), found], ignore_index=True)


def _name(figure: Figure, palette: dict[float, Shade]) -> None:
    entries = [
        *(entry(colour, f"δ = {coupling_name(coupling)}") for coupling, colour in palette.items()),
        entry(GREY, "theory, c/N", marker=""),
        entry(GREY, "networks ± standard error", linestyle=""),
        *(entry(colour, name, marker=marker) for name, marker, colour in PARTS.values()),
    ]
    legend_below(figure, entries)


def _draw_widths(axes: Axes, networks: pd.DataFrame, theory: pd.DataFrame, palette: dict[float, Shade]) -> pd.DataFrame:
    """Draw networks and theory of one overlap, relative to E_∞; return the networks with what is predicted of them.

    Args:
        axes: where.
        networks: by how much networks exceed E_∞ + c/N, relative to E_∞, with errors over data sets.
        theory: E_∞ and c.
        palette: δ → colour.
    """
    width_axis(axes, networks["width"], "width N")
    limits, coefficients = (
        select(theory, metric=metric).set_index("elastic_coupling")["mean"] for metric in (LOSS, COEFFICIENT)
    )
    shifts = side_by_side(list(palette), step=0.05)
    line = np.geomspace(0.85 * networks["width"].min(), 1.25 * networks["width"].max(), 50)
    drawn = []
    for coupling, rows in networks.groupby("elastic_coupling"):
        colour, slope = palette[coupling], coefficients[coupling] / limits[coupling]
        axes.plot(line, 100 * slope / line, color=colour, linewidth=1.2)
        rows = rows.assign(predicted=slope / rows["width"])
        rows["mean"] += rows["predicted"]
        x, y, error = rows["width"] * np.exp(shifts[coupling]), 100 * rows["mean"], 100 * rows["stderr"].fillna(0.0)
        axes.errorbar(x, y, error, color=colour, fmt="none", capsize=2, elinewidth=0.9)
        faces = [colour if converged else "white" for converged in rows["converged"]]
        axes.scatter(x, y, s=15, marker=colour.marker, facecolors=faces, edgecolors=[colour], zorder=3)
        drawn.append(rows.assign(limit=limits[coupling], one_percent_width=100 * abs(slope)))
    found = pd.concat(drawn)
    if (found["predicted"] > 0).all():
        log_values(axes)
        axes.set_ylim(bottom=50 * found["predicted"].min())
    else:  # some networks do better than infinitely wide ones
        axes.set_yscale("linear")
        axes.axhline(0, color="0.3", linewidth=1)
    return found


def _draw_parts(axes: Axes, theory: pd.DataFrame) -> pd.DataFrame:
    """Draw c of one overlap and its parts; return them."""
    rows = select(theory, metric=list(PARTS))
    positions = coupling_axis(axes, rows["elastic_coupling"])
    axes.axhline(0, color="0.3", linewidth=1)
    for metric, (_, marker, colour) in PARTS.items():
        own = select(rows, metric=metric).sort_values("elastic_coupling")
        x, error = own["elastic_coupling"].map(positions), own["stderr"].fillna(0.0)
        axes.errorbar(x, own["mean"], error, color=colour, marker=marker, markersize=3.5, linewidth=1, capsize=2)
    return rows
