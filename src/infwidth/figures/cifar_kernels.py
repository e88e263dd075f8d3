"""Image classes, gradient flow: kernel matrices sorted by class, of the source, and of the target before and after."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from infwidth.figures.parts.style import PAGE, coupling_name, new_figure
from infwidth.io.tables import select

READS_ARRAYS = True


def draw(table: pd.DataFrame, arrays: Mapping[str, np.ndarray]) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows: one data set, the largest γ, theory above networks.

    Every kernel is divided by the mean of its diagonal, so that one colour scale serves all. The alignment in a
    title is that of the whole training set, from the table.

    Args:
        table: the experiment's table, with representations.
        arrays: the arrays beside it.
    """
    entries = pd.DataFrame({name: list(arrays[name]) for name in arrays if name not in ("edges", "density")})
    entries = entries[entries["seed"] == entries["seed"].min()]
    transfer = entries[entries["condition"] == "transfer"]
    strength = transfer["target_strength"].max()
    transfer = transfer[transfer["target_strength"] == strength]
    couplings = np.sort(transfer["elastic_coupling"].unique())
    shown = couplings[np.unique([0, len(couplings) // 2, len(couplings) - 1])]
    begun = (transfer["time"] == transfer["time"].min()) & (transfer["elastic_coupling"] == couplings[0])
    panels = {
        "source": entries[entries["condition"] == "source"],
        "target, before": transfer[begun],
        **{
            f"after, δ = {coupling_name(coupling)}": transfer[
                (transfer["time"] == transfer["time"].max()) & (transfer["elastic_coupling"] == coupling)
            ]
            for coupling in shown
        },
    }
    kinds = [kind for kind in ("theory", "network") if (entries["kind"] == kind).any()]
    figure, grid = new_figure(len(kinds), len(panels))
    figure.set_size_inches(PAGE, 1.65 * len(kinds) + 0.75)
    plotted, image = [], None
    for row, kind in zip(grid, kinds, strict=True):
        for (name, found), axes in zip(panels.items(), row, strict=True):
            entry = found[found["kind"] == kind].iloc[0]
            size = np.isfinite(np.diag(entry["kernel"])).sum()  # smaller sets fill but a corner
            kernel = entry["kernel"][:size, :size]
            kernel = kernel / np.diag(kernel).mean()
            image = axes.imshow(kernel, vmin=0, vmax=1.5, cmap="viridis")
            for line in (axes.axhline, axes.axvline):
                line(len(kernel) / 2 - 0.5, color="white", linewidth=0.7)
            axes.set(xticks=[], yticks=[], title=f"{name}\nalignment {_alignment(table, entry):.2f}")
            axes.title.set_fontsize(7)
            i, j = np.indices(kernel.shape)
            values = {"row": i.ravel(), "column": j.ravel(), "value": kernel.ravel().round(6)}
            plotted.append(pd.DataFrame({"kind": kind, "panel": name, **values}))
        row[0].set_ylabel(kind if kind == "theory" else f"networks, N = {entry['width']:g}")
    figure.suptitle(f"{table['dataset'].iloc[0]}, γ = {strength:g}; samples sorted by class", fontsize=8)
    figure.colorbar(image, ax=grid, location="bottom", shrink=0.5, aspect=40, label="kernel Φ / mean of its diagonal")
    return figure, pd.concat(plotted, ignore_index=True)


def _alignment(table: pd.DataFrame, entry: pd.Series) -> float:
    """The table's alignment of the whole training set at an entry."""
    names = ("kind", "condition", "width", "target_strength", "elastic_coupling", "time", "seed", "n_target")
    where = {name: None if pd.isna(entry[name]) else entry[name] for name in names}
    return float(select(table, metric="kernel_alignment", **where)["value"].iloc[0])
