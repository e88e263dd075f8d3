"""What `infwidth advise` found: predicted target loss against δ, and the gain over training from scratch.

The gain is shown against the number of target samples, or against δ where there is no δ > 0 to recommend.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from infwidth.figures.parts.style import ORIGIN_COLOUR, SERIES, coupling_axis, coupling_name, new_figure
from infwidth.numerics.status import Status


def draw(table: pd.DataFrame, smaller: pd.DataFrame, recommended: float | None, label: str, size: int) -> Figure:
    """Return the figure; couplings without an answer are left out and named.

    Args:
        table: see ``Advice.table`` of infwidth.applied.advice.
        smaller: see ``Advice.smaller``.
        recommended: δ, or None.
        label: the data's name.
        size: P2.
    """
    figure, ((left, right),) = new_figure(1, 2)
    blue, red = SERIES[0], ORIGIN_COLOUR
    positions = coupling_axis(left, table["elastic_coupling"])
    good = table[table["status"] == Status.CONVERGED.value]
    x = good["elastic_coupling"].map(positions)
    left.errorbar(x, good["loss"], good["stderr"], marker="o", color=blue, capsize=3)
    for row in table[table["status"] != Status.CONVERGED.value].itertuples():
        x = positions[row.elastic_coupling]
        left.annotate(row.status, (x, 0.5), xycoords=("data", "axes fraction"), rotation=90, ha="center", color="0.5")
    left.set(ylabel="predicted loss")
    left.set_title(label, parse_math=False)  # a file's name may hold dollar signs
    left.set_xlim(min(positions.values()) - 0.4, max(positions.values()) + 0.4)
    if recommended is not None:
        left.axvline(positions[recommended], color=red, linewidth=1, linestyle="--", zorder=0)
        left.annotate("recommended", (positions[recommended], 1), xycoords=("data", "axes fraction"), xytext=(3, -3),
                      textcoords="offset points", va="top", color=red, fontsize="small")  # fmt: skip
    gains = _gains(table, smaller, recommended, size)
    right.set(ylabel="gain over training from scratch, %")
    look = {"marker": "o", "color": red, "capsize": 3}
    if gains.empty:  # what there is to see is whether any δ differs from scratch
        places = coupling_axis(right, table["elastic_coupling"])
        shown = good[good["elastic_coupling"] > 0]
        x = shown["elastic_coupling"].map(places)
        right.errorbar(x, 100 * shown["gain"], 100 * shown["gain_stderr"], **look)
        right.set_title("no recommendation" if recommended is None else "from scratch")
    else:
        right.errorbar(gains["n_target"], 100 * gains["gain"], 100 * gains["gain_stderr"], **look)
        right.set(xlabel="target samples", xticks=gains["n_target"], title=f"at δ = {coupling_name(recommended)}")
    right.axhline(0, color="0.3", linewidth=1, zorder=0)
    return figure


def _gains(table: pd.DataFrame, smaller: pd.DataFrame, recommended: float | None, size: int) -> pd.DataFrame:
    """Gain at the recommended δ against the size of the target set."""
    columns = ["n_target", "gain", "gain_stderr"]
    if not recommended:
        return pd.DataFrame(columns=columns, dtype=float)
    whole = table[table["elastic_coupling"] == recommended].assign(n_target=size)
    parts = [smaller[smaller["status"] == Status.CONVERGED.value]] if len(smaller) else []
    return pd.concat([*parts, whole])[columns].replace(np.inf, np.nan)
