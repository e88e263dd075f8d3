"""flow.solve with particles: reference values, finite networks, limits, statistics."""

import functools

import numpy as np
import pytest
from scipy.special import erf

from infwidth.networks import gradient_flow
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import flow
from infwidth.theory.dynamics.limits import lazy_course
from infwidth.theory.dynamics.solve import average_loss
from infwidth.theory.frozen import frozen_course

SETTINGS = {
    "activation": "relu",
    "source_strength": 0.7,
    "target_strength": 0.5,
    "elastic_coupling": [0.0, 3.0],
    "weight_decay": 0.05,
    "source_time": 4.0,
    "target_times": [0.0, 1.0, 8.0],
}
HERMITE = {1: lambda z: z, 2: lambda z: (z**2 - 1) / np.sqrt(2)}


@functools.cache
def hermite_task(n_source, n_target, dimension=20, n_test=2000, degrees=(1, 2)):
    """The data of the reference runs: He1 → He2 of one direction."""
    rng = np.random.default_rng(0)
    direction, _ = rng.standard_normal((2, dimension))
    direction /= np.linalg.norm(direction)
    inputs = [rng.standard_normal((n, dimension)) for n in (n_source, n_target, n_test)]
    labels = [HERMITE[k](x @ direction) for x, k in zip(inputs, (degrees[0], degrees[1], degrees[1]), strict=True)]
    return TransferTask(*(array for pair in zip(inputs, labels, strict=True) for array in pair))


def small_task():
    return hermite_task(20, 10, dimension=4, n_test=30)


def solve(task=None, **changes):
    return flow.solve(task or small_task(), **{**SETTINGS, "particles": 256, **changes})


def scores(a, b, name, floor=0.0):
    """Differences of two answers in standard errors."""
    error = np.sqrt(a.stderr[name] ** 2 + b.stderr[name] ** 2 + floor**2)
    return (getattr(a, name) - getattr(b, name)) / np.maximum(error, 1e-12)


# docs/theory.md §2 at D = 20: test losses at the last times, from runs with S = 1024 and four seeds.
REFERENCE_A = {"source_strength": 0.3, "target_strength": 0.3, "weight_decay": 0.05, "source_time": 20.0}
REFERENCE_B = {
    "source_strength": 1.0,
    "target_strength": 0.03,
    "source_weight_decay": 0.05,
    "weight_decay": 0.01,
    "source_time": 20.0,
}


def agree(loss, stderr, reference):
    __tracebackhide__ = True
    allowed = np.maximum(0.02 * np.array(reference), 3 * np.sqrt(stderr**2 + 0.005**2))
    np.testing.assert_array_less(np.abs(loss - reference), allowed)


def test_reference_low_to_high():
    s = solve(
        hermite_task(200, 60),
        **REFERENCE_A,
        elastic_coupling=[0.0, 100.0],
        target_times=[0.3, 1.0, 3.0, 10.0, 30.0, 60.0],
        particles=512,
        rtol=2e-2,
    )
    agree(s.test_loss[0], s.stderr["test_loss"][0], [0.880, 0.784, 0.701, 0.720, 0.826, 0.894])
    agree(s.test_loss[1, 3:], s.stderr["test_loss"][1, 3:], [0.506, 0.426, 0.416])
    assert s.stderr["test_loss"].max() < 0.015


def test_reference_from_scratch():
    s = solve(
        hermite_task(200, 60),
        **REFERENCE_A,
        elastic_coupling=1.0,
        start="scratch",
        target_times=[0.3, 1.0, 3.0, 10.0],
        particles=512,
    )
    agree(s.test_loss, s.stderr["test_loss"], [1.02, 1.10, 1.12, 1.10])


def test_reference_grokking_like():
    s = solve(
        hermite_task(200, 120),
        **REFERENCE_B,
        elastic_coupling=0.3,
        target_times=[10.0, 50.0, 100.0],
        particles=256,
        rtol=2e-2,
    )
    agree(s.test_loss, s.stderr["test_loss"], [0.258, 0.231, 0.232])


NETWORKS = [
    ("relu", {}),
    ("erf", {"elastic_coupling": [0.0, 3.0, np.inf]}),
    ("relu", {"start": "scratch", "elastic_coupling": [0.0]}),
    ("erf", {"anchor": "random"}),
    ("relu", {"anchor": "random", "elastic_coupling": [3.0, np.inf]}),
]


@pytest.mark.parametrize(("activation", "changes"), NETWORKS)
def test_networks_agree(activation, changes):
    task = small_task()
    settings = {**SETTINGS, "activation": activation, **changes}
    theory = flow.solve(task, **settings, particles=512, replicas=8)
    nets = gradient_flow.run(task, **settings, width=512, seeds=range(8))
    for name in ("prediction", "kernel"):
        z = scores(theory, nets, name, floor=2e-3)
        assert np.sqrt(np.mean(z**2)) < 1.8
        assert np.abs(z).max() < 6
    late = nets.test_loss[:, 1:], theory.test_loss[:, 1:]
    np.testing.assert_allclose(*late, rtol=0.06)


