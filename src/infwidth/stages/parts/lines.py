"""The inner axes of a cell, which theory and networks run through alike, and the rows they make of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# condition → where target training starts and what it is tied to
CONDITIONS = {
    "transfer": {"start": "source", "anchor": "source"},
    "scratch": {"start": "scratch", "anchor": "source"},
    "random_anchor": {"start": "source", "anchor": "random"},
}

# what rows about the source itself say where those about a target name its condition, γ and δ
SOURCE_COLUMNS = {"condition": "source", "target_strength": math.nan, "elastic_coupling": math.nan}


@dataclass(frozen=True)
class Line:
    """One condition at one target strength, with the couplings δ it is run at."""

    condition: str
    target_strength: float
    elastic_couplings: tuple[float, ...]

    @property
    def protocol(self) -> dict[str, str]:
        """The ``start`` and ``anchor`` arguments of the solvers."""
        return CONDITIONS[self.condition]

    def columns(self, elastic_coupling: float) -> dict[str, Any]:
        """The table's columns for one δ; from scratch there is none."""
        coupled = self.condition != "scratch"
        return {
            "condition": self.condition,
            "target_strength": self.target_strength,
            "elastic_coupling": elastic_coupling if coupled else math.nan,
        }


def lines_of(params: Mapping[str, Any]) -> list[Line]:
    """The lines of a cell: transfer and each control at each γ."""
    couplings = tuple(params["elastic_coupling"])
    return [
        Line(condition, strength, (0.0,) if condition == "scratch" else couplings)
        for strength in params["target_strength"]
        for condition in ["transfer", *params["controls"]]
    ]


def rows_over_time(
    columns: Mapping[str, Any],
    times: np.ndarray,
    values: Mapping[str, np.ndarray],
    stderrs: Mapping[str, np.ndarray],
) -> Iterator[dict[str, Any]]:
    """One row for each metric and time; ``values`` and ``stderrs`` map a metric to an array (T,)."""
    for metric, series in values.items():
        for i, time in enumerate(times):
            yield {
                **columns,
                "metric": metric,
                "time": time,
                "value": series[i],
                "stderr": stderrs[metric][i],
            }
