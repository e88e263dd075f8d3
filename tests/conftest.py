"""What several tests start from."""

import os
from pathlib import Path

import pytest

# Before numpy and torch are imported: most matrices here are small, and threads that wait for each other make tests
# slower, several times on a busy machine. The workflow runs its jobs with one thread too.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def root() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture
def small_config() -> dict:
    """The smallest configuration: one linear study under gradient flow."""
    return {
        "preset": "mine",
        "experiments": {
            "lin": {
                "task": {"linear": {"dimension": 5, "overlap": [0, 0.5], "n_source": 8, "n_target": 4, "n_test": 20}},
                "training": {"flow": {"weight_decay": 0.1, "source_time": 1, "target_times": [0, 1]}},
                "source_strength": 1.0,
                "target_strength": 1.0,
                "elastic_coupling": [0, 1],
                "width": 4,
            }
        },
        "figures": {"linear_dynamics": "lin"},
    }
