"""Language models: test loss against the width of MLP blocks for each way to train their readouts, and the sweeps."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from infwidth.adam_ntk.variants import NO_MLP
from infwidth.analysis.seeds import mean_over_seeds, paired_difference
from infwidth.figures.parts.optimiser_looks import name_optimisers, optimiser_colours
from infwidth.figures.parts.style import draw_curve, log_ticks, new_figure, panel_titles, plain_numbers, side_by_side
from infwidth.io.rows import at_last_time
from infwidth.io.tables import select

BASE = "adam_star"


def draw(table: pd.DataFrame) -> tuple[Figure, pd.DataFrame]:
    """Return the figure and the numbers it shows.

    A row an experiment: test loss against H; its difference from ADAM* on the same seeds; and the loss of the sweep
    against the learning rate, relative to the one chosen, at the widest width. A rate whose training diverged has none.

    Args:
        table: the experiments' tables, one below the other.
    """
    network = table[table["kind"] == "network"]
    rows = at_last_time(select(network, metric="test_loss"))
    gaps = paired_difference(
        rows[~rows["optimiser"].isin([BASE, NO_MLP])],
        select(rows, optimiser=BASE),
        ignoring=("optimiser", "learning_rate"),
    )
    gaps = gaps.assign(metric="difference from ADAM*, %", mean=100 * gaps["mean"], stderr=100 * gaps["stderr"])
    sweeps = mean_over_seeds(select(network, metric="sweep_loss")).assign(stderr=0.0)
    points = pd.concat([mean_over_seeds(rows), gaps], ignore_index=True)
    palette = optimiser_colours(rows["optimiser"])
    experiments = panel_titles(table)
    figure, grid = new_figure(len(experiments), 3)
    for (experiment, title), panels in zip(experiments.items(), grid, strict=True):
        for metric, axes in zip(("test_loss", "difference from ADAM*, %"), panels[:2], strict=True):
            chosen = select(points, experiment=experiment, metric=metric)
            positions = log_ticks(axes, chosen["width"].dropna())
            names = [name for name in palette if name in set(chosen["optimiser"]) - {NO_MLP}]
            shifts = side_by_side(names, step=0.012)
            for name in names:
                curve = select(chosen, optimiser=name)
                draw_curve(axes, curve["width"].map(positions) + shifts[name], curve, colour=palette[name])
            for _, point in select(chosen, optimiser=NO_MLP).iterrows():
                axes.axhline(point["mean"], color=palette[NO_MLP], linestyle=":", linewidth=1)
            axes.set(xlabel="width H of MLP blocks", ylabel=metric.replace("test_loss", "test loss, nats"))
        panels[0].set_title(title)
        panels[1].axhline(0, color=palette.get(BASE, "0.3"), linewidth=1)
        _draw_sweep(panels[2], select(sweeps, experiment=experiment), chosen_rates(rows, experiment), palette)
    name_optimisers(figure, palette)
    return figure, pd.concat([points, sweeps], ignore_index=True)


def chosen_rates(rows: pd.DataFrame, experiment: str) -> dict[tuple[str, float], float]:
    """(optimiser, width) → the learning rate that the sweep chose."""
    rows = select(rows, experiment=experiment).dropna(subset=["learning_rate"])
    return rows.groupby(["optimiser", "width"])["learning_rate"].first().to_dict()


def _draw_sweep(axes, sweeps: pd.DataFrame, chosen: dict[tuple[str, float], float], palette: dict[str, tuple]) -> None:
    width = sweeps["width"].max()
    axes.set(xlabel="learning rate / the chosen one", ylabel="loss of the sweep, nats", xscale="log")
    plain_numbers(axes.xaxis, (1, 3))
    for name, curve in sweeps[sweeps["width"] == width].groupby("optimiser"):
        curve = curve.sort_values("learning_rate")
        x = curve["learning_rate"] / chosen.get((name, width), 1.0)
        draw_curve(axes, x, curve.assign(kind="network"), colour=palette[name])
    axes.set_title(f"sweep at H = {width:g}" if len(sweeps) else "no sweep")
