"""How well a criterion that knows only the training set chooses the elastic coupling δ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from infwidth.io.tables import KEYS, select
from infwidth.numerics.checks import InputError

if TYPE_CHECKING:
    import pandas as pd

CRITERIA = {"leave_one_out": 1.0, "log_evidence_density": -1.0}
"""Metric → sign with which it is minimised."""
TASK = [key for key in KEYS if key not in ("metric", "elastic_coupling")]


def choices(table: pd.DataFrame) -> pd.DataFrame:
    """Choose δ by every criterion on every task.

    Args:
        table: the theory's rows of test loss, leave-one-out error and log evidence, for several δ.

    Returns:
        One row a task and criterion: the columns of ``TASK``, ``criterion``, ``chosen`` (δ), ``best`` (δ of the least
        test loss), ``hit`` (whether they agree), ``loss`` (test loss at the chosen δ), ``excess`` (its relative excess
        over the least), ``gain`` (relative fall of the test loss from δ = 0 to the chosen δ; NaN without δ = 0).

    Raises:
        InputError: a criterion is not in the table.
    """
    import pandas as pd

    rows = select(table, kind="theory", condition="transfer", metric=["test_loss", *CRITERIA])
    values = rows.set_index([*TASK, "elastic_coupling", "metric"])["value"].unstack("metric")
    missing = {"test_loss", *CRITERIA} - set(values)
    if missing:
        raise InputError(f"no theory rows of {sorted(missing)}: expected them for every δ; run a `bayes` experiment")
    found = []
    for task, curve in values.reset_index().groupby(TASK, dropna=False):
        losses = curve.set_index("elastic_coupling")["test_loss"]
        if losses.isna().any() or len(losses) < 2:
            continue
        best = losses.idxmin()
        for criterion, sign in CRITERIA.items():
            chosen = (sign * curve.set_index("elastic_coupling")[criterion]).idxmin()
            found.append(
                {
                    **dict(zip(TASK, task, strict=True)),
                    **{"criterion": criterion, "chosen": chosen, "best": best, "hit": chosen == best},
                    **{"loss": losses[chosen], "excess": losses[chosen] / losses[best] - 1},
                    "gain": 1 - losses[chosen] / losses.get(0.0, np.nan),
                }
            )
    return pd.DataFrame(found)
