"""Time the Bayesian theory of nonlinear networks at P1 = 100, P2 = 40, D = 25, four couplings, default particles.

    OMP_NUM_THREADS=1 python benchmarks/population_bayes.py [--seeds 3]

Writes benchmarks/results/population_bayes.json: seconds of one core for source and four targets, each test loss with
its standard error, and the scatter between seeds; and those of sampled networks of width 1,000 (HMC, four of them),
with the seconds they would need for the theory's error if only their scatter counted. Seconds are process time, so that
a busy machine does not spoil them.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from report import write

from infwidth.networks import langevin
from infwidth.tasks.linear_tasks import linear
from infwidth.theory import bayes

TASK = {"n_source": 100, "n_target": 40, "dimension": 25, "overlap": 0.6, "n_test": 1000}
SETTINGS = {"source_strength": 1.0, "target_strength": 1.0, "inverse_temperature": 20.0}
COUPLINGS = (0.0, 1.0, 10.0, 100.0)


def measure(activation: str, seeds: int) -> dict:
    task = linear(**TASK, seed=0)
    seconds, runs = [], []
    for seed in range(seeds):
        started = time.process_time()
        runs.append(
            bayes.solve(task, activation=activation, elastic_coupling=COUPLINGS, seed=seed, strict=False, **SETTINGS)
        )
        seconds.append(time.process_time() - started)
    losses = np.array([run.test_loss for run in runs])
    errors = np.array([run.stderr["test_loss"] for run in runs])
    return {
        "seconds": [round(s, 1) for s in seconds],
        "status": [[status.value for status in run.status] for run in runs],
        "test_loss": losses.mean(0).tolist(),
        "relative_stderr": (np.sqrt(np.mean(errors**2, 0)) / losses.mean(0)).tolist(),
        "relative_scatter_of_seeds": (losses.std(0, ddof=1) / losses.mean(0)).tolist() if seeds > 1 else None,
        "iterations": [run.iterations.tolist() for run in runs],
    }


def measure_networks(activation: str, theory: dict) -> dict:
    task = linear(**TASK, seed=0)
    started = time.process_time()
    found = langevin.run(
        task, activation=activation, elastic_coupling=COUPLINGS, width=1000, seeds=range(4), dtype=torch.float32,
        strict=False, **SETTINGS,
    )  # fmt: skip
    seconds = time.process_time() - started
    error = found.stderr["test_loss"] / found.test_loss
    ratio = error / np.array(theory["relative_stderr"])
    return {
        "seconds": round(seconds, 1),
        "status": [status.value for status in found.status],
        "test_loss": found.test_loss.tolist(),
        "relative_stderr": error.tolist(),
        "seconds_for_the_theory's_error": (seconds * ratio**2).round(1).tolist(),
        "relative_distance_from_theory": (found.test_loss / np.array(theory["test_loss"]) - 1).tolist(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    report = {
        "task": TASK,
        "settings": SETTINGS,
        "couplings": COUPLINGS,
        **{activation: measure(activation, seeds) for activation in ("erf", "relu")},
    }
    report |= {
        "networks": {activation: measure_networks(activation, report[activation]) for activation in ("erf", "relu")},
    }
    path = write("population_bayes", report)
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
