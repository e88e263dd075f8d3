import dataclasses

import numpy as np
import pytest
from builders import changed, linear_teachers, turned_and_mixed

from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes
from infwidth.theory.linear.posterior import solve_posterior

SETTINGS = {
    "activation": "linear",
    "source_strength": 1.0,
    "target_strength": 0.8,
    "elastic_coupling": 3.0,
    "inverse_temperature": 15.0,
    "prior_precision": 1.3,
}


def solve(task, **changes):
    return bayes.solve(task, **{**SETTINGS, **changes})


def ridge_prediction(kernel, cross_kernel, labels, precision, beta):
    """Eqs. (1) and (4) at a given kernel."""
    noisy = kernel / precision + np.eye(len(labels)) / beta
    return cross_kernel @ np.linalg.solve(noisy, labels) / precision


def test_fields_and_shapes():
    task = linear_teachers()
    one, many = solve(task), solve(task, elastic_coupling=[0.0, 3.0, np.inf])
    assert one.prediction.shape == (25,)
    assert (one.kernel.shape, one.dual.shape, one.weights.shape) == ((8, 8), (8,), (12,))
    assert isinstance(one.test_loss, float)
    assert one.status is Status.CONVERGED
    assert many.prediction.shape == (3, 25)
    assert (many.kernel.shape, many.dual.shape, many.weights.shape) == ((3, 8, 8), (3, 8), (3, 12))
    assert many.test_loss.shape == many.residual.shape == many.iterations.shape == many.domain_margin.shape == (3,)
    assert many.status == (Status.CONVERGED,) * 3
    assert set(many.stderr.values()) == {0.0}
    for name in ("prediction", "kernel", "dual", "test_loss", "train_loss", "log_evidence_density"):
        np.testing.assert_array_equal(getattr(many, name)[1], getattr(one, name))


@pytest.mark.parametrize("coupling", [0.0, 3.0, np.inf])
def test_equations_1_and_4_hold(coupling):
    task = linear_teachers()
    s = solve(task, elastic_coupling=coupling)
    np.testing.assert_allclose((s.kernel / 1.3 + np.eye(8) / 15) @ s.dual, task.y_target, atol=1e-9)
    fit = task.x_target @ s.weights / np.sqrt(12)
    np.testing.assert_allclose(s.dual, 15 * (task.y_target - fit), atol=1e-7)
    assert s.train_loss == pytest.approx(np.mean((fit - task.y_target) ** 2))
    assert s.test_loss == pytest.approx(np.mean((s.prediction - task.y_test) ** 2))
    assert s.residual < 1e-8
    assert 0 < s.domain_margin < 1


def test_without_coupling_the_source_does_not_matter():
    task, other = linear_teachers(0), linear_teachers(1)
    mixed = TransferTask(other.x_source, other.y_source, task.x_target, task.y_target, task.x_test, task.y_test)
    a, b = solve(task, elastic_coupling=0), solve(mixed, elastic_coupling=0, source_strength=3.0)
    np.testing.assert_allclose(a.prediction, b.prediction, rtol=1e-10)
    np.testing.assert_allclose(a.kernel, b.kernel, rtol=1e-10)


def test_without_coupling_an_equal_task_is_the_source():
    task = linear_teachers()
    equal = TransferTask(task.x_source, task.y_source, task.x_source, task.y_source, task.x_test, task.y_test)
    target = solve(equal, elastic_coupling=0, target_strength=1.0)
    source = solve_posterior(
        task.x_source / np.sqrt(12),
        task.y_source,
        strength=1.0,
        inverse_temperature=15.0,
        readout_precision=1.3,
        hidden_precision=1.3,
    )
    np.testing.assert_allclose(target.weights, source.saddle.weights, rtol=1e-10)


def test_large_coupling_tends_to_frozen_features_as_one_over_delta():
    couplings = np.array([1e2, 1e3, 1e4, 1e5])
    s = solve(linear_teachers(), elastic_coupling=[*couplings, np.inf])
    for values in (s.prediction, s.kernel):
        errors = [np.linalg.norm(value - values[-1]) for value in values[:-1]]
        slope = np.polyfit(np.log(couplings[1:]), np.log(errors[1:]), 1)[0]
        assert slope == pytest.approx(-1, abs=0.02)


@pytest.mark.parametrize("dimension", [12, 60])  # 60 > P1 + P2: the compressed basis
def test_lazy_limit_is_kernel_ridge_with_the_prior_kernel(dimension):
    task = linear_teachers(dimension=dimension)
    s = solve(task, source_strength=1e-5, target_strength=1e-5)
    scaled, test = task.x_target / np.sqrt(dimension), task.x_test / np.sqrt(dimension)
    # W is Gaussian of variance 1/L + (δ/L)²/λ in every direction.
    variance = 1 / 4.3 + (3 / 4.3) ** 2 / 1.3
    np.testing.assert_allclose(s.kernel, variance * scaled @ scaled.T, atol=1e-8)
    nngp = ridge_prediction(variance * scaled @ scaled.T, variance * test @ scaled.T, task.y_target, 1.3, 15.0)
    np.testing.assert_allclose(s.prediction, nngp, atol=1e-7)
    assert s.domain_margin == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dimension", [12, 60])
