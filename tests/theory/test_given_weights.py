"""A source given by its weights, beside the source whose weights they are."""

import dataclasses
import math

import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.tasks import linear
from infwidth.theory import bayes

TASK = linear(dimension=10, overlap=0.9, n_source=60, n_target=12, n_test=100, seed=2)
ELSEWHERE = dataclasses.replace(TASK, x_source=TASK.x_target, y_source=0 * TASK.y_target)
SETTINGS = {"source_strength": 0.6, "target_strength": 0.6, "inverse_temperature": 15.0}
COUPLINGS = [0.0, 2.0, 20.0, math.inf]


def posterior_weights(activation, count):
    """Neurons of the source's own posterior: those of a target that is the source's data, from scratch."""
    task = dataclasses.replace(TASK, x_target=TASK.x_source, y_target=TASK.y_source)
    settings = SETTINGS | {"target_strength": SETTINGS["source_strength"]}
    if activation == "linear":
        found = bayes.solve(task, activation="linear", elastic_coupling=0.0, **settings)
        drive = found.dual @ TASK.x_source / math.sqrt(10) * 0.6
        inverse = np.linalg.inv(np.eye(10) - np.outer(drive, drive))
        return np.random.default_rng(0).standard_normal((count, 10)) @ np.linalg.cholesky(inverse).T
    found = bayes.solve(task, activation=activation, elastic_coupling=0.0, particles=2048, keep_neurons=True,
                        evidence=False, **settings)  # fmt: skip
    return found.neurons.hidden


@pytest.mark.parametrize("activation", ["linear", "erf"])
def test_neurons_of_the_source_stand_for_its_data(activation):
    weights = posterior_weights(activation, 200_000)
    common = {"activation": activation, "elastic_coupling": COUPLINGS, "particles": 1024, "evidence": False,
              "strict": False}  # fmt: skip
    known = bayes.solve(TASK, **common, **SETTINGS)
    found = bayes.solve(ELSEWHERE, source_weights=weights, **common, **SETTINGS)
    np.testing.assert_allclose(found.test_loss, known.test_loss, rtol=0.01 if activation == "linear" else 0.08)
    assert found.test_loss[-1] < found.test_loss[0]


def test_folds_work_with_given_weights():
    weights = posterior_weights("linear", 1000)
    found = bayes.solve(ELSEWHERE, activation="linear", elastic_coupling=[1.0, math.inf], source_weights=weights,
                        folds=np.arange(12) % 3, **SETTINGS)  # fmt: skip
    assert np.isfinite(found.folds_left_out[0].residuals).all()
    np.testing.assert_allclose(found.folds_left_out[1].pairs, found.folds_left_out[1].first_order, rtol=1e-6)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones((5, 10)), "at least 16 neurons"),
        (np.ones((20, 9)), "of the task's 10 inputs"),
        (np.ones(10), "shape \\(10,\\)"),
        (np.full((20, 10), np.nan), "NaN or infinite"),
        (np.full((20, 10), 1j), "complex"),
    ],
)
def test_bad_weights_end_in_one_line(weights, words):
    with pytest.raises(InputError, match=words):
        bayes.solve(TASK, activation="linear", elastic_coupling=1.0, source_weights=weights, **SETTINGS)
