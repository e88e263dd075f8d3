"""Averages over data sets (seeds), and what a jackknife over them says of any statistic."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np

from infwidth.io.tables import KEYS
from infwidth.numerics.status import Status

if TYPE_CHECKING:
    import pandas as pd

POINT = [key for key in KEYS if key != "seed"]


def mean_over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Average every point over its seeds.

    Args:
        table: rows with the columns of :data:`infwidth.io.tables.COLUMNS`.

    Returns:
        One row a point: the columns that name it, ``mean``, ``stderr`` (standard error of the mean over seeds,
        nan for one seed), ``seeds`` (their number) and ``converged`` (whether every seed's solver was).
    """
    grouped = table.assign(good=table["status"] == Status.CONVERGED.value).groupby(POINT, dropna=False, sort=True)
    found = grouped.agg(
        mean=("value", "mean"), stderr=("value", "sem"), seeds=("value", "size"), converged=("good", "all")
    )
    return found.reset_index()


def paired_difference(found: pd.DataFrame, base: pd.DataFrame, *, ignoring: Collection[str]) -> pd.DataFrame:
    """Compare points with others on the same data sets: (found − base)/base, with its error over seeds.

    The standard error is that of the paired difference, so what both owe to the data drops out of it.

    Args:
        found: rows of the table.
        base: the rows to hold them against.
        ignoring: the columns in which a pair may differ.

    Returns:
        One row a point that both cover, with ``found``'s columns, ``mean``, ``stderr``, ``seeds``, ``converged``.
    """
    axes = [key for key in KEYS if key not in ignoring]
    both = found.merge(base[[*axes, "value", "status"]], on=axes, suffixes=("", "_base"))
    good = (both["status"] == Status.CONVERGED.value) & (both["status_base"] == Status.CONVERGED.value)
    both = both.assign(difference=both["value"] - both["value_base"], good=good)
    pairs = both.groupby(POINT, dropna=False, sort=True).agg(
        difference=("difference", "mean"),
        error=("difference", "sem"),
        scale=("value_base", "mean"),
        seeds=("difference", "size"),
        converged=("good", "all"),
    )
    pairs["mean"] = pairs.pop("difference") / pairs["scale"]
    pairs["stderr"] = pairs.pop("error") / pairs.pop("scale")
    return pairs.reset_index()


def relative_difference(table: pd.DataFrame) -> pd.DataFrame:
    """How far networks are from theory on the same data; see :func:`paired_difference`."""
    networks, theory = (table[table["kind"] == kind] for kind in ("network", "theory"))
    return paired_difference(networks, theory, ignoring=("kind", "width"))


def jackknife(statistic: Callable[[pd.DataFrame], float], table: pd.DataFrame) -> tuple[float, float, int]:
    """Return a statistic of the table, its standard error from leaving out one seed at a time, and their number.

    The standard error is nan for fewer than two seeds.
    """
    seeds = sorted(table["seed"].unique())
    value = statistic(table)
    if len(seeds) < 2:
        return value, float("nan"), len(seeds)
    left_out = np.array([statistic(table[table["seed"] != seed]) for seed in seeds])
    scatter = np.sum((left_out - left_out.mean()) ** 2)
    return value, float(np.sqrt((len(seeds) - 1) / len(seeds) * scatter)), len(seeds)


def student_quantile(freedom: int, level: float) -> float:
    """Half-width, in standard errors, of the two-sided interval of Student's t with so many degrees of freedom."""
    from scipy.special import stdtrit  # a plan checks claims without it

    return float(stdtrit(freedom, (1 + level) / 2))
