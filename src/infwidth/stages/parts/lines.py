"""The inner axes of a cell, which theory and networks run through alike, and the table they make of them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from infwidth.io.atomic import write_arrays
from infwidth.io.tables import make_table, write_table
from infwidth.numerics.status import Status
from infwidth.stages.parts.job import Job

if TYPE_CHECKING:  # it reads torch, which the linear theory does without
    from infwidth.stages.parts.recorder import Recorder

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


@dataclass
class Assembly:
    """The table of one cell, and the arrays beside it, put together point by point.

    Attributes:
        params: the job's parameters.
        kind: "theory" or "network".
        dataset: the data sets' label.
        recorder: what saw representations, or None.
        rows: of the table, so far.
        arrays: beside it, but for the recorder's.
    """

    params: Mapping[str, Any]
    kind: str
    dataset: str
    recorder: Recorder | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)

    def add(
        self,
        index: int,
        seed: int,
        line: Line,
        coupling: float,
        status: Status,
        *,
        times: np.ndarray,
        values: Mapping[str, np.ndarray],
        stderrs: Mapping[str, np.ndarray],
        key: Hashable,
    ) -> None:
        """Add a target: its metrics at all times, and what the recorder saw of it.

        Args:
            index: of the data set; arrays are kept of the first.
            seed: the data set's.
            line: the condition and γ.
            coupling: δ.
            status: how the target ended; it is no better than the source it is tied to.
            times: (T,).
            values: metric → (T,).
            stderrs: metric → (T,).
            key: what the recorder calls this target.
        """
        columns = self.columns(seed, status) | line.columns(coupling)
        self.rows += rows_over_time(columns, times, values, stderrs)
        self._add_recorded(index, columns, key)

    def add_source(self, index: int, seed: int, status: Status, key: Hashable) -> None:
        """Add what the recorder saw of a source that ended so."""
        self._add_recorded(index, self.columns(seed, status) | SOURCE_COLUMNS, key)

    def write(self, job: Job) -> pd.DataFrame:
        """Write the table and the arrays of the job and return the table."""
        table = make_table(self.rows)
        write_table(job.outputs["table"], table)
        write_arrays(job.outputs["arrays"], (self.recorder.arrays() if self.recorder else {}) | self.arrays)
        return table

    def columns(self, seed: int, status: Status) -> dict[str, Any]:
        """The table's columns of a data set, whose solver ended so."""
        theory = {"width": math.inf} if self.kind == "theory" else {}
        named = {"experiment": self.params["experiment"], "kind": self.kind, "dataset": self.dataset}
        return {**named, **self.params["axes"], **theory, "seed": seed, "status": status.value}

    def _add_recorded(self, index: int, columns: Mapping[str, Any], key: Hashable) -> None:
        if self.recorder is not None:
            self.rows += self.recorder.rows(columns, key, keep=index == 0)
