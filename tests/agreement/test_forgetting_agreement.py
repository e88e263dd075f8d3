"""What the target's training leaves of the source: networks, moments and particles agree; limits; refusals."""

import math

import numpy as np
import pytest

from infwidth.networks import forgetting as networks
from infwidth.numerics.checks import InputError
from infwidth.tasks import hermite
from infwidth.theory import forgetting as theory

SETTINGS = {"source_strength": 0.5, "target_strength": 0.5, "weight_decay": 0.02, "source_time": 5.0}
SETTINGS |= {"target_times": [0.0, 1.0, 4.0], "elastic_coupling": [0.0, 3.0]}


def data(source_degree=1, target_degree=1, dimension=10, seed=0):
    settings = {"dimension": dimension, "n_source": 40, "n_target": 15, "n_test": 150, "seed": seed}
    task = hermite(source_degree=source_degree, target_degree=target_degree, overlap=0.3, **settings)
    back = hermite(source_degree=source_degree, target_degree=source_degree, overlap=1.0, **settings)
    np.testing.assert_array_equal(back.x_source, task.x_source)
    return task, back.x_test, back.y_test


@pytest.mark.parametrize("readout", ["fresh", "continued"])
def test_linear_networks(readout):
    task = data()
    expected = theory.solve(*task, activation="linear", **SETTINGS, readout=readout)
    found = networks.run(*task, activation="linear", **SETTINGS, readout=readout, width=1000, seeds=range(4))
    for name in ("before", "old_readout", "refitted"):
        values = getattr(found, name)
        error = values.std(0, ddof=1) / 2
        assert (np.abs(values.mean(0) - getattr(expected, name)) < 4 * error + 0.02).all(), name


def test_relu_networks():
    task = data(target_degree=2)
    expected = theory.solve(*task, activation="relu", **SETTINGS, particles=512)
    found = networks.run(*task, activation="relu", **SETTINGS, width=600, seeds=range(4))
    for name in ("old_readout", "refitted"):
        values = getattr(found, name)
        error = np.hypot(values.std(0, ddof=1) / 2, expected.stderr[name])
        assert (np.abs(values.mean(0) - getattr(expected, name)) < 4 * error + 0.03).all(), name


def test_moments_and_particles(monkeypatch):
    """Linear networks by particles, another algorithm for the same equations."""
    task = data()
    exact = theory.solve(*task, activation="linear", **SETTINGS)
    monkeypatch.setattr(theory, "_linear", lambda problem, rtol: theory._particles(problem, "linear", 1024, 4, 0, 1e-3))
    sampled = theory.solve(*task, activation="linear", **SETTINGS)
    for name in ("before", "old_readout", "refitted"):
        np.testing.assert_allclose(getattr(sampled, name), getattr(exact, name), atol=0.03)


def test_limits():
    task = data()
    found = theory.solve(*task, activation="linear", **(SETTINGS | {"elastic_coupling": [0.0, 1e6]}))
    assert found.old_readout[:, 0] == pytest.approx(found.before)  # nothing has happened yet
    # an infinite tie forgets nothing, but lets W shrink to δW̄/(λ + δ) = W̄
    np.testing.assert_allclose(found.old_readout[1], found.before, rtol=1e-4)
    assert found.old_readout[0, -1] > 1.1 * found.before
    again = theory.solve(*task, activation="linear", **(SETTINGS | {"elastic_coupling": 0.0}))
    np.testing.assert_allclose(again.refitted[0], found.refitted[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"elastic_coupling": math.inf}, "elastic_coupling = inf"),
        ({"refit_decay": 0.0}, "refit_decay = 0"),
        ({"readout": "new"}, "readout = 'new'"),
        ({"source_time": -1.0}, "source_time = -1"),
        ({"activation": "cube"}, "cube"),
    ],
)
def test_bad_settings(changes, match):
    with pytest.raises(InputError, match=match):
        theory.solve(*data(), **({"activation": "linear"} | SETTINGS | changes))
