"""Time the linear Bayesian theory beside Langevin networks at P1 = 120, P2 = 20, D = 40, four couplings.

    OMP_NUM_THREADS=1 python benchmarks/linear_bayes.py

Writes benchmarks/results/linear_bayes.json: milliseconds a point of the theory, seconds of the networks for the same
four test losses with their standard error, and the ratio of the two in this one run.
"""

from __future__ import annotations

import statistics
import time

import scipy
import torch
from report import write

from infwidth.networks import langevin
from infwidth.tasks.linear_tasks import linear
from infwidth.theory import bayes

TASK = {"n_source": 120, "n_target": 20, "dimension": 40, "overlap": 0.9, "n_test": 500}
SETTINGS = {"activation": "linear", "source_strength": 1.0, "target_strength": 0.5, "inverse_temperature": 20.0}
NETWORKS = {"width": 1000, "seeds": (0, 1, 2, 3), "sampling_time": 200.0, "dtype": torch.float32}
COUPLINGS = (0.0, 1.0, 10.0, 100.0)


def seconds(call, repeats: int = 1) -> float:
    """Median wall time of a call."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main() -> None:
    torch.set_num_threads(1)
    task = linear(**TASK, seed=0)
    alone = statistics.median(
        seconds(lambda c=c: bayes.solve(task, elastic_coupling=c, **SETTINGS), repeats=20) for c in COUPLINGS
    )
    sequence = seconds(lambda: bayes.solve(task, elastic_coupling=COUPLINGS, **SETTINGS), repeats=20)
    theory = bayes.solve(task, elastic_coupling=COUPLINGS, **SETTINGS)
    started = time.perf_counter()
    networks = langevin.run(task, elastic_coupling=COUPLINGS, **SETTINGS, **NETWORKS)
    sampling = time.perf_counter() - started
    report = {
        "task": TASK,
        "couplings": COUPLINGS,
        "theory": {
            "milliseconds_a_point": round(1e3 * alone, 2),
            "milliseconds_a_point_of_a_sequence": round(1e3 * sequence / len(COUPLINGS), 2),
            "test_loss": theory.test_loss.tolist(),
        },
        "langevin": {
            "networks": NETWORKS | {"dtype": str(NETWORKS["dtype"])},
            "seconds": round(sampling, 1),
            "test_loss": networks.test_loss.tolist(),
            "stderr": networks.stderr["test_loss"].tolist(),
        },
        "ratio_langevin_to_theory": round(sampling / sequence),
    }
    path = write("linear_bayes", report, scipy)
    print(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
