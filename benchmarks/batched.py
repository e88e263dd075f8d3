"""Networks of several seeds and couplings δ in one batch, against the same ones one after the other.

    OMP_NUM_THREADS=1 python benchmarks/batched.py [--repeats 5]

Writes benchmarks/results/batched.json: seconds of the loop over those of the batch, process time, medians of pairs that
took turns. Their networks are the same: a network depends on its seed and data alone. ``pairs``: the networks that
choose sources and δ for five problems of digits in all ways of the study real_transfer, target by target, likewise.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from statistics import median

import numpy as np
from report import write

from infwidth.networks import gradient_flow
from infwidth.numerics.progress import Counter
from infwidth.studies.real_choices import Setting
from infwidth.studies.real_problems import draw_task, read_pools
from infwidth.studies.real_transfer import train_sources, trials
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


def pairs() -> tuple:
    """The default's pairs of problems of digits, how they are trained on, and the networks of their sources."""
    read = {"extractor": "pixels", "text": "cpython", "text_bytes": None, "problems": 5, "most": 100}
    (pool,) = read_pools("digits", None, **read)
    sizes = {"n_source": 100, "n_target": 16, "seed": 0}
    problems = itertools.permutations([(2 * i, 2 * i + 1) for i in range(5)], 2)
    tasks = [draw_task(pool, source, target, **sizes) for target, source in problems]
    setting = Setting("linear", (0.0, 1.0, 10.0, math.inf), 10.0, 8, 1, False, 48, 2048, 10.0, 0.01, 20.0, 0)
    trained = train_sources(tasks, setting)
    return tasks, setting, [trained[task.x_source.tobytes()] for task in tasks]


def chosen(tasks, setting, networks):
    """All pairs together."""
    return trials(tasks, setting, networks, Counter(None, len(tasks)))


def chosen_apart(tasks, setting, networks):
    """Target by target, of four sources each."""
    parts = [(tasks[low : low + 4], setting, networks[low : low + 4]) for low in range(0, len(tasks), 4)]
    return [trial for part in parts for trial in chosen(*part)]


def seconds(work, *arguments):
    started = time.process_time()
    found = work(*arguments)
    return time.process_time() - started, found


def same_loss(one, many):
    mean = np.mean([[each.test_loss for each in row] for row in many], axis=0)
    np.testing.assert_allclose(mean, one.test_loss, rtol=1e-6)


def same_losses(together, apart):
    for one, other in zip(together, apart, strict=True):
        np.testing.assert_allclose(one.losses, other.losses, rtol=1e-4)


def compare(batched, looped, arguments, repeats, check):
    """Pairs that take turns; ``check`` sees what both found."""
    ratios, spent = [], []
    for _ in range(repeats):
        (together, one), (apart, many) = seconds(batched, *arguments), seconds(looped, *arguments)
        check(one, many)
        ratios.append(apart / together)
        spent.append(together)
    return {"ratio": round(median(ratios), 2), "batch_seconds": round(median(spent), 3)}


def main() -> None:
    """Measure each width, and pairs of problems."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    task = linear(dimension=20, overlap=0.8, n_source=60, n_target=30, n_test=200, seed=0)
    batch(task, 100)
    rows = []
    for width in (100, 500, 2000):
        rows.append({"width": width} | compare(batch, loop, (task, width), repeats, same_loss))
        print(rows[-1], flush=True)
    of_pairs = compare(chosen, chosen_apart, pairs(), repeats, same_losses)
    print(of_pairs, flush=True)
    write("batched", {"seeds": len(SEEDS), "couplings": len(COUPLINGS), "rows": rows, "pairs": of_pairs})


if __name__ == "__main__":
    main()
