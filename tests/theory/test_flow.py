import dataclasses
import time

import numpy as np
import pytest
from builders import changed, linear_teachers, turned_and_mixed
from scipy.linalg import expm

from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.linear_tasks import linear
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import flow

SETTINGS = {
    "activation": "linear",
    "source_strength": 0.6,
    "target_strength": 0.5,
    "elastic_coupling": 3.0,
    "weight_decay": 0.05,
    "source_time": 6.0,
    "target_times": [0.0, 1.0, 8.0],
}


def solve(task, **changes):
    return flow.solve(task, **{**SETTINGS, **changes})


def test_fields_and_shapes():
    task = linear_teachers()
    one, many = solve(task), solve(task, elastic_coupling=[0.0, 3.0, np.inf])
    assert (one.times.shape, one.prediction.shape, one.train_loss.shape) == ((3,), (3, 25), (3,))
    assert (one.kernel.shape, one.weights.shape) == ((8, 8), (3, 12))
    assert many.prediction.shape == (3, 3, 25)
    assert (many.kernel.shape, many.weights.shape, many.test_loss.shape) == ((3, 8, 8), (3, 3, 12), (3, 3))
    assert many.status == (Status.CONVERGED,) * 3
    assert set(many.stderr.values()) == {0.0}
    np.testing.assert_array_equal(many.prediction[1], one.prediction)
    np.testing.assert_array_equal(one.prediction[0], 0)
    np.testing.assert_allclose(one.test_loss, np.mean((one.prediction - task.y_test) ** 2, axis=1))
    assert one.residual < 1e-6


def test_residual_bounds_the_true_error():
    task = linear_teachers()
    exact = solve(task, rtol=1e-12)
    for rtol in (1e-8, 1e-6, 1e-4):
        run = solve(task, rtol=rtol)
        error = np.abs((run.weights - exact.weights) @ task.x_target.T / np.sqrt(12)).max()
        assert error <= 2 * run.residual * np.sqrt(np.mean(task.y_target**2))


@pytest.mark.parametrize("dimension", [12, 60])
def test_large_coupling_tends_to_frozen_features_as_one_over_delta(dimension):
    couplings = np.array([1e3, 1e4, 1e5])
    s = solve(
        linear_teachers(dimension=dimension), elastic_coupling=[*couplings, np.inf], target_times=[1.0, 8.0, np.inf]
    )
    for values in (s.prediction[:, 0], s.prediction[:, 1], s.prediction[:, 2], s.kernel):
        errors = [np.linalg.norm(value - values[-1]) for value in values[:-1]]
        assert np.polyfit(np.log(couplings), np.log(errors), 1)[0] == pytest.approx(-1, abs=0.05)


def test_long_runs_reach_the_fixed_points():
    s = solve(linear_teachers(), elastic_coupling=[0.0, 0.5, 3.0, np.inf], target_times=[400.0, np.inf])
    np.testing.assert_allclose(s.prediction[:, 0], s.prediction[:, 1], atol=1e-5)
    late, ever = (solve(linear_teachers(), elastic_coupling=[0.0, 0.5, 3.0], source_time=t) for t in (400.0, np.inf))
    np.testing.assert_allclose(late.prediction, ever.prediction, atol=1e-5)
    np.testing.assert_allclose(late.kernel, ever.kernel, atol=1e-5)


