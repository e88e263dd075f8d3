"""Arrays beside a table, of which entries i belong together: columns of the table, and what a figure shows of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from infwidth.io.rows import widest

COMMON = "edges"
"""The array that all entries share."""


def join_entries(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Put the entries of several parts, some of which may hold none, one below the other.

    Of networks of several widths each experiment's widest stay, as arrays are for figures.
    """
    parts = [part for part in parts if part]
    if not parts:
        return {}
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != COMMON}
    keep = widest(pd.DataFrame({name: joined.get(name, "") for name in ("experiment", "kind", "width")})).index
    return {name: values[keep] for name, values in joined.items()} | {COMMON: parts[0][COMMON]}
