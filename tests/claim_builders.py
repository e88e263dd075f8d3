"""A claim and the table it is judged from."""

import numpy as np

from infwidth.analysis.claim_file import Claim
from infwidth.io.tables import make_table


def table(curve, *, seeds=6, noise=0.0, kind="network", **columns):
    """A test-loss curve over δ = 0, 1, 2, … at several seeds."""
    scatter = np.random.default_rng(0).standard_normal((seeds, len(curve)))
    return make_table(
        {
            "experiment": "e", "kind": kind, "dataset": "d", "condition": "transfer", "overlap": 0.5, "width": 10.0,
            "elastic_coupling": float(i), "seed": seed, "metric": "test_loss",
            "value": value + noise * scatter[seed, i],
            "stderr": 0.0, "status": "converged", **columns,
        }
        for seed in range(seeds)
        for i, value in enumerate(curve)
    )  # fmt: skip


def claim(**changes):
    base = {
        "id": "T2",
        "paper": "T",
        "statement": "s",
        "figure": "f",
        "experiment": "e",
        "statistic": "largest_step",
        "arguments": {"metric": "test_loss", "along": "elastic_coupling", "where": {}},
        "expect": {"below": 0},
    }
    return Claim(**{**base, **changes})  # fmt: skip