def test_fixed_point_is_a_kernel_machine():
    # docs/theory.md §2 eq. (8), with the adapted kernel.
    task = linear_teachers()
    s = solve(task, elastic_coupling=[0.0, 3.0, np.inf], target_times=[np.inf])
    for kernel, weights in zip(s.kernel, s.weights[:, 0], strict=True):
        fit = task.x_target @ weights / np.sqrt(12)
        np.testing.assert_allclose(fit, kernel @ np.linalg.solve(kernel + 0.05 * np.eye(8), task.y_target), atol=1e-7)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_lazy_limit_is_the_linear_ode(decay):
    # docs/theory.md §2 "Limits": df/dt = [e^{−2λt}Φ0 + e^{−2λt}C](y − f) − 2λ f from the source's lazy Q = e^{−2λT} I.
    task = linear_teachers()
    s = solve(
        task,
        source_strength=1e-5,
        target_strength=1e-5,
        elastic_coupling=0.0,
        weight_decay=decay,
        target_times=[1.0, 4.0],
    )
    inputs = task.x_target / np.sqrt(12)
    kernel = (np.exp(-2 * decay * 6.0) + 1) * inputs @ inputs.T
    rates, modes = np.linalg.eigh(kernel)
    for t, weights in zip(s.times, s.weights, strict=True):
        grid = np.linspace(0, t, 4001)
        level = np.exp(-2 * decay * grid)
        grown = (1 - level) / (2 * decay) if decay else grid
        force = np.exp(rates[:, None] * grown + 2 * decay * grid) * rates[:, None] * level
        weight = np.full(len(grid), grid[1] / 3)
        weight[1:-1:2] *= 4
        weight[2:-1:2] *= 2
        fit = modes @ (np.exp(-rates * grown[-1] - 2 * decay * t) * (force @ weight) * (modes.T @ task.y_target))
        np.testing.assert_allclose(inputs @ weights, fit, atol=1e-7)
    if decay == 0:
        ntk = task.y_target - expm(-4.0 * kernel) @ task.y_target
        np.testing.assert_allclose(inputs @ s.weights[-1], ntk, atol=1e-7)


def test_scratch_ignores_source_and_coupling():
    task, other = linear_teachers(0), linear_teachers(1)
    mixed = TransferTask(other.x_source, other.y_source, task.x_target, task.y_target, task.x_test, task.y_test)
    a = solve(task, start="scratch", elastic_coupling=[0.0, 5.0, np.inf])
    b = solve(mixed, start="scratch", elastic_coupling=0.0, source_time=1.0)
    for prediction in a.prediction:
        np.testing.assert_allclose(prediction, b.prediction, atol=1e-7)
    # A source that has not trained is scratch.
    c = solve(task, source_time=0.0, elastic_coupling=0.0)
    np.testing.assert_allclose(c.prediction, b.prediction, atol=1e-7)


def test_without_coupling_the_target_still_starts_from_the_source():
    task = linear_teachers()
    from_source, scratch = (solve(task, elastic_coupling=0.0, start=s) for s in ("source", "scratch"))
    assert not np.allclose(from_source.prediction[-1], scratch.prediction[-1], rtol=1e-2)


@pytest.mark.parametrize("dimension", [12, 60])
def test_random_anchor_has_the_source_norms_and_no_direction(dimension):
    task = linear_teachers(dimension=dimension)
    s = solve(task, anchor="random", elastic_coupling=np.inf, source_time=0.0)
    plain = solve(task, elastic_coupling=np.inf, source_time=0.0)
    np.testing.assert_allclose(s.prediction, plain.prediction, atol=1e-10)
    trained = solve(task, anchor="random", elastic_coupling=np.inf)
    inputs = task.x_target / np.sqrt(dimension)
    ratio = trained.kernel / (inputs @ inputs.T)
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)
    assert trained.test_loss[-1] > solve(task, elastic_coupling=np.inf).test_loss[-1]


@pytest.mark.parametrize("anchor", ["source", "random"])
def test_padding_inputs_with_silent_coordinates(anchor):
    # The same inputs in 48 coordinates, x·x'/D unchanged: the compressed basis must give the plain answer, and a
    # random anchor spreads its norm over all coordinates, silent ones included.
    task = linear_teachers(n_source=20)
    padded = changed(task, inputs=lambda x: 2 * np.concatenate([x, np.zeros((len(x), 36))], axis=1))
    a, b = solve(task, anchor=anchor), solve(padded, anchor=anchor)
    if anchor == "source":
        np.testing.assert_allclose(a.prediction, b.prediction, atol=1e-7)
        np.testing.assert_allclose(a.kernel, b.kernel, atol=1e-7)
    else:
        frozen = [solve(t, anchor="random", elastic_coupling=np.inf).kernel[0, 0] for t in (task, padded)]
        untrained = np.exp(-2 * 0.05 * 6.0) * task.x_target[0] @ task.x_target[0] / 12
        assert (frozen[1] - untrained) * 4 == pytest.approx(frozen[0] - untrained, rel=1e-6)