def test_invariances(dimension):
    base, turned, permuted, rotation, order = turned_and_mixed(solve, dimension)
    np.testing.assert_allclose(turned.prediction, base.prediction, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(turned.weights, base.weights @ rotation, atol=1e-8)
    np.testing.assert_allclose(permuted.prediction, base.prediction, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(permuted.dual, base.dual[order], rtol=1e-8, atol=1e-10)


def test_padding_inputs_with_silent_coordinates_changes_nothing():
    # 12 → 48 coordinates at the same x·x'/D: the compressed basis must give the plain answer.
    task = linear_teachers(n_source=20)
    padded = changed(task, inputs=lambda x: 2 * np.concatenate([x, np.zeros((len(x), 36))], axis=1))
    a, b = solve(task), solve(padded)
    np.testing.assert_allclose(a.prediction, b.prediction, rtol=1e-9)
    np.testing.assert_allclose(a.kernel, b.kernel, rtol=1e-9)


def test_source_temperature_is_its_own():
    task = linear_teachers()
    same = solve(task, source_inverse_temperature=15.0)
    np.testing.assert_array_equal(same.prediction, solve(task).prediction)
    assert not np.allclose(solve(task, source_inverse_temperature=1.0).prediction, same.prediction, rtol=1e-3)


def test_unconverged_points_raise_or_are_marked():
    with pytest.raises(UnconvergedError, match=r"elastic_coupling = 3: residual.*stalled") as caught:
        solve(linear_teachers(), max_iterations=1)
    assert caught.value.status is Status.STALLED
    loose = solve(linear_teachers(), max_iterations=1, strict=False, elastic_coupling=[3.0])
    assert loose.status == (Status.STALLED,)
    assert loose.residual[0] > 1e-6
    assert np.isfinite(loose.prediction).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observe": print}, "observe: expected None"),
        ({"activation": "linaer"}, "did you mean 'linear'"),
        ({"source_strength": 0.0}, "source_strength = 0.0"),
        ({"target_strength": -1}, "target_strength = -1"),
        ({"elastic_coupling": -1}, "elastic_coupling = -1"),
        ({"elastic_coupling": []}, "elastic_coupling"),
        ({"inverse_temperature": np.inf}, "inverse_temperature = inf"),
        ({"prior_precision": 0}, "prior_precision = 0"),
        ({"max_iterations": 0}, "max_iterations = 0"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        solve(linear_teachers(), **changes)


@pytest.mark.parametrize("scale", [0.0, 1e229, 1e283, 1e-300])
def test_inputs_of_any_scale_have_a_status(scale):
    """Squares out of range must not pass for inputs without a direction, nor their exact sums raise."""
    task = changed(linear_teachers(4, dimension=12, n_source=3, n_target=5), inputs=lambda x: x * scale)
    for beta in (1e-60, 1.0, 1e150):
        found = bayes.solve(
            task,
            activation="linear",
            source_strength=1e15,
            target_strength=3.0,
            elastic_coupling=1.0,
            inverse_temperature=beta,
            strict=False,
        )
        assert found.status is not Status.CONVERGED or np.isfinite(found.test_loss)
        assert scale > 0 or found.status is Status.CONVERGED


@pytest.mark.parametrize("activation", ["linear", "erf"])
def test_a_source_is_solved_once_for_all_targets(activation):
    first = linear_teachers()
    rng = np.random.default_rng(0)
    fewer = dataclasses.replace(first, x_target=rng.standard_normal((4, 12)), y_target=rng.standard_normal(4))
    other = dataclasses.replace(first, y_source=-first.y_source[::-1])
    kw = {"activation": activation, "elastic_coupling": [0.0, 3.0, np.inf], "particles": 256, "strict": False}
    sources = {}
    for task in (first, fewer, other):
        for changes in ({}, {"target_strength": 0.3}):
            shared, alone = (solve(task, **kw, **changes, sources=kept) for kept in (sources, None))
            np.testing.assert_array_equal(shared.test_loss, alone.test_loss)
            assert shared.status == alone.status
            assert np.isfinite(alone.test_loss).all()
    assert len(sources) == 2
    for setting, value in {"source_strength": 0.7, "inverse_temperature": 5.0, "prior_precision": 1.0}.items():
        solve(first, **kw | {setting: value}, sources=sources)
    assert len(sources) == 5
