"""Finite width of linear flows, (F7) and (F8): members' equations, drawn Wishart moments, what is known where."""

import dataclasses
import math
import pickle

import numpy as np
import pytest

from infwidth.tasks import linear
from infwidth.theory import flow
from infwidth.theory.linear import flow_width
from infwidth.theory.linear.course import Training
from infwidth.theory.linear.finite_flow import sample_flow
from infwidth.theory.linear.moment_cloud import Cloud
from infwidth.theory.linear.moment_path import integrate_moments
from infwidth.theory.linear.moments import Moments
from infwidth.theory.solution import PARTS

TASK = linear(dimension=5, overlap=0.3, n_source=12, n_target=4, n_test=40, seed=0)
RATES = {"source_strength": 1.3, "target_strength": 1.0, "weight_decay": 0.05, "source_weight_decay": 0.02}
RATES |= {"source_time": 5.0, "target_times": [0.5, 6.0]}
NAMES = (*PARTS, "spread")


def widths(task=TASK, **changes):
    settings = RATES | {"elastic_coupling": 1.0} | changes
    return flow.solve(task, activation="linear", **settings)


@pytest.mark.parametrize("coupling", [0.0, 2.0, 300.0])
@pytest.mark.parametrize("samples", [4, 9])
def test_members_follow_the_moment_equations(coupling, samples):
    rng = np.random.default_rng(1)
    training = Training.of(rng.standard_normal((samples, 6)) / 2, rng.standard_normal(samples), 0.8, 0.05, 0.03)
    readout, weights = rng.standard_normal((3, 20)), rng.standard_normal((3, 20, 6))
    hidden = np.einsum("bni,bnj->bij", weights, weights) / 20
    cloud = Cloud(np.mean(readout**2, 1), np.einsum("bn,bni->bi", readout, weights) / 20, hidden)
    times = np.array([0.0, 0.3, 4.0])
    found, end = cloud.follow(training, times, coupling)
    for member in range(3):
        start = Moments.continued(cloud.readout_moment[member], cloud.predictor[member], hidden[member])
        tie = {"elastic_coupling": coupling, **training.rates}
        path = integrate_moments(start, training.design.matrix, training.labels, times, **tie).moments
        expected = np.array([one.predictor for one in path]) / training.strength
        np.testing.assert_allclose(found[:, member], expected, atol=3e-4 * np.abs(expected).max())
        np.testing.assert_allclose(end.hidden_moment[member], path[-1].hidden_moment, atol=1e-3)
        assert end.readout_moment[member] == pytest.approx(path[-1].readout_moment, abs=1e-3)
        np.testing.assert_allclose(end.predictor[member], path[-1].predictor, atol=1e-3)


WIDE_OF_SPAN = linear(dimension=9, overlap=0.6, n_source=4, n_target=2, n_test=60, seed=1)


@pytest.mark.parametrize(("task", "width"), [(TASK, 50), (WIDE_OF_SPAN, 200)], ids=["in the span", "beyond it"])
def test_drawn_moments(task, width):
    """Networks of N neurons by their own Wishart moments, each integrated by itself.

    Directions that no training input has are followed by one coordinate for all of them.
    """
    settings = {"elastic_coupling": [3.0, math.inf], "target_times": [6.0]}
    drawn = sample_flow(task, width=width, draws=150, rtol=1e-4, **RATES | settings)
    found = widths(task, **settings)
    coefficient = found.finite_width.total
    error = np.hypot(drawn.stderr, found.finite_width.stderr["total"] / width)
    expected = found.test_loss + coefficient / width
    assert (np.abs(drawn.mean - expected) < 3 * error + 0.1 * np.abs(coefficient) / width).all()
    assert (np.abs(drawn.mean - found.test_loss) > 3 * error).all()
    if task is TASK:  # elsewhere the mean's shift is as large as the spread, and so is the spread's next order
        np.testing.assert_allclose(drawn.spread, found.finite_width.spread / math.sqrt(width), rtol=0.25)


def test_a_random_part_of_the_directions_is_unbiased(monkeypatch):
    task = linear(dimension=9, overlap=0.5, n_source=20, n_target=6, n_test=60, seed=2)
    for origin in ({}, {"start": "scratch"}, {"anchor": "random"}):
        some = widths(task, **origin).finite_width
        with monkeypatch.context() as patch:
            patch.setattr(flow_width, "DIRECTIONS", 1000)
            all_of_them = widths(task, **origin).finite_width
        for name in NAMES:
            error = some.stderr[name]
            assert (np.abs(getattr(some, name) - getattr(all_of_them, name)) < 4 * error + 1e-4).all(), name
            assert (all_of_them.stderr[name] == 0).all()
        assert (some.stderr["total"] > 0).all()


def test_parts_and_couplings():
    several = widths(elastic_coupling=[0.0, 3.0, math.inf])
    one = widths(elastic_coupling=3.0)
    for name in NAMES:
        assert getattr(several.finite_width, name).shape == (3, 2)
        np.testing.assert_allclose(getattr(several.finite_width, name)[1], getattr(one.finite_width, name), rtol=1e-9)
    found = one.finite_width
    np.testing.assert_allclose(found.total, found.mean + found.thermal + found.source)
    np.testing.assert_allclose(found.one_percent, 100 * np.abs(found.total) / one.test_loss)
    assert (widths(start="scratch").finite_width.source == 0).all()
    copy = pickle.loads(pickle.dumps(several))
    np.testing.assert_array_equal(copy.finite_width.total, several.finite_width.total)


def test_on_the_training_points_it_is_that_of_test_points_there():
    there = dataclasses.replace(TASK, x_test=TASK.x_target, y_test=TASK.y_target)
    for changes in ({}, {"elastic_coupling": math.inf}, {"anchor": "random"}):
        found, expected = widths(**changes).train_finite_width, widths(there, **changes).finite_width
        for name in NAMES:
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9)


def test_what_has_forgotten_its_start_has_no_width_left_in_it():
    """A source trained for ever with decay is its fixed point, whatever its initial weights were."""
    ended = widths(source_time=math.inf, target_times=[1.0, math.inf])
    assert (ended.finite_width.source == 0).all()
    assert ended.finite_width.thermal[0] > 0
    np.testing.assert_allclose(ended.finite_width.total[1], 0, atol=1e-9)
    late = widths(target_times=[300.0, math.inf]).finite_width
    np.testing.assert_allclose(late.total[0], late.total[1], rtol=1e-2)


def test_other_activations_have_none():
    found = flow.solve(
        TASK, activation="erf", elastic_coupling=[0.0, 1.0], particles=16, replicas=2, strict=False, **RATES
    )
    assert found.finite_width.total.shape == (2, 2)
    assert np.isnan(found.finite_width.total).all()
