"""Time NNGP and NTK beside neural-tangents, in one process on one core, and hold them against each other.

    pip install neural-tangents==0.6.5 jax==0.4.30
    taskset -c 0 python benchmarks/lazy_kernels.py

Writes benchmarks/results/lazy_kernels.json: for every size milliseconds of both (compiled, the median of several calls
in turn), their ratio, the share of a bare matrix product of the inputs in ours, and the largest relative difference.
"""

from __future__ import annotations

import statistics
import time

import jax

jax.config.update("jax_enable_x64", True)

import neural_tangents as nt  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from neural_tangents import stax  # noqa: E402
from report import write  # noqa: E402

from infwidth.theory import kernels  # noqa: E402

SIZES = [(200, 20), (1000, 20), (1000, 100), (1000, 784), (3000, 100)]
NETWORKS = [("relu", 1), ("relu", 3), ("erf", 1), ("erf", 3)]
REPEATS = 5


def rival(activation: str, layers: int):
    """Both kernels of the same network by neural-tangents, compiled."""
    nonlinear = {"relu": stax.Relu, "erf": stax.Erf}[activation]
    stack = [layer for _ in range(layers) for layer in (stax.Dense(1, W_std=1.0, b_std=None), nonlinear())]
    _, _, kernel = stax.serial(*stack, stax.Dense(1, W_std=1.0, b_std=None))
    return jax.jit(lambda x: kernel(x, None, ("nngp", "ntk")))


def measure(samples: int, dimension: int, activation: str, layers: int) -> dict:
    """Milliseconds of ours, theirs and the matrix product, in turn."""
    x = np.random.default_rng(0).standard_normal((samples, dimension))
    theirs, given = rival(activation, layers), jax.numpy.asarray(x)
    calls = {
        "infwidth": lambda: kernels.solve(x, activation=activation, layers=layers),
        "neural_tangents": lambda: jax.block_until_ready(theirs(given)),
        "matrix_product": lambda: torch.from_numpy(x) @ torch.from_numpy(x).T,
        "their_matrix_product": lambda: jax.block_until_ready(given @ given.T),
    }
    seconds = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(REPEATS):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - started)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ours, reference = calls["infwidth"](), theirs(given)
    apart = max(
        float(np.abs(a - np.asarray(b)).max() / np.abs(a).max())
        for a, b in ((ours.nngp, reference.nngp), (ours.ntk, reference.ntk))
    )
    return {
        "samples": samples,
        "dimension": dimension,
        "activation": activation,
        "layers": layers,
        **{f"{name}_ms": round(1e3 * value, 2) for name, value in median.items()},
        "ratio": round(median["neural_tangents"] / median["infwidth"], 2),
        "largest_difference": apart,
    }


def main() -> None:
    torch.set_num_threads(1)
    rows = [measure(*size, *network) for size in SIZES for network in NETWORKS]
    write("lazy_kernels", {"rows": rows}, jax, nt)
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
