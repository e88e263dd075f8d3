"""Published reference numbers of the linear theory: docs/theory.md §1 (Bayes) and §2 (gradient flow)."""

import numpy as np
import pytest

from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes, flow


def reference_task(overlap, dimension, n_source, n_target):
    rng = np.random.default_rng(0)
    b, o = rng.standard_normal(dimension), rng.standard_normal(dimension)
    b *= np.sqrt(dimension) / np.linalg.norm(b)
    o -= b * (b @ o) / dimension
    o *= np.sqrt(dimension) / np.linalg.norm(o)
    x1, x2 = rng.standard_normal((n_source, dimension)), rng.standard_normal((n_target, dimension))
    w = overlap * b + np.sqrt(1 - overlap**2) * o
    y1, y2 = x1 @ b / np.sqrt(dimension), x2 @ w / np.sqrt(dimension)
    return TransferTask(x1, y1, x2, y2, x2, y2), w


def population_loss(weights, teacher):
    return np.sum((weights - teacher) ** 2, axis=-1) / len(teacher)


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (0.0, [0.5993, 0.6257, 0.6491, 0.6561]),
        (0.6, [0.4440, 0.3714, 0.3759, 0.3823]),
        (0.9, [0.4047, 0.1908, 0.1148, 0.1114]),
    ],
)
def test_bayes(overlap, expected):
    task, teacher = reference_task(overlap, 40, 120, 20)
    solution = bayes.solve(
        task,
        activation="linear",
        source_strength=1.0,
        target_strength=0.5,
        elastic_coupling=[0, 1, 10, 100],
        inverse_temperature=20.0,
    )
    np.testing.assert_allclose(population_loss(solution.weights, teacher), expected, atol=5.1e-5)


@pytest.mark.parametrize(
    ("overlap", "expected"), [(0.0, [0.477, 0.486, 0.486, 0.486]), (0.9, [0.254, 0.143, 0.141, 0.141])]
)
def test_flow(overlap, expected):
    task, teacher = reference_task(overlap, 30, 90, 15)
    solution = flow.solve(
        task,
        activation="linear",
        source_strength=3 / np.sqrt(30),
        target_strength=3 / np.sqrt(30),
        elastic_coupling=[0, 1, 10, 100],
        weight_decay=0.003,
        source_time=20,
        target_times=[20],
    )
    np.testing.assert_allclose(population_loss(solution.weights, teacher)[:, 0], expected, atol=5.1e-4)
