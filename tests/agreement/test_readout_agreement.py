"""Readouts that go on from the source's: theory and networks, made apart, agree; so do the theory's two solvers."""

import dataclasses
import math

import numpy as np
import pytest

from infwidth.networks import gradient_flow
from infwidth.numerics.checks import InputError
from infwidth.tasks import hermite, linear
from infwidth.theory import flow
from infwidth.theory.dynamics import solve as particles
from infwidth.theory.frozen import frozen_course
from infwidth.theory.linear.moment_path import integrate_moments
from infwidth.theory.linear.moments import Moments

SETTINGS = {"source_strength": 0.5, "target_strength": 0.3, "weight_decay": 0.05, "source_time": 4.0}
SETTINGS |= {"target_times": [0.0, 0.3, 3.0], "elastic_coupling": [0.0, 2.0, math.inf], "readout": "continued"}


@pytest.fixture(scope="module")
def task():
    return linear(dimension=12, overlap=0.6, n_source=30, n_target=8, n_test=200, seed=2)


@pytest.mark.parametrize("anchor", ["source", "random"])
def test_networks_and_theory(task, anchor):
    theory = flow.solve(task, activation="linear", **SETTINGS, anchor=anchor)
    network = gradient_flow.run(task, activation="linear", **SETTINGS, anchor=anchor, width=1000, seeds=range(4))
    for name in ("train_loss", "test_loss"):
        expected = getattr(theory, name)
        difference = np.abs(getattr(network, name) - expected)
        assert (difference < 4 * network.stderr[name] + 0.03 * expected.max()).all()


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_networks_and_particles(activation):
    task = hermite(dimension=10, source_degree=1, target_degree=2, n_source=30, n_target=12, n_test=100, seed=1)
    theory = flow.solve(task, activation=activation, **SETTINGS, particles=512, replicas=4)
    network = gradient_flow.run(task, activation=activation, **SETTINGS, width=600, seeds=range(4))
    error = np.hypot(network.stderr["test_loss"], theory.stderr["test_loss"])
    assert (np.abs(network.test_loss - theory.test_loss) < 4 * error + 0.03 * theory.test_loss).all()


def test_moments_and_particles(task):
    """The same equations by another algorithm, particles of a linear activation."""
    exact = flow.solve(task, activation="linear", **SETTINGS)
    problem = dataclasses.replace(_problem(task), rtol=3e-3)
    points = particles.solve_particles(problem, particles=1024, replicas=4, seed=0, device="cpu")
    for place, point in enumerate(points):
        np.testing.assert_allclose(point.test_loss, exact.test_loss[place], rtol=0.08)


def _problem(task):
    found = {}

    def catch(problem, **_):
        found["problem"] = problem
        raise InterruptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("infwidth.theory.flow.solve_linear", catch)
        with pytest.raises(InterruptedError):
            flow.solve(task, activation="linear", **SETTINGS)
    return found["problem"]


def test_it_starts_at_the_sources_own_function(task):
    found = flow.solve(task, activation="linear", **SETTINGS)
    alone = {
        "activation": "linear",
        "weight_decay": 0.05,
        "source_time": 0.0,
        "target_times": [4.0],
        "elastic_coupling": 0,
    }
    itself = type(task)(task.x_source, task.y_source, task.x_source, task.y_source, task.x_test, task.y_test)
    source = flow.solve(itself, **alone, source_strength=1.0, target_strength=SETTINGS["source_strength"])
    ratio = SETTINGS["source_strength"] / SETTINGS["target_strength"]
    for prediction in found.prediction[:, 0]:
        np.testing.assert_allclose(prediction, ratio * source.prediction[0], atol=1e-6)


def test_going_on_with_the_same_task_is_training_on():
    """γ̄ = γ, δ = 0, one task: a source of time 3 and a target of time 2 are a source of time 5."""
    one = linear(dimension=8, overlap=1.0, n_source=12, n_target=12, n_test=30, seed=0)
    task = type(one)(one.x_source, one.y_source, one.x_source, one.y_source, one.x_test, one.y_test)
    common = {"activation": "linear", "source_strength": 0.7, "target_strength": 0.7, "weight_decay": 0.02}
    parts = flow.solve(task, **common, elastic_coupling=0, source_time=3.0, target_times=[2.0], readout="continued")
    whole = flow.solve(task, **common, elastic_coupling=0, source_time=0.0, target_times=[5.0])
    np.testing.assert_allclose(parts.prediction[-1], whole.prediction[-1], atol=1e-6)
    network = {"width": 64, "seeds": (0,), "elastic_coupling": 0}
    split = gradient_flow.run(task, **common, **network, source_time=3.0, target_times=[2.0], readout="continued")
    longer = gradient_flow.run(task, **common, **network, source_time=5.0, target_times=[0.0], readout="continued")
    np.testing.assert_allclose(split.prediction[-1], longer.prediction[0], atol=2e-3)


def test_scratch_has_no_readout_to_go_on_with(task):
    settings = SETTINGS | {"start": "scratch"}
    fresh = settings | {"readout": "fresh"}
    np.testing.assert_array_equal(
        flow.solve(task, activation="linear", **settings).prediction,
        flow.solve(task, activation="linear", **fresh).prediction,
    )
    runs = [gradient_flow.run(task, activation="linear", **one, width=16, seeds=(0,)) for one in (settings, fresh)]
    np.testing.assert_array_equal(runs[0].prediction, runs[1].prediction)


def test_frozen_features_from_any_start():
    rng = np.random.default_rng(0)
    features, labels, start = rng.standard_normal((5, 9)) / 3, rng.standard_normal(5), rng.standard_normal(5)
    kernel, times = features @ features.T, np.array([0.0, 0.7, 3.0, math.inf])
    dual = frozen_course(kernel, labels, times, readout_decay=0.2, initial_output=start)
    f = np.exp(-0.2 * times)[:, None] * start + dual @ kernel
    matrix = kernel + 0.2 * np.eye(5)
    end = np.linalg.solve(matrix, kernel @ labels)
    values, modes = np.linalg.eigh(matrix)
    for t, found in zip(times, f, strict=True):
        expected = end + modes @ (np.exp(-values * t) * (modes.T @ (start - end)))
        np.testing.assert_allclose(found, expected, atol=1e-12)
    dead = frozen_course(np.zeros((5, 5)), labels, times, readout_decay=0.2, initial_output=start)
    assert np.isfinite(dead).all()


def test_a_wrong_choice_is_named(task):
    for door in (flow.solve, gradient_flow.run):
        more = {"width": 8} if door is gradient_flow.run else {}
        with pytest.raises(InputError, match="readout = 'old'"):
            door(task, activation="linear", **(SETTINGS | {"readout": "old"}), **more)


def test_moments_of_a_continued_readout():
    moments = Moments.continued(2.0, np.ones(3), np.eye(3))
    path = integrate_moments(moments, np.zeros((1, 3)), np.zeros(1), np.array([1.0]), strength=1.0)
    np.testing.assert_allclose(path.moments[0].predictor, 1.0)