@pytest.mark.parametrize("dimension", [12, 60])
def test_invariances(dimension):
    base, turned, permuted, rotation, order = turned_and_mixed(solve, dimension)
    np.testing.assert_allclose(turned.prediction, base.prediction, atol=1e-7)
    np.testing.assert_allclose(turned.weights, base.weights @ rotation, atol=1e-7)
    np.testing.assert_allclose(permuted.prediction, base.prediction, atol=1e-7)
    np.testing.assert_allclose(permuted.kernel, base.kernel[np.ix_(order, order)], atol=1e-7)


def test_strong_coupling_is_affordable():
    started = time.perf_counter()
    solve(
        linear_teachers(dimension=30, n_source=90, n_target=15),
        elastic_coupling=1000.0,
        source_time=20.0,
        target_times=[20.0],
    )
    assert time.perf_counter() - started < 5  # 0.3 s on an idle core


def test_unconverged_points_raise_or_are_marked():
    task = linear_teachers()
    with pytest.raises(UnconvergedError, match=r"elastic_coupling = 3: .*stalled"):
        solve(task, source_time=0.1, target_times=[0.1, 1e4], max_evaluations=300)
    loose = solve(
        task,
        source_time=0.1,
        target_times=[0.1, 1e4],
        max_evaluations=300,
        strict=False,
        elastic_coupling=[3.0, np.inf],
    )
    assert loose.status == (Status.STALLED, Status.CONVERGED)
    assert np.isfinite(loose.prediction[0, 0]).all()
    assert np.isnan(loose.prediction[0, 1]).all()
    # A source that does not arrive takes every target with it.
    stuck = solve(task, source_time=1e4, max_evaluations=300, strict=False, elastic_coupling=[3.0])
    assert stuck.status == (Status.STALLED,)
    assert np.isnan(stuck.prediction).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "erf", "target_times": [1.0, np.inf]}, "target_times = inf"),
        ({"activation": "relu", "source_time": np.inf}, "source_time = inf"),
        ({"activation": "relu", "particles": 7}, "particles = 7"),
        ({"activation": "relu", "replicas": 0}, "replicas = 0"),
        ({"activation": "rleu"}, "did you mean 'relu'"),
        ({"source_strength": 0.0}, "source_strength = 0.0"),
        ({"target_strength": 0}, "target_strength = 0"),
        ({"elastic_coupling": [1.0, -2.0]}, "elastic_coupling = -2"),
        ({"weight_decay": -0.1}, "weight_decay = -0.1"),
        ({"weight_decay": 0.0, "target_times": [1.0, np.inf]}, "target_times = inf"),
        ({"source_weight_decay": 0.0, "source_time": np.inf}, "source_time = inf"),
        ({"source_time": -1.0}, "source_time = -1"),
        ({"target_times": [2.0, 1.0]}, "target_times"),
        ({"target_times": []}, "target_times"),
        ({"target_times": 3.0}, "target_times"),
        ({"start": "scrach"}, "did you mean 'scratch'"),
        ({"anchor": "none"}, "anchor = 'none'"),
        ({"rtol": 0.5}, "rtol = 0.5"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        solve(linear_teachers(), **changes)


@pytest.mark.parametrize("late", [1e9, 1e15, 1e100, 1e300])
@pytest.mark.parametrize("source_time", [2.0, np.inf])
def test_times_past_the_end_are_the_end(late, source_time):
    """Steps as long as such a time leave no digit to the moments, which have long been at their fixed point."""
    task = linear_teachers(3, dimension=6, n_source=12, n_target=4)
    options = {"activation": "linear", "source_strength": 0.5, "target_strength": 0.5, "elastic_coupling": [0.0, 1.0]}
    options |= {"weight_decay": 0.01, "source_time": source_time}
    found = flow.solve(task, target_times=[0.0, 1.0, late], **options)
    end = flow.solve(task, target_times=[0.0, 1.0, np.inf], **options)
    np.testing.assert_allclose(found.test_loss, end.test_loss, rtol=1e-5)
    assert max(found.iterations) < 20000


@pytest.mark.parametrize(("seed", "weight_decay", "coupling"), [(3, 0.0, 1.0), (4, 1e-200, 1e3), (5, 1e-40, 0.5)])
def test_without_decay_every_time_past_the_fit_is_alike(seed, weight_decay, coupling):
    """A tie makes what is off the anchor decay; a state that fits its data moves by rounding alone from then on."""
    task = linear_teachers(seed, dimension=6, n_source=12, n_target=4)
    found = [
        solve(task, weight_decay=weight_decay, elastic_coupling=coupling, source_time=20.0, target_times=[1.0, end])
        for end in (1e5, 1e12, 1e30)
    ]
    for each in found[1:]:
        np.testing.assert_allclose(each.test_loss, found[0].test_loss, rtol=1e-6)
        assert each.iterations < 20000


@pytest.mark.parametrize("time", [1e12, 1e30])
def test_slow_decay_ends_at_the_fixed_point_too(time):
    task = linear_teachers(6, dimension=6, n_source=12, n_target=4)
    options = {"weight_decay": 1e-4, "elastic_coupling": 1.0}
    found = solve(task, target_times=[time], source_time=time, **options)
    end = solve(task, target_times=[np.inf], source_time=np.inf, **options)
    np.testing.assert_allclose(found.test_loss, end.test_loss, rtol=1e-6)
    np.testing.assert_allclose(found.kernel, end.kernel, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("coupling", [0.0, 1.0, 1e5])
def test_a_decay_many_orders_slower_than_the_fit_is_followed_to_its_end(coupling):
    """Soon, and through times at which half of it is done: what then moves the weights is a residual of 1e-12."""
    task = linear_teachers(6, dimension=6, n_source=12, n_target=4)
    options = {"weight_decay": 1e-12, "elastic_coupling": coupling, "source_time": 3.0}
    found = solve(task, target_times=[1.0, 1e12, 1e16, 1e30], **options)
    end = solve(task, target_times=[np.inf], **options)
    assert found.iterations < 10_000
    np.testing.assert_allclose(found.prediction[0], solve(task, target_times=[1.0], **options).prediction[0])
    np.testing.assert_allclose(found.prediction[2:], end.prediction[[0, 0]], atol=1e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 1e-200, 1e-12])
def test_more_samples_than_a_frozen_network_can_fit_end_in_the_best_fit(weight_decay):
    """At δ = ∞ what features can't express stays unlearnt for ever: rounding must not grow with the time."""
    task = linear_teachers(2, dimension=6, n_source=12, n_target=15)
    options = {"weight_decay": weight_decay, "elastic_coupling": np.inf, "source_time": 3.0}
    early, late = (solve(task, target_times=[time], **options) for time in (1e4, 1e18))
    np.testing.assert_allclose(late.prediction, early.prediction, rtol=1e-6)
    fit = np.linalg.lstsq(task.x_target, task.y_target)[0]
    np.testing.assert_allclose(late.prediction[0], task.x_test @ fit, rtol=1e-6)


@pytest.mark.parametrize(
    ("inputs", "labels", "changes"),
    [
        (1e80, 1.0, {"source_strength": 1e-299, "weight_decay": 0.0, "target_times": [1e130]}),
        (1e116, 1e217, {"target_strength": 1e243, "weight_decay": 1e-257}),
        (1.0, 1e175, {"source_time": 1e92}),
        (10.0, 0.1, {"source_strength": 1e-281, "source_time": 1e207, "weight_decay": 283.0}),
        (1e200, 1e300, {"source_strength": 1e-200, "target_strength": 1e20, "weight_decay": 1e-300}),
        (1e229, 1.0, {"elastic_coupling": np.inf}),
    ],
)
def test_any_scales_have_a_status_within_seconds(inputs, labels, changes):
    """Rates that are no number made the explicit integrator look for its first step for ever."""
    started = time.process_time()
    for dimension in (2, 9):
        task = linear_teachers(8, dimension=dimension, n_source=3, n_target=3)
        scaled = {"source_labels": lambda y: y * labels, "target_labels": lambda y: y * labels}
        task = changed(task, inputs=lambda x: x * inputs, **scaled)
        found = solve(task, strict=False, **changes)
        assert found.status is not Status.CONVERGED or np.isfinite(found.test_loss).all()
    assert time.process_time() - started < 20  # mostly far below 1 s


def test_inputs_of_zero_have_no_direction():
    task = changed(linear_teachers(2, dimension=12, n_source=3, n_target=4), inputs=lambda x: 0 * x)
    np.testing.assert_array_equal(solve(task).prediction, 0)


@pytest.mark.parametrize(("seed", "strength", "decays"), [(58, 500.0, 100.0), (3, 40.0, 60.0), (7, 300.0, 400.0)])
def test_what_long_training_of_the_source_leaves_of_its_start_is_not_made_visible(seed, strength, decays):
    """Frozen features have the one direction that the source learnt; the integrator's tolerance is no second one."""
    task = linear(dimension=9, overlap=0.5, n_source=6, n_target=4, n_test=8, seed=seed)
    decay = 1e-8
    common = {"activation": "linear", "source_strength": strength, "target_strength": 0.05, "weight_decay": decay,
              "elastic_coupling": np.inf, "target_times": [1.0, 1e10]}  # fmt: skip
    late, end = (flow.solve(task, source_time=time, **common) for time in (decays / decay, np.inf))
    np.testing.assert_allclose(late.prediction, end.prediction, rtol=1e-6, atol=1e-9)
    assert late.residual < 1e-8


@pytest.mark.parametrize(
    ("seed", "strength", "decays"), [(90, 40.0, 10.0), (87, 9.0, 10.0), (19, 0.04, 30.0), (5, 11.0, 14.0)]
)
def test_what_frozen_features_keep_of_the_sources_start_is_seen_in_the_end(seed, strength, decays):
    """Of the source 2e-9 to 9e-27 of its start is left, above what an integrator tolerates or below."""
    task = linear(dimension=7, overlap=0.5, n_source=6, n_target=5, n_test=8, seed=seed)
    decay = 1e-9
    common = {"activation": "linear", "target_strength": 0.3, "weight_decay": decay}
    late = flow.solve(
        task,
        source_strength=strength,
        elastic_coupling=np.inf,
        source_time=decays / decay,
        target_times=[np.inf],
        **common,
    )
    source = dataclasses.replace(task, x_target=task.x_source, y_target=task.y_source)
    trained = {"start": "scratch", "elastic_coupling": 0.0, "source_time": 0.0, "target_times": [decays / decay]}
    direction = flow.solve(source, source_strength=1.0, **common | trained | {"target_strength": strength}).weights[-1]
    bulk, size = np.exp(-2 * decays), strength * np.linalg.norm(direction)
    direction = direction / np.linalg.norm(direction)
    root = np.sqrt(bulk) * np.eye(7) + (np.hypot(bulk, size) ** 0.5 - bulk**0.5) * np.outer(direction, direction)
    left, singular, right = np.linalg.svd(task.x_target @ root / 7**0.5, full_matrices=False)
    ridge = root @ right.T @ (singular * (left.T @ task.y_target) / (singular**2 + decay)) / 7**0.5
    np.testing.assert_allclose(late.prediction[-1], task.x_test @ ridge, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("weight_decay", "late"), [(0.5, [100.0, 1e4, 1e10]), (0.05, [1e3, 1e5, 1e10])])
@pytest.mark.parametrize("seed", [90, 91])
def test_directions_slower_than_the_decay_are_waited_for(seed, weight_decay, late):
    """Also at the very times at which it is asked whether the end has come."""
    task = linear(dimension=8, overlap=0.0, n_source=9, n_target=10, n_test=8, seed=seed)
    options = {"activation": "linear", "source_strength": 40.6, "target_strength": 1.78, "weight_decay": weight_decay}
    options |= {"elastic_coupling": 1.0, "source_time": late[0]}
    found = flow.solve(task, target_times=[1.0, *late], **options)
    end = flow.solve(task, target_times=[np.inf], **options)
    np.testing.assert_allclose(found.test_loss[-1], end.test_loss[-1], rtol=1e-5)
    assert found.iterations < 20_000
