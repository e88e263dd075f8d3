"""Rows of tables chosen, or put together, by each experiment for itself; what writes a table needs none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from infwidth.io.tables import KEYS
from infwidth.numerics.status import Status

if TYPE_CHECKING:
    import pandas as pd


def largest(rows: pd.DataFrame, column: str, *, kind: str | None = None) -> pd.DataFrame:
    """Keep, of every experiment, the rows at its largest value of a column, and those that have none.

    Args:
        rows: rows of one or several experiments' tables, or what names the entries of their arrays.
        column: the column.
        kind: the kind, ``theory`` or ``network``, that this is about; of the other kind all rows stay.
    """
    import pandas as pd

    about = rows["kind"] == kind if kind else pd.Series(True, index=rows.index)
    value = rows[column].where(about)
    top = value.groupby(rows["experiment"], dropna=False).transform("max")
    return rows[value.isna() | (value == top)]


def at_last_time(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of each experiment's last recorded time, and those that have none."""
    return largest(rows, "time")


def widest(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the theory and, of each experiment's networks, those of its largest width."""
    return largest(rows[(rows["kind"] != "network") | rows["width"].notna()], "width", kind="network")


def pooled(table: pd.DataFrame, networks: pd.Series) -> pd.DataFrame:
    """Put rows of one key, means over some networks each, into one row of them all.

    Args:
        table: rows; those of one key differ in ``value``, ``stderr`` and ``status``.
        networks: how many each row is of.

    Returns:
        A row a key: the mean over all networks, its standard error as of all networks' values, the worst status.
    """
    ranks = {status.value: rank for rank, status in enumerate(Status)}
    told = table.assign(count=networks.astype(float), rank=table["status"].map(ranks), parts=1)

    def summed(column: pd.Series) -> pd.Series:
        return column.groupby([told[key] for key in KEYS], dropna=False).transform("sum")

    count, several = summed(told["count"]), summed(told["parts"]) > 1
    mean = summed(told["count"] * told["value"]) / count
    within = told["stderr"].fillna(0.0) ** 2 * told["count"] * (told["count"] - 1)  # of a part about its own mean
    spread = summed(within + told["count"] * (told["value"] - mean) ** 2)
    told["rank"] = told["rank"].groupby([told[key] for key in KEYS], dropna=False).transform("max")
    told["value"] = told["value"].where(~several, mean)
    told["stderr"] = told["stderr"].where(~several, np.sqrt(spread / (count - 1) / count))
    told["status"] = [list(ranks)[rank] for rank in told["rank"]]
    return told.drop_duplicates(KEYS)[list(table.columns)]
