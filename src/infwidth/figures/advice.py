"""What `infwidth advise` found: predicted target loss against δ, and the gain over training from scratch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from infwidth.figures.style import coupling_axis, new_figure
from infwidth.numerics.status import Status


def draw(table: pd.DataFrame, smaller: pd.DataFrame, recommended: float | None, label: str, size: int) -> Figure:
    """Return the figure; couplings without an answer are left out and named.

    Args:
        table: see ``Advice.table`` of infwidth.analysis.advice.
        smaller: see ``Advice.smaller``.
        recommended: δ, or None.
        label: the data's name.
        size: P2.
    """
    figure, ((left, right),) = new_figure(1, 2)
    blue, red = sns.color_palette("deep")[0], sns.color_palette("deep")[3]
    positions = coupling_axis(left, table["elastic_coupling"])
    good = table[table["status"] == Status.CONVERGED.value]
    x = good["elastic_coupling"].map(positions)
    left.errorbar(x, good["loss"], good["stderr"], marker="o", color=blue, capsize=3)
    for row in table[table["status"] != Status.CONVERGED.value].itertuples():
        x = positions[row.elastic_coupling]
        left.annotate(row.status, (x, 0.5), xycoords=("data", "axes fraction"), rotation=90, ha="center", color="0.5")
    left.set(ylabel="predicted loss", title=label)
    left.set_xlim(min(positions.values()) - 0.4, max(positions.values()) + 0.4)
    if recommended is not None:
        left.axvline(positions[recommended], color=red, linewidth=1, linestyle="--", zorder=0)
        left.annotate("recommended", (positions[recommended], 1), xycoords=("data", "axes fraction"), xytext=(3, -3),
                      textcoords="offset points", va="top", color=red, fontsize="small")  # fmt: skip
    gains = _gains(table, smaller, recommended, size)
    right.errorbar(gains["n_target"], 100 * gains["gain"], 100 * gains["gain_stderr"], marker="o", color=red, capsize=3)
    right.axhline(0, color="0.3", linewidth=1)
    right.set(xlabel="target samples", ylabel="gain over training from scratch, %")
    if gains.empty:
        right.annotate("no recommendation", (0.5, 0.5), xycoords="axes fraction", ha="center", va="center", color="0.5")
    else:
        right.set_xticks(gains["n_target"])
    return figure


def _gains(table: pd.DataFrame, smaller: pd.DataFrame, recommended: float | None, size: int) -> pd.DataFrame:
    """Gain at the recommended δ against the size of the target set."""
    columns = ["n_target", "gain", "gain_stderr"]
    if not recommended:
        return pd.DataFrame(columns=columns, dtype=float)
    whole = table[table["elastic_coupling"] == recommended].assign(n_target=size)
    parts = [smaller[smaller["status"] == Status.CONVERGED.value]] if len(smaller) else []
    return pd.concat([*parts, whole])[columns].replace(np.inf, np.nan)
