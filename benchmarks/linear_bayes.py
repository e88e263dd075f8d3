"""Time the linear Bayesian theory per point (one source and one target) at P1 = 120, P2 = 20, D = 40.

    OMP_NUM_THREADS=1 python benchmarks/linear_bayes.py [--output FILE]

Prints JSON with the environment. `time_theory` is what a comparison with a finite-width sampler divides by.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import scipy

from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes

SIZES = {"n_source": 120, "n_target": 20, "dimension": 40}
SETTINGS = {
    "activation": "linear",
    "source_strength": 1.0,
    "target_strength": 0.5,
    "inverse_temperature": 20.0,
    "prior_precision": 1.0,
}
COUPLINGS = (0.0, 1.0, 10.0, 100.0)


def make_task(n_source: int, n_target: int, dimension: int, overlap: float = 0.9, seed: int = 0) -> TransferTask:
    rng = np.random.default_rng(seed)
    source, other = rng.standard_normal((2, dimension))
    target = overlap * source + np.sqrt(1 - overlap**2) * other
    inputs = [rng.standard_normal((n, dimension)) for n in (n_source, n_target, 500)]
    pairs = [(x, x @ w / np.sqrt(dimension)) for x, w in zip(inputs, (source, target, target), strict=True)]
    return TransferTask(*(array for pair in pairs for array in pair))


def time_theory(repeats: int = 20) -> dict[str, float]:
    """Median wall time in milliseconds: of a point solved alone, and per point when the source is shared."""
    task = make_task(**SIZES)
    alone, shared = [], []
    for _ in range(repeats):
        for coupling in COUPLINGS:
            started = time.perf_counter()
            bayes.solve(task, elastic_coupling=coupling, **SETTINGS)
            alone.append(time.perf_counter() - started)
        started = time.perf_counter()
        bayes.solve(task, elastic_coupling=COUPLINGS, **SETTINGS)
        shared.append((time.perf_counter() - started) / len(COUPLINGS))
    return {"point_ms": 1e3 * statistics.median(alone), "point_of_a_sequence_ms": 1e3 * statistics.median(shared)}


def environment() -> dict[str, str | int | None]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "cpu_count": os.cpu_count(),
        "omp_num_threads": os.environ.get("OMP_NUM_THREADS"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="write the JSON here instead of printing it")
    output = parser.parse_args().output
    report = {"sizes": SIZES, "couplings": COUPLINGS, "theory": time_theory(), "environment": environment()}
    text = json.dumps(report, indent=2) + "\n"
    if output:
        output.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
