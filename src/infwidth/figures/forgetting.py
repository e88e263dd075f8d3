"""What target training leaves of the source: its test loss, old readout and one trained anew (docs/version_two.md)."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.style import colours, coupling_axis, draw_curve, name_looks, new_figure
from infwidth.io.tables import select

METRICS = {
    "source_loss_old_readout": "the source's readout kept",
    "source_loss_refitted": "readout trained anew on the source",
}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    A row an experiment: the source's test loss after the target's training against δ for each γ of the target, with the
    source's readout and with one trained anew. The grey line is the source itself.

    Args:
        table: the experiments' tables.
    """
    points = mean_over_seeds(table)
    after = points[(points["condition"] == "transfer") & (points["time"] > 0)]
    experiments = list(dict.fromkeys(table["experiment"]))
    palette = colours(after["target_strength"].unique())
    figure, grid = new_figure(len(experiments), len(METRICS))
    for panels, experiment in zip(grid, experiments, strict=True):
        own = select(after, experiment=experiment)
        before = select(points, experiment=experiment, condition="source", kind="theory")["mean"].mean()
        for axes, (metric, words) in zip(panels, METRICS.items(), strict=True):
            positions = coupling_axis(axes, own["elastic_coupling"])
            axes.axhline(before, color="0.6", linewidth=1.2)
            for strength, colour in palette.items():
                curve = select(own, metric=metric, target_strength=strength)
                draw_curve(axes, curve["elastic_coupling"].map(positions), curve, colour=colour)
            axes.set(ylabel="test loss of the source", title=f"{words}\n{own['dataset'].iloc[0]}")
            axes.set_ylim(bottom=0)
    name_looks(figure, after, {colour: f"γ = {strength:g}" for strength, colour in palette.items()})
    return figure, points[points["condition"].isin(("source", "transfer"))].reset_index(drop=True)
