"""Is a particle flow off by what it reports? Default tolerance against a far smaller one on the same draws.

    OMP_NUM_THREADS=1 python benchmarks/tolerance.py [--problems 60] [--images PATH]

Writes benchmarks/results/tolerance.json. Hermite tasks of random sizes, degrees, γ, γ̄, δ, decay and protocol are
solved at the default tolerance and at a tenth (ReLU) or a fiftieth of it, and what lies between is divided by the
integrator's part of the reported standard error. For each activation and observable: ``median`` and ``nine_tenths`` of
that, the share ``within_two``, and ``numbers``, how many there are. ``ratio``: seconds (of the processor) of
experiments of the default with the estimate over those without, for each cell's first data set.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import defaultdict
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from precision import RTOL, cells, losses
from report import write

from infwidth.plan.config import load_config
from infwidth.plan.transfer import Plan
from infwidth.tasks import hermite
from infwidth.theory import flow
from infwidth.theory.dynamics import solve

COSTS = ("hermite_low_high", "cifar_flow", "hermite_high_low_erf")
SMALLER = {"relu": 1e-3, "erf": 2e-4, "tanh": 2e-4, "gelu": 2e-4}
NAMES = ("prediction", "train_loss", "test_loss", "kernel")
PROTOCOLS = ({}, {}, {"anchor": "random"}, {"start": "scratch"}, {"readout": "continued"})


def draw(rng: np.random.Generator, activation: str) -> tuple[Any, dict[str, Any]]:
    """A task and the settings of a flow."""
    sizes = {name: int(rng.integers(*range_)) for name, range_ in
             {"dimension": (5, 60), "n_source": (20, 60), "n_target": (10, 40)}.items()}  # fmt: skip
    degrees = {name: int(rng.integers(1, 4)) for name in ("source_degree", "target_degree")}
    seed, largest = int(rng.integers(1000)), 1.0 if activation == "relu" else 0.6
    strengths = np.exp(rng.uniform(np.log([0.1, 0.05]), np.log([1.0, largest])))
    settings = {
        "activation": activation,
        "source_strength": float(strengths[0]),
        "target_strength": float(strengths[1]),
        "elastic_coupling": [0.0, float(np.exp(rng.uniform(-1, 4))), math.inf],
        "weight_decay": float(rng.choice([0.01, 0.05, 0.1])),
        "source_time": 8.0,
        "target_times": [0.5, 3.0, 15.0],
        "particles": 128,
        "replicas": int(rng.choice([2, 4])),
        "seed": seed,
        **PROTOCOLS[rng.integers(len(PROTOCOLS))],
    }
    return hermite(overlap=1.0, n_test=100, seed=seed, **sizes, **degrees), settings


def alone(measure):
    """An average without the scatter of replicas, so that a standard error is the integrator's."""

    def measured(*given):
        value, error = measure(*given)
        return value, np.zeros_like(error)

    return measured


def coverage(problems: int) -> dict[str, dict[str, dict[str, float]]]:
    """Solve so many problems, activations in turn."""
    rng, found = np.random.default_rng(2026), defaultdict(list)
    for place in range(problems):
        activation = list(SMALLER)[place % len(SMALLER)]
        task, settings = draw(rng, activation)
        averages = {name: alone(getattr(solve, name)) for name in ("average", "average_loss")}
        with patch.multiple(solve, **averages):
            usual = flow.solve(task, **settings)
        exact = flow.solve(task, **settings, rtol=SMALLER[activation])
        for name in NAMES:
            error, reported = np.abs(getattr(usual, name) - getattr(exact, name)), usual.stderr[name]
            unknown = (error > 1e-12) | (reported > 1e-12)
            found[activation, name].append(error[unknown] / reported[unknown].clip(1e-300))
        print(place, activation, {name: round(float((found[activation, name][-1] < 2).mean()), 2) for name in NAMES})
    report: dict[str, dict] = {activation: {} for activation in SMALLER}
    for (activation, name), parts in found.items():
        share = np.concatenate(parts)
        quantiles = {"median": 0.5, "nine_tenths": 0.9}
        row = {key: round(float(np.quantile(share, at)), 2) for key, at in quantiles.items()}
        row |= {"within_two": round(float((share < 2).mean()), 3), "numbers": len(share)}
        report[activation][name] = row
    return report


def costs(images: str | None) -> dict[str, list[float]]:
    """Seconds of each cell's first data set with the estimate over those without, which are told apart by tolerance."""
    plan, report, spent = Plan(load_config("config/config.yaml")), {}, {}

    def clocked(train):
        def run(problem, sampling, limits, *rest):
            started = time.process_time()
            answer = train(problem, sampling, limits, *rest)
            coarse = limits.rtol > problem.rtol
            spent[coarse] = spent.get(coarse, 0.0) + time.process_time() - started
            return answer

        return run

    parts = {name: clocked(getattr(solve, name)) for name in ("_train_source", "_train_target")}
    for name in COSTS:
        report[name] = []
        for p, seed, task in cells(plan, name, images):
            spent.clear()
            with patch.multiple(solve, **parts):
                losses(p, seed, task, "auto", RTOL)
            report[name].append(round(1 + spent[True] / spent[False], 2))
        print(name, report[name], flush=True)
    return report


def main() -> None:
    """Find both and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=60)
    parser.add_argument("--images", help="a folder or .npz of CIFAR-10")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(write("tolerance", {"coverage": coverage(given.problems), "ratio": costs(given.images)}))


if __name__ == "__main__":
    main()
