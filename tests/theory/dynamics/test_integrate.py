"""The integrator: order, spaces, the linear network it must agree with, how it ends."""

import numpy as np
import pytest
import torch

from infwidth.numerics.activations import get_activation
from infwidth.numerics.status import Status
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import flow
from infwidth.theory.dynamics.draws import Draws, coordinates, draw_particles, draw_readout, turn, whiten
from infwidth.theory.dynamics.step import Geometry, anchoring
from infwidth.theory.dynamics.transfer import Limits, starting_weights, train_source, train_target


def make_task(dimension=6, n_source=12, n_target=5, seed=0):
    rng = np.random.default_rng(seed)
    b = rng.standard_normal(dimension) / np.sqrt(dimension)
    inputs = [rng.standard_normal((n, dimension)) for n in (n_source, n_target, 9)]
    pairs = [(x, x @ b + 0.3 * (x @ b) ** 2) for x in inputs]
    return TransferTask(*(array for pair in pairs for array in pair))


def transfer(
    task,
    activation="relu",
    couplings=(0.0, 2.0),
    times=(0.5, 3.0),
    kind="source",
    draws=None,
    limits=None,
    strengths=(0.7, 0.5),
    decays=(0.05, 0.05),
    source_time=2.0,
    **options,
):
    phi, draws, limits = get_activation(activation), draws or Draws(64, 2), limits or Limits()
    x = coordinates([x / np.sqrt(task.dimension) for x in (task.x_source, task.x_target, task.x_test)])
    source = train_source(
        x[0],
        task.y_source,
        dimension=task.dimension,
        time=source_time,
        strength=strengths[0],
        weight_decay=decays[0],
        activation=phi,
        sampling=draws,
        limits=limits,
    )
    anchor = starting_weights(source, task.dimension, kind, draws, torch.from_numpy(x[1]))
    courses = train_target(
        anchor,
        x[1],
        task.y_target,
        x[2],
        couplings=couplings,
        times=np.asarray(times),
        strength=strengths[1],
        weight_decay=decays[1],
        activation=phi,
        sampling=draws,
        limits=limits,
        **options,
    )
    return source, anchor, courses


@pytest.mark.parametrize("dimension", [6, 30])
def test_linear_activation_gives_the_moment_equations(dimension):
    # The moments are exact at every S, and matched particles start from those of N = ∞: no sampling error is left.
    task = make_task(dimension)
    couplings = [0.0, 2.0, 300.0, np.inf]
    _, _, courses = transfer(task, "linear", couplings, draws=Draws(160, 1), limits=Limits(rtol=1e-4))
    exact = flow.solve(
        task,
        activation="linear",
        source_strength=0.7,
        target_strength=0.5,
        elastic_coupling=couplings,
        weight_decay=0.05,
        source_time=2.0,
        target_times=[0.5, 3.0],
    )
    np.testing.assert_allclose(courses.prediction[0], exact.prediction, atol=3e-3 if dimension == 6 else 5e-3)
    np.testing.assert_allclose(courses.kernel[0], exact.kernel, atol=1e-2)
    np.testing.assert_allclose(courses.prediction[0, 3], exact.prediction[3], atol=2e-3)


@pytest.mark.parametrize(("activation", "coupling"), [("erf", 0.0), ("erf", 4.0), ("erf", 200.0), ("linear", 4.0)])
def test_order_of_convergence_is_two(activation, coupling):
    task, fits = make_task(), []
    steps = [0.1, 0.05, 0.025, 0.0125, 0.0125 / 8]
    for step in steps:
        limits = Limits(constant_step=step)
        _, _, courses = transfer(task, activation, [coupling], [1.0], limits=limits, source_time=1.0)
        fits.append(courses.train_prediction)
    errors = [np.linalg.norm(fit - fits[-1]) for fit in fits[:-1]]
    assert np.polyfit(np.log(steps[:-1]), np.log(errors), 1)[0] == pytest.approx(2, abs=0.25)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_error_falls_with_the_tolerance(activation):
    task = make_task()
    exact = transfer(task, activation, limits=Limits(rtol=1e-5))[2].train_prediction
    scale = np.sqrt(np.mean(task.y_target**2))
    for rtol in (1e-2, 1e-3):
        courses = transfer(task, activation, limits=Limits(rtol=rtol))[2]
        error = np.sqrt(np.mean((courses.train_prediction - exact) ** 2, -1)).max() / scale
        assert (courses.residual > 0).all()
        assert (courses.residual <= rtol).all()
        assert error < 1.5 * rtol


