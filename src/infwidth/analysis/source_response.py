"""What networks owe to the draw of their sources: the theory's linear response, at the sources that were drawn.

Theory and networks know nothing of one another: the theory writes how a loss responds to S̄ = W̄ᵀW̄/N and what S̄ is on
average, the networks write the S̄ of their sources, and here the two meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from infwidth.io.tables import COLUMNS, KEYS

if TYPE_CHECKING:
    import pandas as pd

RESPONSE = "{metric}_source_response"
"""Networks' metric: what a metric owes, to first order, to the draw of their sources; 0 on average."""
FREED = "less what it owes to its sources' draw"
POINT = [key for key in KEYS if key not in ("kind", "width")]
"""What theory and networks have in common where a response and what responds meet."""
NUMBERS = ("drive", "probe", "limit", "shift")
RESPONSES, MOMENTS = "response_", "source_moment"
LARGEST = 512
"""D above which S̄ is not written: it takes 8D² bytes a data set."""


def response_arrays(found: Iterable[tuple[Mapping[str, Any], Any]]) -> dict[str, np.ndarray]:
    """The theory's arrays: of each entry columns of ``POINT``, and its response kᵀS̄b − limit − shift/N."""
    named, responses = zip(*found, strict=True)
    empty = {key: "" if COLUMNS[key] is str else np.nan for key in POINT}
    arrays = {key: np.array([entry.get(key, empty[key]) for entry in named]) for key in POINT}
    arrays |= {name: np.array([getattr(one, name) for one in responses]) for name in NUMBERS}
    return {f"{RESPONSES}{name}": values for name, values in arrays.items()}


def moment_arrays(seeds: Sequence[int], moments: np.ndarray) -> dict[str, np.ndarray]:
    """The networks' arrays: of each data set the mean S̄ of its source networks, (data sets, D, D)."""
    return {f"{MOMENTS}_seed": np.asarray(seeds), MOMENTS: moments}


def without_responses(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What figures show of a cell's arrays."""
    return {name: values for name, values in arrays.items() if not name.startswith((RESPONSES, MOMENTS))}


def responses_of(
    rows: pd.DataFrame, arrays: Mapping[str, np.ndarray], theory: Sequence[Mapping[str, np.ndarray]]
) -> pd.DataFrame:
    """Rows of what networks' metrics owe to the draw of their sources.

    Args:
        rows: a cell's table.
        arrays: its arrays; without :func:`moment_arrays` there is nothing to say.
        theory: the arrays of the theory's cells; of those without responses nothing is taken.

    Returns:
        A row for each row of networks whose metric responds, in a metric of its own.
    """
    import pandas as pd

    rows, theory = rows[rows["kind"] == "network"], [part for part in theory if f"{RESPONSES}metric" in part]
    if MOMENTS not in arrays or not theory:
        return rows.iloc[:0]
    places = {key: np.concatenate([part[f"{RESPONSES}{key}"] for part in theory]) for key in POINT}
    known = {key: place for place, key in enumerate(_keys(pd.DataFrame(places)))}
    numbers = {name: np.concatenate([part[f"{RESPONSES}{name}"] for part in theory]) for name in NUMBERS}
    moments = dict(zip(arrays[f"{MOMENTS}_seed"].tolist(), arrays[MOMENTS], strict=True))
    found = [known.get(key, -1) for key in _keys(rows)]
    kept = rows[np.array(found) >= 0]
    values = []
    for place, seed, width in zip([one for one in found if one >= 0], kept["seed"], kept["width"], strict=True):
        drive, probe, limit, shift = (numbers[name][place] for name in NUMBERS)
        values.append(drive @ moments[seed] @ probe - limit - shift / width)
    return kept.assign(value=values, stderr=0.0, metric=[RESPONSE.format(metric=metric) for metric in kept["metric"]])


def owed_by(table: pd.DataFrame, rows: pd.DataFrame) -> pd.Series:
    """What each row owes to the draw of its network's sources; NaN where that isn't known, 0 for the theory.

    Of mean 0 over sources: taken off, it changes no expectation.
    """
    import pandas as pd

    nothing = pd.Series(np.where(rows["kind"] == "network", np.nan, 0.0), rows.index)
    if not nothing.isna().any():
        return nothing
    names = {RESPONSE.format(metric=metric): metric for metric in rows["metric"].unique()}
    found = table[table["metric"].isin(list(names))]
    if found.empty:
        return nothing
    found = found.assign(metric=found["metric"].map(names), owed=found["value"])[[*KEYS, "owed"]]
    return rows[KEYS].merge(found, on=KEYS, how="left").set_index(rows.index)["owed"].fillna(nothing)


def _keys(rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    """What names each row's point; all empty entries are alike."""
    columns = [rows[key].astype(object).where(rows[key].notna() & (rows[key] != ""), None) for key in POINT]
    return list(zip(*columns, strict=True))