def test_fields_and_shapes():
    one, many = solve(elastic_coupling=3.0), solve(elastic_coupling=[0.0, 3.0, np.inf])
    assert (one.prediction.shape, one.train_loss.shape, one.kernel.shape) == ((3, 30), (3,), (10, 10))
    assert (many.prediction.shape, many.test_loss.shape, many.kernel.shape) == ((3, 3, 30), (3, 3), (3, 10, 10))
    for solution in (one, many):
        assert solution.weights is None
        for name, error in solution.stderr.items():
            assert error.shape == getattr(solution, name).shape
    np.testing.assert_allclose(many.prediction[1], one.prediction, atol=1e-12)
    assert many.status == (Status.CONVERGED,) * 3
    assert (many.residual <= 1e-2).all()
    assert one.status is Status.CONVERGED


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_untrained_network(activation):
    # f = 0, and the kernel is the arc-cosine or the arcsine kernel of the inputs.
    task = small_task()
    s = solve(activation=activation, source_time=0.0, target_times=[0.0], elastic_coupling=0.0, particles=4096)
    np.testing.assert_allclose(s.prediction, 0, atol=1e-15)
    assert s.test_loss[0] == pytest.approx(np.mean(task.y_test**2))
    c = task.x_target @ task.x_target.T / 4
    norm = np.sqrt(np.outer(np.diag(c), np.diag(c)))
    if activation == "relu":
        angle = np.arccos(np.clip(c / norm, -1, 1))
        kernel = norm * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    else:
        scale = 1 + 2 * np.diag(c)
        kernel = 2 / np.pi * np.arcsin(2 * c / np.sqrt(np.outer(scale, scale)))
    z = (s.kernel - kernel) / s.stderr["kernel"]
    assert np.sqrt(np.mean(z**2)) < 2
    np.testing.assert_allclose(s.kernel, kernel, atol=0.03)


def test_large_coupling_tends_to_frozen_features_as_one_over_delta():
    couplings = [100.0, 400.0, 1600.0]
    s = solve(elastic_coupling=[*couplings, np.inf], rtol=1e-4, particles=64, replicas=2)
    for values in (s.prediction[:, 1], s.prediction[:, 2], s.kernel):
        errors = [np.linalg.norm(value - values[-1]) for value in values[:-1]]
        assert np.polyfit(np.log(couplings), np.log(errors), 1)[0] == pytest.approx(-1, abs=0.15)


def test_frozen_course_ends_at_ridge_regression():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((4, 6))
    kernel, y = features.T @ features, rng.standard_normal(6)
    c = frozen_course(kernel, y, np.array([0.0, 1e4]), readout_decay=0.1)
    np.testing.assert_array_equal(c[0], 0)
    np.testing.assert_allclose(c[1], np.linalg.solve(kernel + 0.1 * np.eye(6), y), atol=1e-10)
    # Without decay the modes that the kernel does not have grow, and f does not see them.
    np.testing.assert_allclose(kernel @ frozen_course(kernel, y, np.array([1e3]), readout_decay=0)[0],
                               features.T @ np.linalg.lstsq(features.T, y, rcond=None)[0], atol=1e-8)  # fmt: skip


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_lazy_limit(decay):
    task = small_task()
    s = solve(
        target_strength=1e-4,
        source_time=0.0,
        elastic_coupling=0.0,
        weight_decay=decay,
        rtol=1e-4,
        particles=64,
        replicas=1,
        target_times=[0.5, 2.0],
    )
    frozen = solve(source_time=0.0, elastic_coupling=0.0, particles=64, replicas=1, target_times=[0.0])
    c = task.x_target @ task.x_target.T / 4
    # At t = 0 readouts do not depend on W and E w² = 1: the tangent kernel differs from E φ'φ'ᵀ∘C by noise alone,
    # so compare with particles of the same seed.
    gates, readout, _ = particles_at_start(task)
    slopes = readout[:, None] * gates
    tangent = slopes.T @ slopes / len(slopes) * c
    exact = lazy_course(frozen.kernel, tangent, task.y_target, s.times, readout_decay=decay, hidden_decay=decay)
    fit = np.mean((exact - task.y_target) ** 2, -1)
    np.testing.assert_allclose(s.train_loss, fit, rtol=2e-3)


