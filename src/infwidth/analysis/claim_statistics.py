"""The statistics that claims are judged by: each maps a table to an estimate. Looked up by name from claims.yaml.

Rows are chosen by ``where`` (column → value, or list of values), which may name a ``metric`` of its own. Where they
hold several times the last counts, and of several widths the widest, unless ``where`` names one. All that is compared
is compared on the same data sets: what two points owe to their data, source and initial weights drops out.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from infwidth.analysis.agreement import AGREEMENT, disagreement
from infwidth.analysis.claim_arguments import Axis, Criterion, Flag, Metric, OtherCriterion, OtherMetric, Pair, Rows
from infwidth.analysis.control_variate import share_of_luck
from infwidth.analysis.coupling_choice import choices
from infwidth.analysis.estimates import Estimate, Largest, Proportion, Smooth
from infwidth.analysis.intervals import Function, Ratio
from infwidth.analysis.source_response import FREED, owed_by
from infwidth.analysis.sweeps import choice_error
from infwidth.io.rows import at_last_time, widest
from infwidth.io.tables import select
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status

if TYPE_CHECKING:
    import pandas as pd


PREDICTED = ("predicted_loss",)
"""Metrics whose standard error is what they foresee of themselves, not how far sampling has moved the number."""


def relative_change(table: pd.DataFrame, metric: Metric, at: Rows, versus: Rows) -> Estimate:
    """(mean at ``at`` − mean at ``versus``) / mean at ``versus``; negative where ``at`` is lower."""
    return _smooth([_level(table, metric, at), _level(table, metric, versus)], Ratio((1, -1), (0, 1)))


def largest_step(table: pd.DataFrame, metric: Metric, along: Axis, where: Rows) -> Estimate:
    """Largest change between neighbouring values of the axis ``along``, relative to the first point's mean.

    Negative if and only if the metric falls at every step.
    """
    curve = _curve(table, metric, along, where)
    steps = [
        _smooth([curve[0], before, after], Ratio((0, -1, 1), (1, 0, 0))) for before, after in itertools.pairwise(curve)
    ]
    return Largest(steps)


def largest_change(
    table: pd.DataFrame, metric: Metric, along: Axis, at: Rows, versus: Rows, control: OtherMetric = None
) -> Estimate:
    """Largest absolute relative change from ``versus`` to ``at`` over the values of the axis ``along`` both have.

    ``control`` is a metric of mean 0 over data sets, of the rows ``at``: a control variate, of which as much is taken
    off as the changes go along with it.
    """
    pairs = _pairs(table, metric, along, at, versus, least=1)
    if control:
        level = _level(table, control, {**at, "metric": control})
        pairs = {place: (*pair, level) for place, pair in pairs.items()}
    return Largest([_change(pair, sign) for pair in pairs.values() for sign in (1, -1)])


def trend_of_change(table: pd.DataFrame, metric: Metric, along: Axis, at: Rows, versus: Rows) -> Estimate:
    """Slope of the relative change from ``versus`` to ``at`` against log10 of the axis ``along``, by least squares."""
    pairs = _pairs(table, metric, along, at, versus, least=2)
    weights = _slope(np.log10(np.array(list(pairs), dtype=float)))
    levels = [level for pair in pairs.values() for level in pair]
    return _smooth(levels, lambda means: np.tensordot(weights, means[::2] / means[1::2], 1))


def power_law(table: pd.DataFrame, metric: Metric, along: Axis, where: Rows) -> Estimate:
    """Exponent a of metric ∝ axis^a: the least-squares slope of the log of the mean against the log of ``along``."""
    curve = {place: level for place, level in _along(table, metric, along, where).items() if np.isfinite(place)}
    weights = _slope(np.log(np.array(list(curve), dtype=float)))

    def exponent(means: np.ndarray) -> np.ndarray:
        if len(means) < 2 or (means <= 0).any():
            raise InputError(
                f"{metric} = {means.tolist()} for {_spelt(where)}: expected positive values at two or more of {along}; "
                "add some"
            )
        return np.tensordot(weights, np.log(means), 1)

    return _smooth(list(curve.values()), exponent)


def effect_ratio(table: pd.DataFrame, metric: Metric, along: Axis, at: Rows, versus: Rows) -> Estimate:
    """Largest relative change along an axis at ``at``, divided by the same at ``versus``."""
    curves = [_curve(table, metric, along, where) for where in (at, versus)]
    first = len(curves[0])

    def ratio(means: np.ndarray) -> np.ndarray:
        effects = [np.abs(part - part[0]).max(0) / part[0] for part in (means[:first], means[first:])]
        return effects[0] / effects[1]

    return _smooth([*curves[0], *curves[1]], ratio)


def change_of_effect(table: pd.DataFrame, metric: Metric, first: Pair, second: Pair) -> Estimate:
    """Relative change between the pair ``first`` (at, versus) minus that of ``second``; negative where it is lower."""
    levels = [_level(table, metric, where) for where in (*first, *second)]
    return _smooth(levels, lambda means: means[0] / means[1] - means[2] / means[3])


def share_of_change(table: pd.DataFrame, metric: Metric, part: Rows, whole: Rows, base: Rows, rises: Flag) -> Estimate:
    """(mean at ``part`` − mean at ``base``) / (mean at ``whole`` − mean at ``base``), where the whole change is upwards
    if it ``rises`` and else downwards: there is no share of a change that isn't there.
    """
    levels = [_level(table, metric, where) for where in (part, whole, base)]
    found = _smooth(levels, Ratio((1, 0, -1), (0, 1, -1)))
    _, above, level = found.points.dropna().mean()
    if (above > level) != rises:
        raise InputError(
            f"{metric} changes by {above - level:.3g} from {_spelt(base)} to {_spelt(whole)}: expected a change "
            f"{'upwards' if rises else 'downwards'} to take a share of; the claim has no object here"
        )
    return found


def choice_excess(table: pd.DataFrame, criterion: Criterion, versus: OtherCriterion = None) -> Estimate:
    """Mean relative excess of the test loss at the δ that a criterion picks over that at the best δ, over all tasks.

    With ``versus`` that criterion's is taken off: negative where the first chooses better.
    """
    import pandas as pd

    good = table["status"] == Status.CONVERGED.value
    found = choices(table.assign(value=table["value"].where(good)))
    if found.empty:
        raise InputError("no task with an answer at every δ: expected some; give the theory more particles")
    excess = found.groupby(["criterion", "seed"])["excess"].mean().unstack("criterion")
    levels = [
        pd.DataFrame(
            {"value": excess[name], "error": 0.0, "kind": "theory", "exact": False, "choice": 0.0, "owed": 0.0}
        )
        for name in (criterion, versus)
        if name
    ]
    return _smooth(levels, lambda means: means[0] - means[1] if versus else means[0])


def mean_value(table: pd.DataFrame, metric: Metric, where: Rows) -> Estimate:
    """Mean of the metric."""
    return _smooth([_level(table, metric, where)], lambda means: means[0])


def difference(table: pd.DataFrame, metric: Metric, at: Rows, versus: Rows) -> Estimate:
    """Mean at ``at`` − mean at ``versus``; for what may be 0 or of either sign."""
    return _smooth([_level(table, metric, at), _level(table, metric, versus)], lambda means: means[0] - means[1])


def spread(table: pd.DataFrame, metric: Metric, where: Rows) -> Estimate:
    """Standard deviation of the metric over all rows, which are one deviation each in units of what was expected."""
    rows = at_last_time(_rows(table, metric, where))
    parts = rows, rows.assign(value=rows["value"] ** 2, stderr=0.0)
    levels = [_by_seed(part, table).assign(owed=np.nan) for part in parts]  # a square owes otherwise
    return _smooth(levels, lambda means: np.sqrt(np.maximum(means[1] - means[0] ** 2, 0.0)), positive=True)


def share(table: pd.DataFrame, metric: Metric, where: Rows) -> Estimate:
    """Share of the data sets that have the metric, 0 or 1, in which it is 1."""
    values = _level(table, metric, where)["value"]
    if not values.dropna().isin([0, 1]).all():
        raise InputError(f"{metric} for {_spelt(where)}: expected 0 or 1 in every data set; choose one row of each")
    return Proportion(int(values.sum()), int(values.notna().sum()), tuple(values.index[values.isna()]))


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
    choice_excess,
    mean_value,
    difference,
    spread,
    share,
)
STATISTICS = {function.__name__: function for function in _ALL}
COMPARISONS = AGREEMENT
"""Those that hold networks against theory themselves."""


def _smooth(levels: list[pd.DataFrame], function: Function, *, positive: bool = False) -> Smooth:
    """A function of several levels' means over the data sets that have them all.

    What networks owe to the draw of their sources is taken off where it is known of all: points that share a source
    owe alike, and one freed alone would be further from the others.
    """
    import pandas as pd

    value, error, owed = (
        pd.concat([level[name] for level in levels], axis=1, keys=range(len(levels)))
        for name in ("value", "error", "owed")
    )
    whole = value.notna().all(axis=1)
    freed = bool(owed[whole].notna().all(axis=None) and owed.any(axis=None))
    kinds, choices = ([level[name].iloc[0] for level in levels] for name in ("kind", "choice"))
    exact = all(level["exact"].all() for level in levels)
    return Smooth(
        value - owed if freed else value,
        function,
        error,
        kinds,
        exact,
        choices if any(choices) else (),
        positive,
        FREED if freed else "",
    )


def _change(levels: Sequence[pd.DataFrame], sign: int) -> Smooth:
    """``sign`` times the relative change from the second level to the first, less what a third's draws make of it."""
    plain = _smooth([*levels[:2]], Ratio((sign, -sign), (0, 1)))
    if len(levels) < 3:
        return plain
    import pandas as pd

    points = pd.concat([level["value"] for level in levels], axis=1).dropna()
    at, versus, luck = points.to_numpy(dtype=float).T
    share = share_of_luck(at - at.mean() / versus.mean() * versus, luck)
    return _smooth([*levels], Ratio((sign, -sign, -sign * share), (0, 1, 0))) if share else plain


