"""Representations met along a flow, at its first and last recorded time: rows of the table, and arrays beside it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from infwidth.analysis.representation import EDGES, Representation, average, represent
from infwidth.numerics.activations import get_activation

# what names an entry of the arrays: columns of the table
ENTRY = (
    *("experiment", "kind", "condition", "overlap", "n_target", "width"),
    *("target_strength", "elastic_coupling", "time", "seed"),
)


class Recorder:
    """Collects a representation for every network or replica, and averages over those of a key.

    Args:
        activation: φ's name.
        times: target times; the first and the last are recorded.

    Attributes:
        coarser: what an integrator shows of replica 0 at a coarser tolerance, by which its error is known; or None.
    """

    def __init__(self, activation: str, times: Sequence[float], *, coarser: Recorder | None = None):
        self.activation, self.coarser = get_activation(activation), coarser
        self.wanted = {0: float(times[0]), len(times) - 1: float(times[-1])}
        self.found: dict[Hashable, dict[float, dict[int, list[Representation]]]]
        self.found = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
        self.entries: list[tuple[dict[str, Any], Representation]] = []

    def target(self, key: Hashable, replica: int, time: int, preactivation: Tensor, labels: np.ndarray) -> None:
        """Record a target population (neurons, P2) at a time index, if that is wanted; of a chain each one shown."""
        if time in self.wanted:
            self.found[key][self.wanted[time]][replica].append(represent(preactivation, labels, self.activation))

    def source(self, key: Hashable, replica: int, preactivation: Tensor, labels: np.ndarray) -> None:
        """Record a source population (neurons, P1) at the end of its training."""
        self.found[key][math.nan][replica].append(represent(preactivation, labels, self.activation))

    def rows(self, columns: Mapping[str, Any], key: Hashable, *, keep: bool) -> Iterator[dict[str, Any]]:
        """Rows of the table for a key; ``keep`` also puts its kernel and density among the arrays."""
        nearby = self.coarser.found[key] if self.coarser is not None else {}
        for time, found in self.found[key].items():
            seen = [found[replica] for replica in sorted(found)]
            mean, errors = average(seen, *nearby.get(time, {}).get(0, []))
            named = {**columns, "time": time}
            if keep:
                self.entries.append((named, mean))
            for metric, value in mean.metrics.items():
                yield {**named, "metric": metric, "value": value, "stderr": errors[metric]}

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays whose entries i belong together: columns of ``ENTRY``, ``kernel``, ``density``; and ``edges``."""
        return entry_arrays([named for named, _ in self.entries], [one for _, one in self.entries])


def entry_arrays(named: Sequence[Mapping[str, Any]], found: Sequence[Representation]) -> dict[str, np.ndarray]:
    """Put entries into arrays; see :meth:`Recorder.arrays`."""
    columns = {name: np.array([entry.get(name, math.nan) for entry in named]) for name in ENTRY}
    return {
        **columns,
        "kernel": np.array([one.kernel for one in found], dtype=np.float32),
        "density": np.array([one.density for one in found], dtype=np.float32),
        "edges": EDGES,
    }
