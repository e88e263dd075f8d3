"""Arrays beside a table, of which entries i belong together: columns of the table, and what a figure shows of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

COMMON = "edges"
"""The array that all entries share."""


def join_entries(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Put the entries of several parts, some of which may hold none, one below the other.

    Of networks of several widths the widest stay, as arrays are for figures.
    """
    parts = [part for part in parts if part]
    if not parts:
        return {}
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != COMMON}
    networks = joined["kind"] == "network"
    keep = ~networks | (joined["width"] == joined["width"][networks].max(initial=0))
    return {name: values[keep] for name, values in joined.items()} | {COMMON: parts[0][COMMON]}
