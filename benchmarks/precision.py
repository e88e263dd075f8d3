"""Does single precision show? Particle flow of the default's experiments in single and in double precision.

    OMP_NUM_THREADS=1 python benchmarks/precision.py [--images PATH] [--experiment NAME]

Writes benchmarks/results/precision.json. Each cell's first data set is solved in double precision, as it is by default
(single where its rounding can't show), and once more in double precision with a tolerance of a step that is 10⁻⁴
smaller: what that changes is left open by the integrator, whose steps end on one side or the other of ReLU's kinks.
``worst`` is the largest difference of a loss from the first, over 10⁻³ of the loss or a fifth of its standard error,
whichever is larger; ``beyond`` counts points where it exceeds 1, of ``points``. ``ratio`` is seconds (of the processor)
in double precision over those by default.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from report import RESULTS, write

from infwidth.plan.config import load_config
from infwidth.plan.transfer import Plan
from infwidth.stages.parts.lines import lines_of
from infwidth.tasks.image_sources import load_images
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import flow
from infwidth.theory.dynamics import solve
from infwidth.theory.dynamics.transfer import Limits

RTOL, NEARBY = 1e-2, 1 - 1e-4
RELATIVE, OF_ERROR = 1e-3, 0.2


def cells(plan: Plan, experiment: str, images: str | None) -> Iterator[tuple[dict[str, Any], int, TransferTask]]:
    """Parameters of each cell, its first seed and the data set of that."""
    family = plan.family(experiment)
    draw = partial(family.door(), load_images("auto", images)) if family.from_images else family.door()
    targets = plan.target_data_cells(experiment)
    for name, cell in plan.theory_cells(experiment).items():
        data = plan.data_parameters(experiment, plan.project(cell, targets), "target")
        seed = cell["seeds"][0]
        yield plan.theory_parameters(experiment, name), seed, draw(**data["task"], seed=data["seeds"][seed])


def losses(p: dict[str, Any], seed: int, task: TransferTask, precision: str, rtol: float) -> tuple[np.ndarray, float]:
    """Train and test loss, and their standard errors, at all points, (2, 2, n); and seconds."""
    sources, found, started = {}, [], time.process_time()
    with patch.object(solve, "Limits", partial(Limits, precision=precision)):
        for line in lines_of(p):
            one = flow.solve(
                task, activation=p["activation"], source_strength=p["axes"]["source_strength"], rtol=rtol,
                target_strength=line.target_strength, elastic_coupling=line.elastic_couplings, sources=sources,
                seed=p["particle_seeds"][seed], strict=False, **p["settings"], **line.protocol,
            )  # fmt: skip
            names = ("train_loss", "test_loss")
            parts = [[np.ravel(getattr(one, name)), np.ravel(one.stderr[name])] for name in names]
            found.append(parts)
    return np.concatenate(found, axis=2), time.process_time() - started


def beside(exact: np.ndarray, other: np.ndarray) -> dict[str, dict[str, float]]:
    """How far losses are from the exact ones."""
    report = {}
    for name, (loss, error), (value, _) in zip(("train_loss", "test_loss"), exact, other, strict=True):
        share = np.abs(value - loss) / np.maximum(RELATIVE * loss, OF_ERROR * error).clip(1e-300)
        report[name] = {"worst": round(float(share.max()), 2), "beyond": int((share > 1).sum()), "points": len(share)}
    return report


def main() -> None:
    """Compare every experiment of the default, or one, and keep the others of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", help="a folder or .npz of CIFAR-10")
    parser.add_argument("--experiment", help="one experiment")
    given = parser.parse_args()
    torch.set_num_threads(1)
    path = RESULTS / "precision.json"
    config = load_config("config/config.yaml")
    plan = Plan(config)
    report = json.loads(path.read_text(encoding="utf-8"))["experiments"] if given.experiment and path.exists() else {}
    for name in [given.experiment] if given.experiment else plan.experiments:
        if plan.engine(name).theory != "theory.flow" or config["experiments"][name]["activation"] == "linear":
            continue
        report[name] = []
        for p, seed, task in cells(plan, name, given.images):
            (exact, slow), (single, fast), (nearby, _) = (
                losses(p, seed, task, *how) for how in (("double", RTOL), ("auto", RTOL), ("double", NEARBY * RTOL))
            )
            row = {"cell": p["cell"], "data": task.label, "ratio": round(slow / fast, 2)}
            row |= {"single": beside(exact, single), "nearby": beside(exact, nearby)}
            print(name, row, flush=True)
            report[name].append(row)
            write("precision", {"experiments": report})


if __name__ == "__main__":
    main()
