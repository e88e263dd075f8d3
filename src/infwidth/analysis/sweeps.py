"""Learning rates that a claim rests on: those on the edge of their sweep show nothing, and what the choice may cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from infwidth.io.rows import at_last_time, widest
from infwidth.io.tables import select
from infwidth.numerics.checks import InputError

if TYPE_CHECKING:
    import pandas as pd

TRAINED = ["dataset", "condition", "optimiser", "width"]
"""Columns that tell apart what has a sweep of its own."""
LOSSES = ("train_loss", "validation_loss", "test_loss")
"""Metrics in which a choice costs what it costs in the sweep."""
MOST_ON_EDGE = 0.5
"""The share of data sets from which a rate on the edge leaves a claim untested."""


def check_rates(table: pd.DataFrame, arguments: Mapping[str, Any]) -> None:
    """Refuse what was trained at a rate on the edge of its sweep, at half of the data sets or more.

    Args:
        table: the experiment's table.
        arguments: those of the claim's statistic, whose choices of rows say what it rests on.

    Raises:
        InputError: which optimiser, where, at which rate of which.
    """
    sweeps = select(table, metric="sweep_loss")
    if sweeps.empty:
        return
    tried = sweeps.groupby(TRAINED, dropna=False)["learning_rate"].agg(["min", "max", "nunique"])
    for rows in _rested_on(table, arguments):
        for key, chosen in rows.dropna(subset=["learning_rate"]).groupby(TRAINED, dropna=False):
            least, most, count = tried.loc[[key]].iloc[0] if key in tried.index else (0, 0, 0)
            rates = chosen.groupby("seed")["learning_rate"].first()
            edges = rates[(rates == least) | (rates == most)]
            if count > 1 and len(edges) >= MOST_ON_EDGE * len(rates):
                _, condition, optimiser, width = key
                where = f"{condition}, width {width:g}" if not _empty(width) else condition
                raise InputError(
                    f"{optimiser} ({where}) was trained at {edges.iloc[0]:g}, on the edge of the learning rates tried "
                    f"({least:g} … {most:g}), at {len(edges)} of {len(rates)} seeds: expected one inside; widen them"
                )


def choice_error(table: pd.DataFrame, rows: pd.DataFrame) -> float:
    """Standard error of the rows' mean from the choice of learning rates by a sweep that all data sets share.

    A rate is the argmin of noisy losses, so another would have been chosen with some probability, and the best lies
    between those tried. The square of the error is the mean square of what the sweep's curve changes by from the chosen
    rate to one chosen anew, its losses redrawn with the scatter of trainings of one seed that differ in their optimiser
    alone, and the square of what the parabola through the chosen rate and its neighbours gains at its lowest. Where
    each data set has a sweep of its own the choice is in their scatter, and this is 0.

    Args:
        table: the experiment's table.
        rows: those of one level.
    """
    sweeps = select(table, metric="sweep_loss")
    if sweeps.empty or table["seed"].nunique() < 2 or not rows["metric"].isin(LOSSES).all():
        return 0.0
    noise, square = _training_scatter(table), 0.0
    for key, part in rows.dropna(subset=["learning_rate"]).groupby(TRAINED, dropna=False):
        named = {name: None if _empty(value) else value for name, value in zip(TRAINED, key, strict=True)}
        curve = select(sweeps, **named).groupby("learning_rate")["value"].agg(["first", "nunique"])
        if len(curve) > 1 and (curve["nunique"] == 1).all():
            own = _choice_square(curve["first"], part["learning_rate"].iloc[0], noise)
            square += (len(part) / len(rows)) ** 2 * own
    return float(np.sqrt(square))


def _choice_square(losses: pd.Series, chosen: float, noise: float) -> float:
    """The mean square error of one level, from the losses of its sweep, indexed by rate."""
    values, place = losses.to_numpy(), losses.index.get_loc(chosen)
    offsets = values - values[place]
    gain = 0.0
    if 0 < place < len(values) - 1:
        near = slice(place - 1, place + 2)
        curvature, slope, _ = np.polyfit(np.log(losses.index.to_numpy()[near] / chosen), offsets[near], 2)
        gain = slope**2 / (4 * curvature) if curvature > 0 else 0.0
    return float(_chances_of_least(values, noise) @ offsets**2 + gain**2)


def _chances_of_least(losses: np.ndarray, noise: float) -> np.ndarray:
    """The probability of each to be the least when all are drawn with this normal noise."""
    from scipy.special import ndtr

    if not noise > 0:
        return (losses == losses.min()).astype(float)
    places = np.linspace(-8, 8, 321)
    density = np.exp(-(places**2) / 2)
    above = ndtr(-(places + (losses[:, None, None] - losses[None, :, None]) / noise))  # (one, other, place)
    above[np.arange(len(losses)), np.arange(len(losses))] = 1.0
    chances = above.prod(axis=1) @ density
    return chances / chances.sum()


def _training_scatter(table: pd.DataFrame) -> float:
    """Scatter of a final test loss over seeds, less what trainings of one seed and width share."""
    final = at_last_time(select(table, metric="test_loss").dropna(subset=["learning_rate"]))
    runs = final.pivot_table(index="seed", columns=["width", "optimiser"], values="value")
    within = runs.T.groupby(level="width")
    own = (runs.T - within.transform("mean")).T if within.ngroups < runs.shape[1] else runs
    freed = np.maximum(runs.shape[1] - (within.ngroups if own is not runs else 0), 1)
    return float(np.sqrt(own.var(ddof=1).sum() / freed))


def _rested_on(table: pd.DataFrame, arguments: Mapping[str, Any]) -> Iterator[pd.DataFrame]:
    """The rows that each choice in a claim's arguments picks."""
    choices = [part for value in arguments.values() for part in (value if isinstance(value, list) else [value])]
    for where in choices:
        if not isinstance(where, Mapping):
            continue
        rows = select(table, **{"metric": arguments.get("metric", "test_loss"), **where})
        yield rows if "width" in where or arguments.get("along") == "width" else widest(rows)


def _empty(value: Any) -> bool:
    """Whether an entry of a table is: NaN is no number, not even itself."""
    return value is None or value != value
