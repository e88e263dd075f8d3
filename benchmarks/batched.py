"""Networks of several seeds and couplings δ in one batch, against the same ones one after the other.

    OMP_NUM_THREADS=1 python benchmarks/batched.py [--repeats 5]

Writes benchmarks/results/batched.json: seconds of the loop over those of the batch, process time, medians of pairs that
took turns. Their networks are the same: a network depends on its seed and data alone.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
from report import write

from infwidth.networks import gradient_flow
from infwidth.tasks import linear

SEEDS, COUPLINGS = (0, 1, 2, 3), (0.0, 1.0, 10.0, 100.0)
SHARED = {"activation": "relu", "source_strength": 0.5, "target_strength": 0.5, "weight_decay": 0.01}
TIMES = {"source_time": 5.0, "target_times": [0.0, 5.0]}


def batch(task, width):
    return gradient_flow.run(task, width=width, seeds=SEEDS, elastic_coupling=COUPLINGS, **SHARED, **TIMES)


def loop(task, width):
    return [
        [
            gradient_flow.run(task, width=width, seeds=(seed,), elastic_coupling=delta, **SHARED, **TIMES)
            for delta in COUPLINGS
        ]
        for seed in SEEDS
    ]


def seconds(work, *arguments):
    started = time.process_time()
    found = work(*arguments)
    return time.process_time() - started, found


def main() -> None:
    """Measure each width."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    task = linear(dimension=20, overlap=0.8, n_source=60, n_target=30, n_test=200, seed=0)
    batch(task, 100)
    rows = []
    for width in (100, 500, 2000):
        ratios, spent = [], []
        for _ in range(repeats):
            (together, one), (apart, many) = seconds(batch, task, width), seconds(loop, task, width)
            mean = np.mean([[each.test_loss for each in row] for row in many], axis=0)
            np.testing.assert_allclose(mean, one.test_loss, rtol=1e-6)
            ratios.append(apart / together)
            spent.append(together)
        rows.append({"width": width, "ratio": round(median(ratios), 2), "batch_seconds": round(median(spent), 3)})
        print(rows[-1], flush=True)
    write("batched", {"seeds": len(SEEDS), "couplings": len(COUPLINGS), "rows": rows})


if __name__ == "__main__":
    main()
