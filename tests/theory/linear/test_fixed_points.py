import numpy as np
import pytest

from infwidth.numerics.status import Status
from infwidth.theory.frozen import frozen_course
from infwidth.theory.linear.concave_dual import Potential, maximise
from infwidth.theory.linear.design import Design
from infwidth.theory.linear.fixed_points import (
    _lifted_point,
    anchored_fixed_point,
    collapses,
    free_fixed_point,
)
from infwidth.theory.linear.moment_path import integrate_moments
from infwidth.theory.linear.moments import Moments

D = 6
RATES = {"strength": 0.9, "readout_decay": 0.4, "hidden_decay": 0.15}
FREE = {"strength": 0.9, "readout_decay": 0.4, "stiffness": 0.15}


def data(seed, samples):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((samples, D)) / np.sqrt(D), rng.standard_normal(samples)


def frozen_weights(x, y, anchor, times, **decay):
    return frozen_course(x @ anchor @ x.T, y, times, **decay) @ x @ anchor


def run(anchor, x, y, end=300.0, **changes):
    path = integrate_moments(Moments.fresh_readout(anchor), x, y, [end], rtol=1e-10, **{**RATES, **changes})
    assert path.status is Status.CONVERGED
    return path.moments[0]


def assert_same(fixed, moments, strength=0.9, atol=1e-7):
    assert fixed.status is Status.CONVERGED
    np.testing.assert_allclose(fixed.weights, moments.predictor / strength, atol=atol)
    np.testing.assert_allclose(fixed.hidden_moment, moments.hidden_moment, atol=atol)
    assert fixed.readout_moment == pytest.approx(moments.readout_moment, abs=10 * atol)


@pytest.mark.parametrize("samples", [4, 20])
def test_free_network_ends_at_the_minimiser(samples):
    x, y = data(0, samples)
    fixed = free_fixed_point(Design.of(x), y, **FREE)
    assert_same(fixed, run(np.eye(D), x, y))
    force = 0.9 * x.T @ (y - x @ fixed.weights)
    assert np.linalg.norm(force) == pytest.approx(np.sqrt(0.4 * 0.15), rel=1e-9)


def test_collapse_on_both_sides_of_its_threshold():
    x, y = data(0, 20)
    threshold = 0.9 * np.linalg.norm(x.T @ y)
    for factor, expected in ((0.98, False), (1.02, True)):
        # √(λ_wλ_W) = factor · threshold at λ_w = 2λ_W.
        root = np.sqrt(2)
        decays = {"readout_decay": factor * threshold * root, "hidden_decay": factor * threshold / root}
        rates = {"strength": 0.9, **decays}
        free = {"strength": 0.9, "readout_decay": rates["readout_decay"], "stiffness": rates["hidden_decay"]}
        assert bool(collapses(x, y, **free)) is expected
        fixed = free_fixed_point(Design.of(x), y, **free)
        assert bool(fixed.weights.any()) is not expected
        assert_same(fixed, run(np.eye(D), x, y, **rates), atol=1e-6)


@pytest.mark.parametrize("coupling", [0.2, 2.0, 50.0])
@pytest.mark.parametrize("samples", [4, 20])
def test_anchored_network_ends_at_the_top_of_the_dual(samples, coupling):
    x, y = data(1, samples)
    anchor = np.diag(np.linspace(0.2, 2, D))
    fixed = anchored_fixed_point(Design.of(x), y, anchor, elastic_coupling=coupling, **RATES)
    assert_same(fixed, run(anchor, x, y, elastic_coupling=coupling))


@pytest.mark.parametrize("coupling", [0.2, 2.0, 50.0])
def test_anchor_of_low_rank_lets_new_directions_grow(coupling):
    # On the border q = 0 of the dual Newton's method has nothing to hold on to.
    x, y = data(1, 4)
    anchor = np.zeros((D, D))
    anchor[:2, :2] = [[1.0, 0.3], [0.3, 0.4]]
    fixed = anchored_fixed_point(Design.of(x), y, anchor, elastic_coupling=coupling, **RATES)
    assert_same(fixed, run(anchor, x, y, elastic_coupling=coupling, end=600.0), atol=1e-6)


@pytest.mark.parametrize("coupling", [0.2, 2.0, 50.0])
@pytest.mark.parametrize("samples", [4, 20])
def test_newton_and_nested_roots_agree_where_both_work(samples, coupling):
    x, y = data(1, samples)
    law = Potential.elastic(np.diag(np.linspace(0.2, 2, D)), coupling, 0.15, 0.4, scatters=False)
    newton = maximise(Design.of(x), y, law, strength=0.9, ridge=1.0)
    weights, residual, _ = _lifted_point(Design.of(x), y, law, 0.9)
    assert residual < 1e-12
    np.testing.assert_allclose(weights, newton.weights, atol=1e-9)


@pytest.mark.parametrize("coupling", [0.03, 0.3, 3.0, 30.0])
def test_nearly_deficient_anchors_are_continuous_in_what_is_missing(coupling):
    x, y = data(1, 4)
    ends = []
    for missing in (0.0, 1e-14, 1e-11, 1e-8):
        anchor = np.diag([1.0, 0.4] + 4 * [missing])
        end = anchored_fixed_point(Design.of(x), y, anchor, elastic_coupling=coupling, **RATES)
        assert end.status is Status.CONVERGED
        ends.append(end.weights)
    for missing, end in zip((1e-14, 1e-11, 1e-8), ends[1:], strict=True):
        assert np.linalg.norm(end - ends[0]) < 100 * np.sqrt(missing)


def test_collapsed_anchor_only_adds_decay():
    x, y = data(1, 20)
    fixed = anchored_fixed_point(Design.of(3 * x), y, np.zeros((D, D)), elastic_coupling=0.5, **RATES)
    assert np.linalg.norm(fixed.weights) > 0
    assert_same(fixed, run(np.zeros((D, D)), 3 * x, y, elastic_coupling=0.5))


def test_frozen_features_at_any_time():
    x, y = data(2, 4)
    anchor = np.diag(np.linspace(0.2, 2, D))
    times = np.array([0.0, 0.3, 2.0, np.inf])
    course = frozen_weights(x, y, anchor, times, readout_decay=0.4)
    kernel = x @ anchor @ x.T
    np.testing.assert_array_equal(course[0], 0)
    ridge = anchored_fixed_point(Design.of(x), y, anchor, elastic_coupling=np.inf, **RATES)
    np.testing.assert_allclose(course[-1], ridge.weights, atol=1e-10)
    np.testing.assert_allclose(ridge.hidden_moment, anchor, atol=1e-12)
    np.testing.assert_allclose(x @ course[-1], kernel @ np.linalg.solve(kernel + 0.4 * np.eye(4), y), atol=1e-10)
    h = 1e-4
    fit = frozen_weights(x, y, anchor, [2 - h, 2, 2 + h], readout_decay=0.4) @ x.T
    np.testing.assert_allclose((fit[2] - fit[0]) / (2 * h), kernel @ (y - fit[1]) - 0.4 * fit[1], atol=1e-7)


def test_frozen_features_without_decay_grow_steadily_along_flat_modes():
    x, y = data(2, 9)  # more samples than dimensions: three modes of the kernel vanish
    course = frozen_weights(x, y, np.eye(D), [1.0, 1e6], readout_decay=0.0)
    assert np.isfinite(course).all()
    np.testing.assert_allclose(course[1], np.linalg.lstsq(x, y, rcond=None)[0], atol=1e-6)
