"""Networks of several widths extrapolated to infinite width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from infwidth.io.tables import KEYS
from infwidth.numerics.status import Status

if TYPE_CHECKING:
    import pandas as pd


def infinite_width(table: pd.DataFrame) -> pd.DataFrame:
    """Replace networks of several widths by their extrapolation, rows of width inf; theory is kept.

    Each point of each data set is fitted by a + b/N, weighted by N as its scatter falls with 1/√N, and a is what the
    row says; its error over data sets is that of the extrapolation, however noisy the fits. The status is the worst
    of the widths. Experiments with networks of one width stay as they are.
    """
    import pandas as pd

    parts = []
    for _, rows in table.groupby("experiment", sort=False):
        networks = rows["kind"] == "network"
        if rows.loc[networks, "width"].nunique() > 1:
            rows = pd.concat([rows[~networks], _extrapolated(rows[networks])], ignore_index=True)
        parts.append(rows)
    return pd.concat(parts, ignore_index=True)


def _extrapolated(networks: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    axes = [key for key in KEYS if key != "width"]
    ranks = {status.value: i for i, status in enumerate(Status)}
    grouped = networks.assign(rank=networks["status"].map(ranks)).groupby([*axes, "width"], dropna=False)
    values, errors, rank = (grouped[name].max().unstack("width") for name in ("value", "stderr", "rank"))
    values = values.dropna()
    widths = values.columns.to_numpy(dtype=float)
    design = np.stack([np.ones_like(widths), 1 / widths], axis=1)
    # the fit's a as a weighted sum of the values
    gain = np.linalg.solve(design.T @ (widths[:, None] * design), design.T * widths)[0]
    worst = rank.reindex(values.index).max(axis=1).astype(int)
    found = pd.DataFrame(
        {
            "value": values.to_numpy() @ gain,
            "stderr": np.sqrt(errors.reindex(values.index).to_numpy() ** 2 @ gain**2),
            "status": [list(ranks)[place] for place in worst],
        },
        index=values.index,
    ).reset_index()
    return found.assign(width=np.inf)[networks.columns]
