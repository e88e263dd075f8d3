"""Image classes, gradient flow: final test loss and error against δ for each γ, with both controls."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.seeds import at_last_time, mean_over_seeds, widest
from infwidth.figures.style import colours, coupling_axis, draw_curve, name_looks, new_figure
from infwidth.io.tables import select


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows. Theory is drawn where the table has it.

    Args:
        table: the experiment's table.
    """
    points = mean_over_seeds(at_last_time(select(widest(table), metric=["test_loss", "test_error"])))
    palette = colours(points["target_strength"].unique())
    figure, (panels,) = new_figure(1, 2)
    for metric, axes in zip(("test_loss", "test_error"), panels, strict=True):
        couplings = points["elastic_coupling"].dropna()
        positions = coupling_axis(axes, couplings)
        chosen = select(points, metric=metric)
        for (strength, condition), curve in chosen.groupby(["target_strength", "condition"]):
            if condition == "scratch":  # has no δ: a level across the panel
                curve = pd.concat(
                    [curve.assign(elastic_coupling=coupling) for coupling in (couplings.min(), couplings.max())]
                )
            x = curve["elastic_coupling"].map(positions)
            draw_curve(axes, x, curve, colour=palette[strength], condition=condition)
        axes.set(ylabel=metric.replace("_", " "), title=table["dataset"].iloc[0])
    name_looks(panels[0], points, {colour: f"γ = {strength:g}" for strength, colour in palette.items()})
    return figure, points
