"""Source and target both learn features, without a tie: early stopping, and what γ does (docs/version_two.md)."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.style import colours, draw_curve, log_ticks, name_looks, new_figure, time_axis
from infwidth.io.rows import widest
from infwidth.io.tables import select


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    A row an experiment, at its least δ: test loss over time for each γ of the target; the least over time (dashed) and
    the last against γ; the excess kurtosis of the target's preactivations at its end, and where it began (thin).

    Args:
        table: the experiments' tables, with representations.
    """
    rows = widest(table)
    rows = rows[rows["condition"].isin(["transfer", "scratch"])]
    least = rows.groupby("experiment")["elastic_coupling"].transform("min")
    rows = rows[(rows["elastic_coupling"] == least) | (rows["condition"] == "scratch")]
    points = mean_over_seeds(select(rows, metric=["test_loss", "preactivation_excess_kurtosis"]))
    palette = colours(points["target_strength"].unique())
    names = table.groupby("experiment", sort=False)["dataset"].first()
    figure, grid = new_figure(len(names), 3)
    for (experiment, dataset), (course, stopped, tails) in zip(names.items(), grid, strict=True):
        own = select(points, experiment=experiment)
        loss = select(own, metric="test_loss")
        positions = time_axis(course, loss["time"])
        for (strength, condition), curve in loss.groupby(["target_strength", "condition"]):
            draw_curve(course, curve["time"].map(positions), curve, colour=palette[strength], condition=condition)
        course.set(ylabel="test loss", ylim=(0, None), title=dataset)

        places = log_ticks(stopped, loss["target_strength"])
        transfer = select(loss, condition="transfer")
        last = transfer[transfer["time"] == transfer["time"].max()]
        lowest = transfer.loc[transfer.groupby(["kind", "target_strength"])["mean"].idxmin()]
        draw_curve(stopped, last["target_strength"].map(places), last, colour=(0.2, 0.4, 0.7))
        draw_curve(
            stopped, lowest["target_strength"].map(places), lowest, colour=(0.8, 0.45, 0.1), condition="random_anchor"
        )
        stopped.set(xlabel="feature learning of the target, γ", ylabel="test loss", ylim=(0, None))
        stopped.set_title("at the end (blue), at its least (orange)")

        kurtosis = select(own, metric="preactivation_excess_kurtosis", condition="transfer")
        log_ticks(tails, loss["target_strength"])
        for time, colour in ((kurtosis["time"].min(), (0.6, 0.6, 0.6)), (kurtosis["time"].max(), (0.2, 0.4, 0.7))):
            curve = kurtosis[kurtosis["time"] == time]
            draw_curve(tails, curve["target_strength"].map(places), curve, colour=colour)
        tails.set(xlabel="feature learning of the target, γ", ylabel="excess kurtosis of preactivations")
        tails.set_title("before (grey) and after target training")
    name_looks(figure, points, {colour: f"γ = {strength:g}" for strength, colour in palette.items()})
    return figure, points
