"""The ways in which transfer fails, made on purpose beside controls, and whether a diagnosis names them.

Linear networks under gradient flow show three: a plateau above scratch, no gain despite a large tie, a finite-width
mismatch. Posteriors of growing feature learning show the fourth, instability, as their domain margin goes to 0.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import float32

from infwidth.networks import gradient_flow
from infwidth.networks.solution import NetworkSolution
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.numerics.status import Status, worst
from infwidth.tasks.linear_tasks import linear
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes, flow
from infwidth.theory.diagnosis import SIGNATURES, diagnose
from infwidth.theory.solution import FlowSolution

PLATEAU, NO_GAIN, UNSTABLE, WIDTH = SIGNATURES
TIMES = (0.0, 0.3, 1.0, 3.0, 10.0, 40.0, 160.0, 320.0)
FLOW = {"activation": "linear", "target_strength": 0.5, "weight_decay": 0.02}
COUPLINGS = (0.0, 10.0, 100.0)
CASES = {
    PLATEAU: ({"overlap": 0.0, "n_target": 12, "dimension": 20}, {"overlap": 1.0, "n_target": 12, "dimension": 20}),
    NO_GAIN: ({"overlap": 0.0, "n_target": 10, "dimension": 20}, {"overlap": 0.9, "n_target": 10, "dimension": 20}),
    WIDTH: ({"overlap": 0.9, "n_target": 5, "dimension": 10}, {"overlap": 0.9, "n_target": 5, "dimension": 10}),
}
"""Signature → what its case and its control are drawn with."""
DECAYS = {PLATEAU: 0.1, NO_GAIN: 0.02, WIDTH: 0.02}
"""Signature → decay of the source, which for a plateau has lost the directions that it did not learn."""
WIDTHS = {"case": 12, "control": 2000}
NETWORKS = {"case": 48, "control": 6}
"""Networks that the theory is held against: narrow ones scatter more."""


@dataclass(frozen=True)
class _Flow:
    """One data set's flow, with what it is held against.

    Attributes:
        transfer: at all couplings.
        scratch: from scratch.
        networks: of one width, or None.
    """

    transfer: FlowSolution
    scratch: FlowSolution
    networks: NetworkSolution | None

    def diagnosis(self) -> tuple[str, ...]:
        """Names of the signatures it shows."""
        return diagnose(self.transfer, scratch=self.scratch, network_solution=self.networks)


def _solve(name: str, which: str, seed: int) -> _Flow:
    settings = CASES[name][which == "control"]
    task = linear(n_source=80, n_test=400, seed=derive_seed(seed, name), **settings)
    times = TIMES[:6] if name == WIDTH else TIMES  # a plateau is at rest; networks cost as they go
    common = FLOW | {
        "target_times": times,
        "source_strength": 1.0,
        "source_weight_decay": DECAYS[name],
        "source_time": 10.0,
    }
    transfer = flow.solve(task, **common, elastic_coupling=COUPLINGS)
    networks = None
    if name == WIDTH:
        seeds = [derive_seed(seed, "networks", index) for index in range(NETWORKS[which])]
        networks = gradient_flow.run(
            task, **common, elastic_coupling=COUPLINGS, width=WIDTHS[which], seeds=seeds, dtype=float32
        )
    return _Flow(transfer, flow.solve(task, **common, elastic_coupling=0.0, start="scratch"), networks)


def cases(seed: int) -> Mapping[str, tuple[Callable[[], tuple[str, ...]], Callable[[], tuple[str, ...]]]]:
    """Signature of a flow → functions that diagnose its case and its control on one data set."""
    solved = {
        name: [functools.cache(functools.partial(_solve, name, which, seed)) for which in WIDTHS] for name in CASES
    }
    return {name: tuple(lambda one=one: one().diagnosis() for one in pair) for name, pair in solved.items()}


def run(
    *, seed: int, target_strength: Sequence[float] = (1, 3, 10, 30, 100, 300), progress: Progress = None
) -> list[dict[str, Any]]:
    """Make each failure and its control on one data set.

    Args:
        seed: whole number ≥ 0 that data and networks derive from.
        target_strength: γ > 0 at which posteriors are looked at for instability.
        progress: called with the fraction done.

    Returns:
        Rows with the signature and ``case`` or ``control`` in the dataset's name: ``test_loss`` over time of transfer,
        scratch and networks, ``domain_margin`` of posteriors, and ``diagnosed``, 1 where the diagnosis names the
        signature.

    Raises:
        InputError: a strength out of range.
    """
    counter, rows = Counter(progress, 2 * len(CASES) + len(target_strength)), []
    for name in CASES:
        for which in WIDTHS:
            found = _solve(name, which, seed)
            rows += _flow_rows(name, which, found)
            counter.advance()
    task = linear(dimension=20, overlap=0.5, n_source=80, n_target=10, n_test=100, seed=derive_seed(seed, UNSTABLE))
    for strength in target_strength:
        rows += _posterior_rows(task, float(strength))
        counter.advance()
    return rows


def _flow_rows(name: str, which: str, found: _Flow) -> Iterator[dict[str, Any]]:
    columns = {"dataset": f"{name}: {which}", "stderr": 0.0, "status": worst(found.transfer.status).value}
    theory = columns | {"kind": "theory", "width": math.inf, "metric": "test_loss"}
    for t, time in enumerate(found.transfer.times.tolist()):
        yield theory | {"condition": "scratch", "time": time, "value": float(found.scratch.test_loss[t])}
        for g, coupling in enumerate(COUPLINGS):
            place = {"condition": "transfer", "elastic_coupling": coupling, "time": time}
            yield theory | place | {"value": float(found.transfer.test_loss[g, t])}
            if found.networks is not None:
                value, error = found.networks.test_loss[g, t], found.networks.stderr["test_loss"][g, t]
                network = {
                    "kind": "network",
                    "width": float(WIDTHS[which]),
                    "value": float(value),
                    "stderr": float(error),
                }
                yield theory | place | network
    yield columns | _diagnosed(name, found.diagnosis())


def _posterior_rows(task: TransferTask, strength: float) -> Iterator[dict[str, Any]]:
    found = bayes.solve(
        task, activation="linear", source_strength=1.0, target_strength=strength, elastic_coupling=1.0,
        inverse_temperature=20.0, strict=False,
    )  # fmt: skip
    columns = {"dataset": f"{UNSTABLE}: case", "target_strength": strength, "elastic_coupling": 1.0, "stderr": 0.0}
    columns |= {"kind": "theory", "condition": "transfer", "width": math.inf, "status": Status.CONVERGED.value}
    yield columns | {"metric": "domain_margin", "value": float(np.nan_to_num(found.domain_margin))}
    yield columns | _diagnosed(UNSTABLE, found.diagnosis)


def _diagnosed(name: str, found: tuple[str, ...]) -> dict[str, Any]:
    return {
        "kind": "theory",
        "condition": "transfer",
        "metric": "diagnosed",
        "value": float(name in found),
        "stderr": 0.0,
    }