@pytest.mark.parametrize(("activation", "strength"), [("relu", 1e-3), ("erf", 1e-3), ("relu", 0.03), ("erf", 0.03)])
def test_a_tied_lazy_network_ends_at_ridge_regression_on_frozen_features(activation, strength):
    """γ → 0 at δ > 0, t → ∞: the features end at φ((δ/L) h̄), wherever they started; errors fall with γ."""
    settings = {"activation": activation, "elastic_coupling": 3.0, "particles": 64, "replicas": 1, "rtol": 1e-4}
    late = solve(target_strength=strength, target_times=[400.0], **settings)
    fields = []
    solve(
        target_times=[0.0],
        observe=lambda seen: fields.append(seen.preactivation) if seen.time_index == 0 else None,
        **settings,
    )
    (anchor,) = (h.numpy() for h in fields)
    frozen = np.maximum(3 / 3.05 * anchor, 0) if activation == "relu" else erf(3 / 3.05 * anchor)
    kernel = frozen.T @ frozen / len(frozen)
    y = small_task().y_target
    fit = kernel @ np.linalg.solve(kernel + 0.05 * np.eye(len(y)), y)
    allowed = 1e-3 if strength < 0.01 else 0.03
    assert np.linalg.norm(late.kernel - kernel) < allowed * np.linalg.norm(kernel)
    assert late.train_loss[0] == pytest.approx(np.mean((fit - y) ** 2), rel=5 * allowed)
    # The features it left are something else.
    started = np.maximum(anchor, 0) if activation == "relu" else erf(anchor)
    assert np.linalg.norm(started.T @ started / len(anchor) - kernel) > 5e-3 * np.linalg.norm(kernel)


def particles_at_start(task):
    from infwidth.theory.dynamics.draws import Draws, draw_readout

    draws = Draws(64, 1)
    hidden = draws.fresh(4, "source")[1][0]
    field = hidden @ task.x_target.T / 2
    readout = draw_readout(64, draws.rng(0, "target"))
    return np.concatenate([field > 0] * 2).astype(float), readout, field


def test_erf_without_hidden_motion_is_lazy_too():
    # γ → 0 without decay: the kernels stay, whatever φ.
    a, b = (solve(activation="erf", target_strength=g, weight_decay=0.0, elastic_coupling=0.0) for g in (1e-3, 1e-5))
    np.testing.assert_allclose(a.prediction, b.prediction, atol=1e-3)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_second_seed_agrees_and_stderr_is_the_scatter(activation):
    runs = [solve(activation=activation, particles=128, seed=seed) for seed in range(6)]
    for name in ("prediction", "kernel"):
        values = np.stack([getattr(run, name) for run in runs])
        values = values[:, :, 1:] if name == "prediction" else values
        claimed = np.stack([run.stderr[name] for run in runs])
        claimed = claimed[:, :, 1:] if name == "prediction" else claimed
        ratio = np.sqrt(np.mean(values.var(0, ddof=1)) / np.mean(claimed**2))
        assert 0.7 < ratio < 1.4
    losses = np.stack([run.test_loss for run in runs])[:, :, 1:]
    claimed = np.stack([run.stderr["test_loss"] for run in runs])[:, :, 1:]
    assert 0.4 < np.sqrt(np.mean(losses.var(0, ddof=1)) / np.mean(claimed**2)) < 2.5
    again = solve(activation=activation, particles=128, seed=0)
    np.testing.assert_array_equal(again.prediction, runs[0].prediction)


def test_loss_has_no_bias_from_the_number_of_replicas():
    rng = np.random.default_rng(0)
    truth, y = rng.standard_normal((2, 1, 40))
    samples = truth + 0.5 * rng.standard_normal((4000, 4, 1, 40))
    losses, errors = zip(*(average_loss(f, y) for f in samples), strict=True)
    assert np.mean(losses) == pytest.approx(np.mean((truth - y) ** 2), rel=2e-2)
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(losses), rel=0.15)
    loss, error = average_loss(samples[0, :1], y)
    assert loss == pytest.approx(np.mean((samples[0, 0] - y) ** 2))
    assert np.isnan(error).all()


def test_unconverged_points_raise_or_are_marked():
    with pytest.raises(UnconvergedError, match=r"elastic_coupling = 0: .*stalled"):
        solve(max_evaluations=2)
    loose = solve(max_evaluations=2, strict=False, elastic_coupling=[1.0, np.inf], start="scratch")
    assert loose.status == (Status.STALLED, Status.STALLED)
    frozen = solve(source_time=0.0, max_evaluations=2, strict=False, elastic_coupling=[1.0, np.inf])
    assert frozen.status == (Status.STALLED, Status.CONVERGED)
    assert np.isfinite(frozen.prediction[0, 0]).all()
    assert np.isnan(frozen.prediction[0, 2]).all()
    assert np.isnan(frozen.test_loss[0, 2])
