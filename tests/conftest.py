"""What several tests start from."""

import os
from pathlib import Path

import pytest

# Before numpy and torch are imported: most matrices here are small, and threads that wait for each other make tests
# slower, several times on a busy machine. The workflow runs its jobs with one thread too.
os.environ.setdefault("OMP_NUM_THREADS", "1")


SLOW = (
    *("agreement", "applied", "cluster", "figures", "studies", "workflow"),
    *("networks/sampling", "networks/transformer", "networks/test_gradient_flow.py", "networks/test_langevin.py"),
    *("theory/dynamics", "theory/posterior", "theory/linear/test_finite_flow.py", "theory/test_averaged.py"),
    *("theory/test_averaged_data_sets.py", "adam_ntk/test_dual_in_transformers.py"),
    *("theory/test_kernels.py", "theory/linear/test_posterior.py", "theory/test_reference_numbers.py"),
    *("theory/test_flow.py", "theory/test_given_weights.py"),
    *("adam_ntk/test_dual_readout.py", "adam_ntk/test_in_others_loops.py"),
    *("stages/test_fork_server.py", "stages/test_language.py", "stages/test_networks.py", "stages/test_study.py"),
    *("project/test_cli.py", "project/test_environment.py", "project/test_documentation_runs.py"),
)
"""Folders and modules here that train, sample, draw or start other programs at length; the rest takes a minute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as fast what is not below ``SLOW``: ``pytest -m fast``."""
    here = Path(__file__).parent
    for item in items:
        if not any(item.path.is_relative_to(here / one) for one in SLOW):
            item.add_marker(pytest.mark.fast)


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