@pytest.mark.parametrize(("activation", "dimension"), [("relu", 6), ("erf", 30)])
def test_field_space_equals_weight_space(activation, dimension):
    task = make_task(dimension)
    found = [
        transfer(task, activation, times=(0.0, 0.5, 3.0), limits=Limits(space=space))[2]
        for space in ("field", "weight")
    ]
    for name in ("train_prediction", "prediction", "kernel"):
        np.testing.assert_allclose(*(getattr(courses, name) for courses in found), atol=1e-8)


def test_smaller_space_is_chosen():
    x = torch.ones(4, 7, dtype=torch.float64)
    assert Geometry.of(x).product.shape == (4, 4)
    assert Geometry.of(x.T.contiguous()).product.shape == (7, 4)


def test_anchoring_solves_its_equation():
    # da/dt = δ − L a from a = 1: the weights that no force moves.
    time = np.linspace(0, 2, 2001)
    left = anchoring(3.0, 2.0 / 3.0, time)
    assert left[0] == 1
    np.testing.assert_allclose(np.gradient(left, time)[1:-1], (2 - 3 * left)[1:-1], atol=1e-5)


@pytest.mark.parametrize("kind", ["source", "random", "scratch"])
def test_start_is_zero_and_couplings_share_particles(kind):
    task = make_task()
    _, anchor, courses = transfer(task, times=(0.0, 1.0), kind=kind, couplings=(0.0, 2.0, np.inf))
    assert np.abs(courses.prediction[:, :, 0]).max() < 1e-14
    alone = transfer(task, times=(0.0, 1.0), kind=kind, couplings=(2.0,))[2]
    np.testing.assert_allclose(courses.prediction[:, 1], alone.prediction[:, 0], atol=1e-12)
    features = (anchor @ torch.from_numpy(task.x_target / np.sqrt(task.dimension)).T).clamp(min=0).numpy()
    np.testing.assert_allclose(courses.kernel[:, 2], np.einsum("rsp,rsq->rpq", features, features) / 64, atol=1e-12)


def test_random_anchor_keeps_norms_in_all_dimensions():
    task = make_task(dimension=50)
    source, anchor, _ = transfer(task, kind="random", draws=Draws(2000, 1))
    missing = 50 - anchor.shape[2]
    norms = np.sum(source.hidden.numpy() ** 2, -1) + source.squared_outside
    assert missing == 24
    assert source.squared_outside.mean() == pytest.approx(missing * np.exp(-2 * 0.05 * 2.0), rel=0.02)
    # A random direction leaves the share d/D of the squared norm inside.
    inside = np.sum(anchor.numpy() ** 2, -1)
    assert inside.mean() == pytest.approx(norms.mean() * 26 / 50, rel=0.02)
    assert (inside <= norms).all()


def test_initial_law():
    rng = np.random.default_rng(0)
    for scheme in ("independent", "signs", "fourfold"):
        w, hidden = draw_particles(400, 10, scheme, rng)
        assert (w.shape, hidden.shape) == ((400,), (400, 10))
        assert np.mean(w**2) == pytest.approx(1)
        np.testing.assert_allclose(hidden.T @ hidden / 400, np.eye(10), atol=1e-12)
        if scheme != "independent":
            assert np.abs(w @ np.maximum(hidden, 0)).max() < 1e-10
    w = draw_readout(7, rng)
    np.testing.assert_array_equal(w[:7], -w[7:])
    few = rng.standard_normal((5, 10))
    assert whiten(few) is few
    turned = turn(few, np.zeros(5), 0, rng)
    np.testing.assert_allclose((turned**2).sum(1), (few**2).sum(1))


def test_how_it_ends():
    task = make_task()
    courses = transfer(task, couplings=(2.0, np.inf), limits=Limits(max_evaluations=2))[2]
    assert courses.status == ((Status.DIVERGED, Status.DIVERGED),) * 2  # their source did not arrive
    courses = transfer(task, couplings=(2.0, np.inf), limits=Limits(max_evaluations=2), kind="scratch")[2]
    assert courses.status == ((Status.STALLED, Status.CONVERGED),) * 2
    assert np.isnan(courses.prediction[:, 0]).all()
    assert (courses.evaluations[:, 0] == 2).all()
    assert (
        transfer(task, source_time=0.0, times=[0.0], limits=Limits(max_evaluations=1))[2].status[0][0]
        is Status.CONVERGED
    )
