"""The statistics that claims are judged by: each maps a table to one number. Looked up by name from claims.yaml.

Rows are chosen by ``where`` (column → value, or list of values), which may name a ``metric`` of its own. Where they
hold several times the last counts, and of several widths the widest, unless ``where`` names one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from infwidth.analysis.claim_arguments import (
    Axis,
    Criterion,
    Flag,
    Metric,
    Metrics,
    OtherCriterion,
    Pair,
    Positive,
    Rows,
    Scale,
)
from infwidth.analysis.coupling_choice import choices
from infwidth.analysis.extrapolation import infinite_width
from infwidth.analysis.seeds import POINT
from infwidth.io.rows import at_last_time, widest
from infwidth.io.tables import KEYS, select
from infwidth.numerics.checks import InputError


def relative_change(table: pd.DataFrame, metric: Metric, at: Rows, versus: Rows) -> float:
    """(mean at ``at`` − mean at ``versus``) / mean at ``versus``; negative where ``at`` is lower."""
    base = _level(table, metric, versus)
    return (_level(table, metric, at) - base) / base


def largest_step(table: pd.DataFrame, metric: Metric, along: Axis, where: Rows) -> float:
    """Largest change between neighbouring values of the axis ``along``, relative to the first point's mean.

    Negative if and only if the metric falls at every step.
    """
    curve = _curve(table, metric, along, where)
    return float(np.max(np.diff(curve)) / curve[0])


def largest_change(table: pd.DataFrame, metric: Metric, along: Axis, at: Rows, versus: Rows) -> float:
    """Largest absolute relative change from ``versus`` to ``at`` over the values of the axis ``along`` both have."""
    change = _changes(table, metric, along, at, versus)
    if change.empty:
        raise InputError(f"{_spelt(at)} and {_spelt(versus)} share no {along}: expected at least one; add one")
    return float(change.abs().max())


def trend_of_change(table: pd.DataFrame, metric: Metric, along: Axis, at: Rows, versus: Rows) -> float:
    """Slope of the relative change from ``versus`` to ``at`` against log10 of the axis ``along``, by least squares."""
    change = _changes(table, metric, along, at, versus)
    if len(change) < 2:
        raise InputError(
            f"{_spelt(at)} and {_spelt(versus)} share {len(change)} {along}: expected at least two; add one"
        )
    return float(np.polyfit(np.log10(change.index.to_numpy(dtype=float)), change.to_numpy(), 1)[0])


def power_law(table: pd.DataFrame, metric: Metric, along: Axis, where: Rows) -> float:
    """Exponent a of metric ∝ axis^a: the least-squares slope of the log of the mean against the log of ``along``."""
    curve = _along(table, metric, along, where)
    curve = curve[np.isfinite(curve.index.to_numpy(dtype=float))]
    if len(curve) < 2 or (curve <= 0).any():
        raise InputError(
            f"{metric} = {curve.tolist()} for {_spelt(where)}: expected positive values at two or more of {along}; "
            "add some"
        )
    return float(np.polyfit(np.log(curve.index.to_numpy(dtype=float)), np.log(curve.to_numpy()), 1)[0])


def effect_ratio(table: pd.DataFrame, metric: Metric, along: Axis, at: Rows, versus: Rows) -> float:
    """Largest relative change along an axis at ``at``, divided by the same at ``versus``."""
    effects = []
    for where in (at, versus):
        curve = _curve(table, metric, along, where)
        effects.append(np.max(np.abs(curve - curve[0])) / curve[0])
    return float(effects[0] / effects[1])


def change_of_effect(table: pd.DataFrame, metric: Metric, first: Pair, second: Pair) -> float:
    """Relative change between the pair ``first`` (at, versus) minus that of ``second``; negative where it is lower."""
    return relative_change(table, metric, *first) - relative_change(table, metric, *second)


def share_of_change(
    table: pd.DataFrame,
    metric: Metric,
    part: Rows,
    whole: Rows,
    base: Rows,
    rises: Flag,
) -> float:
    """(mean at ``part`` − mean at ``base``) / (mean at ``whole`` − mean at ``base``), where the whole change is upwards
    if it ``rises`` and else downwards: there is no share of a change that isn't there.
    """
    level = _level(table, metric, base)
    change = _level(table, metric, whole) - level
    if (change > 0) != rises:
        raise InputError(
            f"{metric} changes by {change:.3g} from {_spelt(base)} to {_spelt(whole)}: expected a change "
            f"{'upwards' if rises else 'downwards'} to take a share of; the claim has no object here"
        )
    return (_level(table, metric, part) - level) / change


def disagreement(table: pd.DataFrame, metric: Metrics, where: Rows, relative_to: Scale = "point") -> float:
    """Root mean square, over points, of the relative difference between networks and theory.

    Points of several metrics count alike. Both sides are averaged over seeds first. ``relative_to="point"`` divides
    by the theory's value at the point, ``"start"`` by the theory's largest value, for losses that tend to 0.
    """
    rows = _rows(table, metric, where)
    axes = [key for key in POINT if key not in ("kind", "width")]
    means = rows.groupby(["kind", *axes], dropna=False)["value"].mean().unstack("kind")
    for kind in ("theory", "network"):
        if kind not in means:
            raise InputError(f"no {kind} rows for {_spelt(where)}: expected both; run that side first")
    means = means.dropna()
    if means.empty:
        raise InputError(f"theory and networks share no point for {_spelt(where)}; run them at the same settings")
    scale = means["theory"] if relative_to == "point" else means["theory"].max()
    return float(np.sqrt(np.mean(((means["network"] - means["theory"]) / scale) ** 2)))


def extrapolated_excess(
    table: pd.DataFrame, metric: Metrics, where: Rows, sigmas: Positive = 3.0, share: Positive = 0.02
) -> float:
    """Distance of networks extrapolated to infinite width from theory at the worst point, over what is allowed there.

    Allowed is the larger of ``sigmas`` standard errors and ``share`` of the theory's largest value, its initial loss.
    The standard error is that of the paired difference over data sets; with one of them the share alone counts.
    """
    rows = select(infinite_width(table), metric=metric, **where)
    networks, theory = (rows[rows["kind"] == kind] for kind in ("network", "theory"))
    if networks.empty or theory.empty:
        raise InputError(f"no rows of both kinds for {_spelt(where)}: expected theory and networks; run both")
    axes = [key for key in KEYS if key not in ("kind", "width")]
    pairs = networks.merge(theory[[*axes, "value"]], on=axes, suffixes=("", "_theory"))
    pairs = pairs.assign(difference=pairs["value"] - pairs["value_theory"])
    points = [key for key in axes if key != "seed"]
    found = pairs.groupby(points, dropna=False).agg(
        difference=("difference", "mean"), error=("difference", "sem"), scale=("value_theory", "mean")
    )
    scale = found.groupby("metric")["scale"].transform("max")
    allowed = np.maximum(sigmas * found["error"].fillna(0.0), share * scale)
    return float((found["difference"].abs() / allowed).max())


def choice_excess(table: pd.DataFrame, criterion: Criterion, versus: OtherCriterion = None) -> float:
    """Mean relative excess of the test loss at the δ that a criterion picks over that at the best δ, over all tasks.

    With ``versus`` that criterion's is taken off: negative where the first chooses better.
    """
    found = choices(table)
    if found.empty:
        raise InputError("no task with an answer at every δ: expected some; give the theory more particles")
    means = found.groupby("criterion")["excess"].mean()
    return float(means[criterion] - (means[versus] if versus else 0.0))


_ALL = (
    relative_change,
    largest_step,
    largest_change,
    trend_of_change,
    power_law,
    effect_ratio,
    change_of_effect,
    share_of_change,
    disagreement,
    extrapolated_excess,
    choice_excess,
)
STATISTICS = {function.__name__: function for function in _ALL}


def _level(table: pd.DataFrame, metric: str, where: Mapping[str, Any]) -> float:
    rows = at_last_time(_rows(table, metric, where))
    return float(rows["value"].mean())


def _along(table: pd.DataFrame, metric: str, along: str, where: Mapping[str, Any]) -> pd.Series:
    """Mean at each value of an axis, in order; of the width all values count, not the widest alone."""
    where = {"metric": metric, **where}
    rows = select(table, **where) if along == "width" else _rows(table, metric, where)
    if rows.empty:
        raise InputError(f"no rows for {_spelt(where)}; run the experiment at these settings")
    return at_last_time(rows).groupby(along)["value"].mean().sort_index()


def _changes(
    table: pd.DataFrame, metric: str, along: str, at: Mapping[str, Any], versus: Mapping[str, Any]
) -> pd.Series:
    """Relative change from ``versus`` to ``at`` at each value of an axis that both have."""
    level, base = (_along(table, metric, along, where) for where in (at, versus))
    both = level.index.intersection(base.index)
    return (level[both] - base[both]) / base[both]


def _curve(table: pd.DataFrame, metric: str, along: str, where: Mapping[str, Any]) -> np.ndarray:
    curve = _along(table, metric, along, where).to_numpy()
    if len(curve) < 2:
        raise InputError(f"{along} has {len(curve)} value for {_spelt(where)}: expected at least 2; add some")
    return curve


def _rows(table: pd.DataFrame, metric: str | list[str], where: Mapping[str, Any]) -> pd.DataFrame:
    where = {"metric": metric, **where}
    rows = select(table if "width" in where else widest(table), **where)
    if rows.empty:
        raise InputError(f"no rows for {_spelt(where)}; run the experiment at these settings")
    return rows


def _spelt(where: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in where.items())
