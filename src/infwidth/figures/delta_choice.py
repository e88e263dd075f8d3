"""Which δ to choose: true test loss, leave-one-out error and evidence against δ, and what each choice costs."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.analysis.coupling_choice import CRITERIA, choices
from infwidth.analysis.seeds import mean_over_seeds
from infwidth.figures.parts.style import (
    GREY,
    SERIES,
    colours,
    coupling_axis,
    draw_curve,
    entry,
    legend_below,
    new_figure,
    panel_titles,
)
from infwidth.io.tables import select

NAMES = {"leave_one_out": "leave-one-out", "log_evidence_density": "evidence"}


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    A row an experiment: test loss (solid) and leave-one-out error (dashed) for each overlap, means over data sets;
    log-evidence a neuron; and how much higher than at the best δ the test loss is at the δ that each picks.

    Args:
        table: the experiments' tables, one below the other.
    """
    rows = select(table, kind="theory", condition="transfer", metric=["test_loss", *CRITERIA])
    rows = rows.assign(overlap=rows["overlap"].fillna(1.0))
    points, found = mean_over_seeds(rows), choices(table)
    palette = colours(rows["overlap"].unique(), "overlap")
    experiments = panel_titles(table)
    figure, grid = new_figure(len(experiments), 3)
    summaries = []
    for (experiment, title), panels in zip(experiments.items(), grid, strict=True):
        shown = select(points, experiment=experiment)
        for metric, axes, look in (
            ("test_loss", panels[0], "transfer"),
            ("leave_one_out", panels[0], "random_anchor"),
            ("log_evidence_density", panels[1], "transfer"),
        ):
            positions = coupling_axis(axes, shown["elastic_coupling"])
            for overlap, curve in select(shown, metric=metric).groupby("overlap"):
                x = curve["elastic_coupling"].map(positions)
                draw_curve(axes, x, curve, colour=palette[overlap], condition=look)
        panels[0].set(ylabel="loss", yscale="log", title=title)
        panels[1].set(ylabel="log-evidence a neuron")
        summaries.append(_draw_cost(panels[2], found[found["experiment"] == experiment]))
    handles = [entry(colour, f"α = {overlap:g}") for overlap, colour in palette.items()]
    looks = {"test loss": "-", f"{NAMES['leave_one_out']} error": "--"}
    handles += [entry(GREY, name, linestyle=look, marker="") for name, look in looks.items()]
    handles.append(entry(GREY, "bands, bars: ± standard error", linestyle="", marker=""))
    legend_below(figure, handles)
    return figure, pd.concat([points, *summaries], ignore_index=True)


def _draw_cost(axes, found: pd.DataFrame) -> pd.DataFrame:
    """Mean excess loss of each criterion as bars with standard errors, and how often it picked the best δ."""
    axes.set(ylabel="excess loss at\nthe δ chosen, %")
    if found.empty:  # no task where every δ was solved
        return found
    grouped = found.groupby(["experiment", "criterion"])
    summary = grouped.agg(mean=("excess", "mean"), stderr=("excess", "sem"), hits=("hit", "sum"), tasks=("hit", "size"))
    summary = summary.reset_index().set_index("criterion").reindex(list(CRITERIA)).reset_index()
    names = [f"{NAMES[row.criterion]}\nbest in {row.hits:g}\nof {row.tasks:g}" for row in summary.itertuples()]
    error = 100 * summary["stderr"].fillna(0)
    axes.bar(names, 100 * summary["mean"], yerr=error, color=SERIES[:2], edgecolor="black", linewidth=0.6, capsize=3)
    return summary.assign(metric="excess_loss", kind="theory")
