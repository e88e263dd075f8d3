"""Choices among the rows of tables, made by each experiment for itself; what writes a table needs none of them."""

from __future__ import annotations

import pandas as pd


def largest(rows: pd.DataFrame, column: str, *, kind: str | None = None) -> pd.DataFrame:
    """Keep, of every experiment, the rows at its largest value of a column, and those that have none.

    Args:
        rows: rows of one or several experiments' tables, or what names the entries of their arrays.
        column: the column.
        kind: the kind, ``theory`` or ``network``, that this is about; of the other kind all rows stay.
    """
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
