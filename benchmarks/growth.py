"""How time and memory of each solver grow with one size at a time, the others held.

    OMP_NUM_THREADS=1 python benchmarks/growth.py [--part NAME]

Writes benchmarks/results/growth.json. Every point is a process of its own, for its peak memory; seconds are process
time of the solve alone. ``exponent``: of the last two sizes, log of the ratio of their seconds over that of the sizes;
sizes so small that overheads dominate grow slower than what is said of large ones.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable

from report import RESULTS, write

CASES = {
    "linear posterior, P = P2, D = 100": ("n", [250, 1000, 4000]),
    "linear posterior, δ, P = 120": ("couplings", [1, 10, 100]),
    "NNGP and NTK, ReLU, D = 100": ("n", [500, 1000, 2000, 4000]),
    "moment equations of the linear flow, D = P": ("dimension", [100, 200, 400]),
    "particle flow, ReLU, S, P = 60, D = 20": ("particles", [256, 512, 1024, 2048]),
    "particle flow, ReLU, P, D = 20, S = 256": ("n", [30, 60, 120]),
    "particle flow, ReLU, D, P = 60, S = 256": ("dimension", [20, 80, 320]),
    "particle flow, ReLU, δ, P = 60, S = 256": ("couplings", [1, 2, 4]),
    "gradient flow, ReLU, N, P = 60, D = 20": ("width", [250, 500, 1000, 2000]),
}


def work(part: str, size: int) -> Callable[[], object]:
    """What is timed, made ready."""
    from infwidth.tasks import linear

    axis, _ = CASES[part]
    settings = {"n": 60, "dimension": 20, "particles": 256, "couplings": 1, "width": 500} | {axis: size}
    if part.startswith("NNGP"):
        import numpy as np

        from infwidth.theory import kernels

        x = np.random.default_rng(0).standard_normal((size, 100))
        return lambda: kernels.ntk(x, activation="relu", layers=1)
    couplings = [1.0 + k for k in range(settings["couplings"])]
    if part.startswith("linear"):
        from infwidth.theory import bayes

        n, dimension = (size, 100) if axis == "n" else (120, 100)
        task = linear(dimension=dimension, overlap=0.8, n_source=n, n_target=n, n_test=100, seed=0)
        shared = {"source_strength": 0.5, "target_strength": 0.5, "inverse_temperature": 10.0}
        return lambda: bayes.solve(task, activation="linear", elastic_coupling=couplings, **shared)
    if part.startswith("moment"):
        settings["n"] = size
    task = linear(
        dimension=settings["dimension"], overlap=0.8, n_source=settings["n"], n_target=settings["n"], n_test=100, seed=0
    )
    shared = {"source_strength": 0.5, "target_strength": 0.5, "weight_decay": 0.01, "source_time": 10.0}
    shared |= {"target_times": [0.0, 10.0], "elastic_coupling": couplings, "activation": "relu"}
    if part.startswith("moment"):
        from infwidth.theory import flow

        return lambda: flow.solve(task, **shared | {"activation": "linear"})
    if part.startswith("particle"):
        from infwidth.theory import flow

        return lambda: flow.solve(task, particles=settings["particles"], replicas=1, strict=False, **shared)
    from infwidth.networks import gradient_flow

    return lambda: gradient_flow.run(task, width=settings["width"], seeds=(0,), **shared)


def measure(part: str, size: int) -> None:
    """Print seconds of one solve, and how much memory it added at its peak."""
    work(part, CASES[part][1][0])()  # what is imported and made at the first call is no part of it
    solve = work(part, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    solve()
    seconds = time.process_time() - started
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"seconds": round(seconds, 4), "megabytes": round(added, 1)}))


def main() -> None:
    """Measure every case, or one, and keep the others of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=CASES, help="one case")
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.size is not None:
        measure(given.part, given.size)
        return
    path = RESULTS / "growth.json"
    kept = json.loads(path.read_text(encoding="utf-8"))["cases"] if given.part and path.exists() else {}
    for part in [given.part] if given.part else CASES:
        axis, sizes = CASES[part]
        rows = []
        for size in sizes:
            command = [sys.executable, __file__, "--part", part, "--size", str(size)]
            done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
            rows.append({axis: size, **json.loads(done.stdout.splitlines()[-1])})
            print(part, rows[-1], flush=True)
        last, before = rows[-1], rows[-2]
        exponent = math.log(last["seconds"] / before["seconds"]) / math.log(last[axis] / before[axis])
        kept[part] = {"rows": rows, "exponent": round(exponent, 2)}
    write("growth", {"cases": kept})


if __name__ == "__main__":
    main()
