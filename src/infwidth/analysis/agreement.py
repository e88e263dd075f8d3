"""How far networks are from the theory of infinitely wide ones, each width in its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from infwidth.analysis.claim_arguments import Metrics, Rows, Scale
from infwidth.analysis.extrapolation import infinite_width
from infwidth.analysis.mean_square import RootMeanSquare
from infwidth.analysis.source_response import FREED, owed_by
from infwidth.io.rows import widest
from infwidth.io.tables import KEYS, select
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status

if TYPE_CHECKING:
    import pandas as pd

AGREEMENT = ("disagreement",)
DEVIATION = "{metric}_deviation"
"""Theory's metric c of a metric E whose networks of width N have, to first order, E_N = E_∞ + c/N."""
EXTRAPOLATED = 3
"""Widths from which networks are extrapolated: two fit any line, and say nothing of what lies beyond it."""
POINT = [key for key in KEYS if key not in ("kind", "width", "seed")]


def disagreement(table: pd.DataFrame, metric: Metrics, where: Rows, relative_to: Scale = "point") -> RootMeanSquare:
    """Root mean square, over points, of the relative difference between networks and theory on the same data sets.

    Points of several metrics count alike. Where the theory predicts the deviation of finite widths, networks of the
    largest width are held against E_∞ + c/N; else, of three widths and more, their extrapolation against E_∞. Of fewer
    the widest is, and what is found may be its width's: it can show agreement, but nothing against the theory.
    ``relative_to="point"`` divides by the theory's value at the point, ``"start"`` by its largest of the metric, for
    losses that tend to 0. A ``width`` that ``where`` names is the networks'.
    """
    import pandas as pd

    point = {column: wanted for column, wanted in where.items() if column != "width"}
    rows = select(table, metric=metric, **point)
    networks = select(rows, **{**where, "kind": "network"})
    theory, predicted = _theory(table, rows, point)
    for kind, found in (("network", networks), ("theory", theory)):
        if found.empty:
            spelt = ", ".join(f"{name} = {value}" for name, value in {"metric": metric, **where}.items())
            raise InputError(f"no {kind} rows for {spelt}: expected both; run that side first")
    widths = np.sort(networks["width"].dropna().unique())
    networks, freed = _freed(table, networks)
    extrapolated = not predicted and len(widths) >= EXTRAPOLATED
    base = select(widest(networks), kind="network")
    used = infinite_width(networks) if extrapolated else base
    levels = {"network": _matrix(used), "theory": _matrix(theory)}
    if predicted:
        levels["theory"] += _matrix(theory, "deviation") / widths[-1]
    levels["network"], levels["theory"] = levels["network"].align(levels["theory"], join="inner")
    differences = levels["network"] - levels["theory"]
    shared = levels["theory"].where(differences.notna())
    if not shared.notna().to_numpy().any():
        raise InputError(f"theory and networks share no point for {dict(where)}; run them at the same settings")
    if relative_to == "start":  # of each metric the point where its mean is largest
        tops = shared.mean().groupby(level="metric").idxmax()
        shared = pd.concat(
            [shared[tops[point[POINT.index("metric")]]] for point in shared], axis=1, keys=shared.columns
        )
    known = differences.notna().any()
    differences, scale = differences.loc[:, known], shared.mean()[known]
    if (scale <= 0).any():
        raise InputError(f"the theory's {metric} falls to 0: expected a scale for every point; set relative_to: start")
    ratio = differences.mean() / scale
    # a ratio of means varies by numerator − ratio × denominator: where both scale alike, not at all
    differences = ratio + (differences - ratio * shared.loc[:, known]) / scale
    errors = {"network": _matrix(base, "stderr"), "theory": _matrix(theory, "stderr")}
    errors = {kind: found.reindex_like(differences) / scale for kind, found in errors.items()}
    if extrapolated:  # what the fit's lever adds to the error of its widest networks
        whole = _matrix(used, "stderr").reindex_like(differences) / scale
        errors["extrapolation"] = np.sqrt((whole**2 - errors["network"] ** 2).clip(lower=0.0))
    spelt = ", ".join(f"{width:g}" for width in widths)
    notes = {True: f"N = {widths[-1]:g} with its predicted deviation"}
    note = notes.get(predicted, f"N = {spelt} extrapolated" if extrapolated else f"N = {widths[-1]:g} itself")
    note += f", {FREED}" if freed else ""
    return RootMeanSquare(differences, errors, fails=predicted or extrapolated, note=note)


def _freed(table: pd.DataFrame, networks: pd.DataFrame) -> tuple[pd.DataFrame, bool]:
    """Networks less what they owe to the draw of their sources, where that is known at all of their points."""
    owed = owed_by(table, networks)
    good = networks["status"] == Status.CONVERGED.value
    if owed[good].isna().any():
        return networks, False
    return networks.assign(value=networks["value"] - owed), True


def _theory(table: pd.DataFrame, rows: pd.DataFrame, where: Mapping[str, Any]) -> tuple[pd.DataFrame, bool]:
    """The theory's rows, with the column ``deviation`` where it is predicted at all of their points."""
    theory = select(rows, kind="theory")
    names = {DEVIATION.format(metric=metric): metric for metric in theory["metric"].unique()}
    found = select(table, **{**where, "kind": "theory", "metric": list(names)})
    if found.empty:
        return theory, False
    keys = [*POINT, "seed"]
    found = found.assign(metric=found["metric"].map(names), deviation=found["value"])[[*keys, "deviation"]]
    theory = theory.merge(found, on=keys, how="left")
    return theory, bool(theory["deviation"].notna().all())


def _matrix(rows: pd.DataFrame, column: str = "value") -> pd.DataFrame:
    """Data sets × points of a column; NaN where the solver failed."""
    import pandas as pd

    kept = rows[column].where(rows["status"] == Status.CONVERGED.value)
    # empty keys are keys too: a group by NaN would lose them in the columns' labels
    keyed = rows[POINT].astype(object).where(rows[POINT].notna(), "")
    index = pd.MultiIndex.from_frame(keyed.assign(seed=rows["seed"]))
    return pd.Series(kept.to_numpy(), index).unstack("seed").T
