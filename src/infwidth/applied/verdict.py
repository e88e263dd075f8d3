"""What a table of predicted losses says, in words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from infwidth.numerics.status import Status

LEVEL = 0.95
"""Probability with which a gain's interval, Student's of the samples judged, has to hold the true one and not 0."""
LEAST_GAIN = 1e-5
"""Relative gain, of either sign, below which rounding decides: a coupling of 1e-300 has no other loss than none."""
FEWEST_JUDGED = 10
"""Samples below which errors are untested (docs/trust.md)."""


def conclude(table: pd.DataFrame, judged: int) -> tuple[float | None, str]:
    """The recommended δ, and the answer in words."""
    clear = float(stdtrit(max(judged - 1, 1), (1 + LEVEL) / 2))  # standard errors
    answered = (table["status"] == Status.CONVERGED.value) & np.isfinite(table["gain"]) & np.isfinite(table["loss"])
    good = table[answered]
    if np.isfinite(table["loss"]).any() and not np.isfinite(table["gain"]).any():
        return (
            None,
            "Can't tell: training from scratch is predicted to make no error, so there is nothing to gain.",
        )
    if judged < FEWEST_JUDGED:
        return None, (
            f"Can't tell: {judged} target samples are too few for error bars that can be trusted; expected at least "
            f"{FEWEST_JUDGED}; add some."
        )
    lost = table[table["status"] != Status.CONVERGED.value]
    missing = ""
    if len(lost):
        ends = {f"{Status(row.status).value} at δ = {_spell(row.elastic_coupling)}" for row in lost.itertuples()}
        missing = f" ({'; '.join(sorted(ends))}: {Status(lost['status'].iloc[0]).remedy})"
    if 0.0 not in set(good["elastic_coupling"]):
        first = set(lost.loc[lost["elastic_coupling"] == 0, "status"])
        why = "".join(f" ({status}: {Status(status).remedy})" for status in first)
        return None, f"Can't tell: the theory has no answer for training from scratch{why}."
    if len(good) < 2:
        return None, f"Can't tell: the theory has an answer for training from scratch only{missing}."
    best = good.loc[good["loss"].idxmin()]
    coupling = float(best["elastic_coupling"])
    if coupling == 0:
        others = good[good["elastic_coupling"] > 0]
        rival = others.loc[others["loss"].idxmin()]
        if rival["gain"] > -max(clear * rival["gain_stderr"], LEAST_GAIN):
            return None, (
                f"Can't tell: training from scratch is predicted best, but δ = {_spell(rival['elastic_coupling'])} is "
                f"within the error bars ({in_percent(rival['gain'], '+')} ± {in_percent(rival['gain_stderr'])} %); "
                f"more target samples would decide{missing}."
            )
        return 0.0, (
            f"Train from scratch (δ = 0): the source hurts, by {in_percent(-rival['gain'])} ± "
            f"{in_percent(rival['gain_stderr'])} % even at the best δ > 0{missing}."
        )
    gain = f"{in_percent(best['gain'])} ± {in_percent(best['gain_stderr'])} %"
    if best["gain"] < max(clear * best["gain_stderr"], LEAST_GAIN):
        return None, (
            f"Can't tell: δ = {_spell(coupling)} is predicted best, but its gain over training from scratch, {gain}, "
            f"is within the error bars; more target samples would decide{missing}."
        )
    even = good[(best["gain"] - good["gain"]) < np.hypot(good["gain_stderr"], best["gain_stderr"])]
    alike = [_spell(value) for value in even["elastic_coupling"] if value not in (coupling, 0.0)]
    also = f"; δ = {', '.join(alike)} would do about as well" if alike else ""
    return coupling, (
        f"Tie the target to the source with δ = {_spell(coupling)}: its loss is predicted {gain} below training from "
        f"scratch{also}{missing}."
    )


def about_smaller(smaller: pd.DataFrame) -> str:
    """What a smaller target set would gain, in words."""
    good = smaller[smaller["status"] == Status.CONVERGED.value] if len(smaller) else smaller
    parts = [
        f"{in_percent(row.gain, '+')} ± {in_percent(row.gain_stderr)} % with {row.n_target} target samples"
        for row in good.itertuples()
    ]
    return f" With fewer samples the gain would be {', '.join(parts)}." if parts else ""


def in_percent(value: float, sign: str = "") -> str:
    """A share in per cent, short whatever its size; ``sign`` "+" writes that of what is positive, too."""
    return f"{100 * value:{sign}{'.1f' if abs(100 * value) < 1e4 else '.3g'}}"


def _spell(coupling: float) -> str:
    return "∞" if math.isinf(coupling) else f"{coupling:g}"
