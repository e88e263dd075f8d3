"""The theory of single data sets beside its average over data sets, as the dimension grows (docs/averaged.md)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.over_width import log_values, width_axis
from infwidth.figures.parts.style import GREY, colours, coupling_name, entry, legend_below, new_figure, side_by_side
from infwidth.io.tables import select

GUIDES = {"bias": -1.0, "scatter": -0.5}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    One row of panels an overlap, against D: the population's test loss, mean over data sets, and what it tends to; its
    distance from that, beside 1/D; and its standard deviation over data sets, beside 1/√D.

    Args:
        table: the experiment's table.
    """
    points = mean_over_seeds(table)
    palette = colours(points["elastic_coupling"].unique(), "elastic_coupling")
    overlaps = sorted(points["overlap"].unique())
    figure, grid = new_figure(len(overlaps), 3)
    for overlap, (loss, bias, scatter) in zip(overlaps, grid, strict=True):
        shown = select(points, overlap=overlap)
        for axes in (loss, bias, scatter):
            width_axis(axes, shown["dimension"], "input dimension D")
        _draw_losses(loss, shown, palette)
        loss.set(ylabel="test loss", title=f"{table['dataset'].iloc[0]}, α = {overlap:g}")
        for axes, metric, label in (
            (bias, "bias", "distance of the mean,"),
            (scatter, "scatter", "scatter of data sets,"),
        ):
            _draw_power(axes, select(shown, metric=metric), palette)
            axes.set_ylabel(f"{label}\n% of the average")
        bias.set_title("mean over data sets")
        scatter.set_title("one data set")
    entries = [
        entry(colour, f"data sets, δ = {coupling_name(coupling)}, ± standard error", linestyle="")
        for coupling, colour in palette.items()
    ]
    entries.append(entry(GREY, "average over data sets, D → ∞", linestyle="--", marker=""))
    entries.append(entry(GREY, "power 1/D, right 1/√D", linestyle=":", marker=""))
    legend_below(figure, entries)
    return figure, points


def _draw_losses(axes: Axes, points: pd.DataFrame, palette: dict[float, tuple]) -> None:
    shifts = side_by_side(list(palette), step=0.05)
    for coupling, colour in palette.items():
        own = select(points, elastic_coupling=coupling)
        limit = select(own, metric="averaged_test_loss").sort_values("dimension")
        axes.plot(limit["dimension"], limit["mean"], color=colour, linestyle="--", linewidth=1.1)
        _bars(axes, select(own, metric="test_loss"), colour, np.exp(shifts[coupling]))
    axes.set_ylim(bottom=0)


def _draw_power(axes: Axes, rows: pd.DataFrame, palette: dict[float, tuple]) -> None:
    """Sizes in per cent on logarithmic axes, and a line of the power that they should have from the first on."""
    shifts = side_by_side(list(palette), step=0.05)
    power = GUIDES[rows["metric"].iloc[0]]
    first = rows[rows["dimension"] == rows["dimension"].min()]["mean"].abs().max()
    places = np.array([rows["dimension"].min(), rows["dimension"].max()])
    axes.plot(places, 100 * first * (places / places[0]) ** power, color="0.3", linestyle=":", linewidth=1.2)
    for coupling, colour in palette.items():
        own = select(rows, elastic_coupling=coupling)
        sizes = own.assign(mean=100 * own["mean"].abs(), stderr=100 * own["stderr"])
        _bars(axes, sizes, colour, np.exp(shifts[coupling]))
    log_values(axes)
    axes.set_ylim(bottom=0.3 * 100 * first * (places[1] / places[0]) ** power)


def _bars(axes: Axes, rows: pd.DataFrame, colour: tuple, shift: float) -> None:
    x, error = rows["dimension"] * shift, rows["stderr"].fillna(0.0)
    axes.errorbar(x, rows["mean"], error, color=colour, fmt=colour.marker, markersize=3.5, capsize=2, elinewidth=0.9)