def _slope(places: np.ndarray) -> np.ndarray:
    """Weights whose sum with values at these places is their least-squares slope; NaN for one place."""
    apart = places - places.mean()
    with np.errstate(invalid="ignore"):
        return apart / (apart @ apart)


def _level(table: pd.DataFrame, metric: str, where: Mapping[str, Any]) -> pd.DataFrame:
    """One number a data set, the mean of its chosen rows: ``value``, ``error``, ``kind``, indexed by seed."""
    return _by_seed(at_last_time(_rows(table, metric, where)), table)


def _by_seed(rows: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Mean over the rows of each seed; NaN where a solver failed or rows are missing that other data sets have."""
    import pandas as pd

    good = rows["status"] == Status.CONVERGED.value
    squares = rows["stderr"].where(~rows["metric"].isin(PREDICTED), 0.0).fillna(0.0) ** 2
    grouped = rows.assign(good=good, square=squares).groupby("seed")
    found = grouped.agg(
        value=("value", "mean"), squares=("square", "sum"), rows=("value", "size"), good=("good", "all")
    )
    whole = found["good"] & (found["rows"] == found["rows"].max())
    kinds = "theory" if (rows["kind"] == "theory").all() else "network"
    error = np.sqrt(found["squares"]) / found["rows"]
    owed = owed_by(table, rows).groupby(rows["seed"])
    owed = owed.mean().where(owed.count() == owed.size())
    exact = (rows["dimension"] == np.inf).all()  # where data sets are averaged over
    told = {"kind": kinds, "exact": exact, "choice": choice_error(table, rows)}
    return pd.DataFrame({"value": found["value"].where(whole), "error": error, "owed": owed, **told})


def _along(table: pd.DataFrame, metric: str, along: str, where: Mapping[str, Any]) -> dict[float, pd.DataFrame]:
    """Level at each value of an axis, in order; of the width all values count, not the widest alone."""
    where = {"metric": metric, **where}
    rows = select(table, **where) if along == "width" else _rows(table, metric, where)
    if rows.empty:
        raise InputError(f"no rows for {_spelt(where)}; run the experiment at these settings")
    return {place: _by_seed(some, table) for place, some in at_last_time(rows).groupby(along)}


def _pairs(
    table: pd.DataFrame, metric: str, along: str, at: Mapping[str, Any], versus: Mapping[str, Any], least: int
) -> dict[float, tuple[pd.DataFrame, pd.DataFrame]]:
    """The levels at ``at`` and ``versus`` at each value of an axis that both have."""
    upper, base = (_along(table, metric, along, where) for where in (at, versus))
    both = {place: (upper[place], base[place]) for place in upper if place in base}
    if len(both) < least:
        raise InputError(
            f"{_spelt(at)} and {_spelt(versus)} share {len(both)} {along}: expected at least {least}; add some"
        )
    return both


def _curve(table: pd.DataFrame, metric: str, along: str, where: Mapping[str, Any]) -> list[pd.DataFrame]:
    curve = list(_along(table, metric, along, where).values())
    if len(curve) < 2:
        raise InputError(f"{along} has {len(curve)} value for {_spelt(where)}: expected at least 2; add some")
    return curve


def _rows(table: pd.DataFrame, metric: str, where: Mapping[str, Any]) -> pd.DataFrame:
    where = {"metric": metric, **where}
    rows = select(table if "width" in where else widest(table), **where)
    if rows.empty:
        raise InputError(f"no rows for {_spelt(where)}; run the experiment at these settings")
    return rows


def _spelt(where: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in where.items())
