"""What target training leaves of the source: theory and networks on Hermite teachers (docs/version_two.md).

The source's test loss under the trained target's features, with the source's own readout and with one that is trained
anew on the source's samples, over the target's feature learning γ and the tie δ. He1 on linear networks is a linear
teacher.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from infwidth.networks.forgetting import NetworksForgetting
from infwidth.networks.forgetting import run as run_networks
from infwidth.numerics.checks import check_count
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.status import Status
from infwidth.tasks.hermite_tasks import hermite
from infwidth.theory.forgetting import Forgetting
from infwidth.theory.forgetting import solve as solve_theory

METRICS = {"old_readout": "source_loss_old_readout", "refitted": "source_loss_refitted"}


def run(
    *,
    seed: int,
    activation: str = "linear",
    source_degree: int = 1,
    target_degree: int = 1,
    dimension: int = 20,
    overlap: float = 0.3,
    n_source: int = 60,
    n_target: int = 30,
    n_test: int = 400,
    source_strength: float = 0.3,
    target_strength: Sequence[float] = (0.1, 0.3, 1.0),
    elastic_couplings: Sequence[float] = (0, 0.1, 1, 10),
    weight_decay: float = 0.02,
    source_time: float = 20.0,
    target_time: float = 10.0,
    readout: str = "fresh",
    particles: int = 512,
    replicas: int = 2,
    width: int = 1000,
    network_seeds: int = 1,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Train source and target by theory and networks on one data set, and go back to the source.

    Args:
        seed: whole number ≥ 0 that the data, particles and networks derive from.
        activation: φ.
        source_degree: k of the source's He_k.
        target_degree: that of the target.
        dimension: D.
        overlap: α.
        n_source: P1.
        n_target: P2.
        n_test: test samples of the source.
        source_strength: γ̄.
        target_strength: γ, several.
        elastic_couplings: δ, finite.
        weight_decay: λ of both tasks, and of the readout that is trained anew.
        source_time: for which the source trains.
        target_time: for which the target trains.
        readout: the target's: "fresh", or "continued" from the source's.
        particles: S of the theory of a nonlinear activation.
        replicas: R.
        width: N of the source networks; 0 trains none.
        network_seeds: networks of the data set.
        progress: called with the fraction done.

    Returns:
        Rows with metrics ``source_loss_old_readout`` and ``source_loss_refitted`` at times 0 and ``target_time``, of
        condition ``source`` with ``source_test_loss``, that of the source itself.

    Raises:
        InputError: a setting is out of range.
        UnconvergedError: an unconverged point.
    """
    check_count("width", width, minimum=0)
    sizes = {"dimension": dimension, "n_source": n_source, "n_target": n_target, "n_test": n_test, "seed": seed}
    task = hermite(source_degree=source_degree, target_degree=target_degree, overlap=overlap, **sizes)
    back = hermite(source_degree=source_degree, target_degree=source_degree, overlap=1.0, **sizes)
    settings = {
        "activation": activation, "source_strength": source_strength, "elastic_coupling": list(elastic_couplings),
        "weight_decay": weight_decay, "refit_decay": weight_decay, "source_time": source_time,
        "target_times": [0.0, target_time], "readout": readout,
    }  # fmt: skip
    columns = {
        "dataset": f"{activation} networks, {task.label}, α = {overlap:g}", "overlap": float(overlap),
        "n_source": float(n_source), "n_target": float(n_target), "source_strength": float(source_strength),
        "status": Status.CONVERGED.value,
    }  # fmt: skip
    sides = [("theory", math.inf, solve_theory, {"particles": particles, "replicas": replicas, "seed": seed})]
    if width:
        more = {"width": width, "seeds": range(network_seeds), "dtype": torch.float32}
        sides.append(("network", float(width), run_networks, more))
    counter, rows = Counter(progress, len(target_strength) * len(sides)), []
    for strength in target_strength:
        for kind, size, solve, options in sides:
            found = solve(task, back.x_test, back.y_test, **settings, target_strength=strength, **options)
            if isinstance(found, NetworksForgetting):
                options["source"] = found.source  # no γ of the target is theirs
            which = columns | {"kind": kind, "width": size, "target_strength": float(strength)}
            rows += [which | row for row in _rows(found, settings["elastic_coupling"])]
            counter.advance()
    return rows


def _rows(found: Forgetting | NetworksForgetting, couplings: Sequence[float]) -> Iterator[dict]:
    """Rows of one γ: the mean over networks, if it is some that were trained."""

    def level(name: str) -> tuple[np.ndarray, np.ndarray]:
        values = np.asarray(getattr(found, name))
        if hasattr(found, "stderr"):
            return values, np.broadcast_to(found.stderr[name], values.shape)
        count = len(values)
        error = values.std(0, ddof=1) / math.sqrt(count) if count > 1 else np.full(values.shape[1:], math.nan)
        return values.mean(0), error

    value, error = level("before")
    yield {"condition": "source", "metric": "source_test_loss", "value": float(value), "stderr": float(error)}
    for name, metric in METRICS.items():
        values, errors = level(name)
        for (g, t), number in np.ndenumerate(values):
            place = {"elastic_coupling": float(couplings[g]), "time": float(found.times[t]), "metric": metric}
            yield {"condition": "transfer", **place, "value": float(number), "stderr": float(errors[g, t])}
