"""Learning rates that a claim rests on: one chosen on the edge of its sweep may not be the best, and shows nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from infwidth.io.rows import widest
from infwidth.io.tables import select
from infwidth.numerics.checks import InputError

TRAINED = ["dataset", "condition", "optimiser", "width"]
"""Columns that tell apart what has a sweep of its own."""
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
                where = f"{condition}, width {width:g}" if pd.notna(width) else condition
                raise InputError(
                    f"{optimiser} ({where}) was trained at {edges.iloc[0]:g}, on the edge of the learning rates tried "
                    f"({least:g} … {most:g}), at {len(edges)} of {len(rates)} seeds: expected one inside; widen them"
                )


def _rested_on(table: pd.DataFrame, arguments: Mapping[str, Any]) -> Iterator[pd.DataFrame]:
    """The rows that each choice in a claim's arguments picks."""
    choices = [part for value in arguments.values() for part in (value if isinstance(value, list) else [value])]
    for where in choices:
        if not isinstance(where, Mapping):
            continue
        rows = select(table, **{"metric": arguments.get("metric", "test_loss"), **where})
        yield rows if "width" in where or arguments.get("along") == "width" else widest(rows)
