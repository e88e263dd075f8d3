"""What figures of ADAM* studies share: curves against the number of features, and powers fitted to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from infwidth.analysis.seeds import jackknife, mean_over_seeds
from infwidth.figures.parts.optimiser_looks import OPTIMISER_NAMES, optimiser_colours
from infwidth.figures.parts.style import Shade, plain_numbers

UNKNOWN = Shade((0.35, 0.35, 0.35), "h")


def looks(optimisers: Iterable[str]) -> dict[str, tuple[str, Shade]]:
    """Optimiser → its name and colour, in the order of legends: those of every figure, others grey under their own."""
    used = {name for name in optimisers if isinstance(name, str)}
    known = {name: (OPTIMISER_NAMES[name], colour) for name, colour in optimiser_colours(used).items()}
    return known | {name: (name.replace("_", " "), UNKNOWN) for name in sorted(used - set(known))}


def draw_over_width(axes: Axes, points: pd.DataFrame, colour: tuple, *, shift: float = 1.0, label: str = "") -> None:
    """Draw averaged points against width on a logarithmic axis: networks joined, infinite width a dashed level.

    Args:
        axes: where; logarithmic in x.
        points: rows with ``kind``, ``width``, ``mean``, ``stderr``, ``converged``, of one curve.
        colour: its colour.
        shift: factor on x that keeps the bars of several curves apart.
        label: its entry in a legend.
    """
    limit = points[points["kind"] == "theory"]
    networks = points[points["kind"] == "network"].sort_values("width")
    x, error = networks["width"] * shift, networks["stderr"].fillna(0.0)
    marker = getattr(colour, "marker", "o")
    axes.errorbar(x, networks["mean"], error, color=colour, capsize=2, linewidth=0.9, elinewidth=0.9)
    axes.plot([], [], color=colour, marker=marker, markersize=4, linewidth=0.9, label=label or None)
    faces = [colour if converged else "white" for converged in networks["converged"]]
    axes.scatter(x, networks["mean"], s=15, marker=marker, facecolors=faces, edgecolors=[colour], zorder=3)
    for _, row in limit.iterrows():
        axes.axhline(row["mean"], color=colour, linestyle="--", linewidth=1.1)
        if math.isfinite(row["stderr"]):
            axes.axhspan(row["mean"] - row["stderr"], row["mean"] + row["stderr"], color=colour, alpha=0.1, linewidth=0)


def width_axis(axes: Axes, widths: Iterable[float], label: str = "features H") -> None:
    """Make x a logarithmic axis with a tick at each finite width, or at every other one of many."""
    values = sorted({float(width) for width in widths if math.isfinite(width)})
    axes.set_xscale("log")
    shown = values if len(values) <= 5 else values[::-2][::-1]
    axes.set_xticks(shown, [f"{value:g}" for value in shown])
    axes.minorticks_off()
    axes.set_xlabel(label)


def log_values(axes: Axes) -> None:
    """Make y logarithmic, with plain numbers at its ticks, three a decade."""
    axes.set_yscale("log")
    plain_numbers(axes.yaxis, (1, 2, 5))


def legend_under(axes: Axes, size: float) -> None:
    """Give a panel of logarithmic values a legend, ``size`` points large, in room made for it below the curves."""
    look = {"handlelength": 1, "handletextpad": 0.4, "borderaxespad": 0.2}
    entries = axes.legend(frameon=False, fontsize=size, loc="lower left", **look).get_texts()
    height = axes.figure.get_size_inches()[1] / axes.get_subplotspec().get_gridspec().nrows - 0.8  # title and ticks
    share = min((1.6 * len(entries) + 0.6) * size / 72 / height, 0.6)
    low, high = np.log10(axes.get_ylim())
    axes.set_ylim(bottom=10 ** (low - (high - low) * share / (1 - share)))


def fitted_power(
    rows: pd.DataFrame, averaged: Callable[[pd.DataFrame], pd.DataFrame] = mean_over_seeds
) -> tuple[float, float, str]:
    """Fit mean ∝ H^a by least squares in logarithms.

    Args:
        rows: rows of the table, of one curve.
        averaged: what takes them to points with ``width`` and ``mean``; those that aren't positive are left out.

    Returns:
        a, its standard error from leaving out one seed at a time, and both as a legend has them; NaN for fewer than two
        points, and the error for fewer than two seeds.
    """
    slope, error, _ = jackknife(lambda some: _slope(averaged(some)), rows)
    digits = 3 if error < 0.005 else 2
    spelt = f"{slope:.{digits}f}" + ("" if math.isnan(error) else f" ± {error:.{digits}f}")
    return slope, error, "" if math.isnan(slope) else f"slope {spelt}".replace("-", "−")


def _slope(points: pd.DataFrame) -> float:
    kept = points[(points["mean"] > 0) & np.isfinite(points["width"])]
    if len(kept) < 2:
        return math.nan
    return float(np.polyfit(np.log(kept["width"]), np.log(kept["mean"]), 1)[0])
