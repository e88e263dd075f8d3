"""Sampled erf and ReLU networks of N = 200 and 400 beside E_∞ + c/N, one task, without a tie and with one.

    python benchmarks/finite_width.py

Writes benchmarks/results/finite_width.json: of each activation, δ and N the networks' test loss, what the theory
expects (docs/finite_width.md), the standard error of both together, and by how many of them they are apart. Ten
minutes. It tells no time, so ``make bench`` leaves it out.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from report import write

from infwidth.networks import langevin
from infwidth.tasks import linear
from infwidth.theory import bayes

WIDTHS, COUPLINGS = (200, 400), (0.0, 5.0)
NETWORKS = {200: 160, 400: 80}
SETTINGS = {
    "source_strength": 0.8,
    "target_strength": 0.6,
    "inverse_temperature": 10.0,
    "elastic_coupling": COUPLINGS,
}
TIMES = {"burn_in_time": 96.0, "sampling_time": 30.0}
"""After a quarter of that burn-in ReLU networks are not at rest: at δ = 5, N = 200 their loss is 1.7 % higher."""


def measure(activation: str) -> list[dict[str, float | str]]:
    """Rows of one activation."""
    task = linear(dimension=8, overlap=0.6, n_source=16, n_target=6, n_test=60, seed=3)
    theory = bayes.solve(task, activation=activation, particles=32000, evidence=False, **SETTINGS)
    finite, rows = theory.finite_width, []
    for width in WIDTHS:
        started = time.perf_counter()
        seeds = range(NETWORKS[width])
        found = langevin.run(task, activation=activation, width=width, seeds=seeds, strict=False, **TIMES, **SETTINGS)
        expected = theory.test_loss + finite.total / width
        parts = found.stderr["sampled_test_loss"], theory.stderr["test_loss"], finite.stderr["total"] / width
        error = np.linalg.norm(parts, axis=0)
        for i, coupling in enumerate(COUPLINGS):
            rows.append(
                {
                    "activation": activation,
                    "width": width,
                    "elastic_coupling": coupling,
                    "networks": len(seeds),
                    "test_loss": float(found.sampled_test_loss[i]),
                    "expected": float(expected[i]),
                    "infinite_width": float(theory.test_loss[i]),
                    "stderr": float(error[i]),
                    "standard_errors_apart": float((found.sampled_test_loss[i] - expected[i]) / error[i]),
                    "seconds": round(time.perf_counter() - started, 1),
                }
            )
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    torch.set_num_threads(1)
    write("finite_width", {"rows": [row for activation in ("erf", "relu") for row in measure(activation)]})


if __name__ == "__main__":
    main()
