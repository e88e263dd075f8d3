import math
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.image_tasks import images
from infwidth.tasks.linear_tasks import linear
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes
from infwidth.theory.posterior import source, target
from infwidth.theory.posterior.answer import Certificate
from infwidth.theory.posterior.saddle import CAREFUL
from infwidth.theory.posterior.solve import solve_population
from infwidth.theory.problem import BayesProblem

SETTINGS = {
    "activation": "erf",
    "source_strength": 1.0,
    "target_strength": 1.0,
    "elastic_coupling": 1.0,
    "inverse_temperature": 20.0,
    "particles": 2048,
}


def linear_task(overlap=0.6, dimension=25, n_source=80, n_target=30, n_test=2000):
    """The task of the published reference numbers (docs/theory.md §1)."""
    rng = np.random.default_rng(0)
    b, o = rng.standard_normal(dimension), rng.standard_normal(dimension)
    b *= np.sqrt(dimension) / np.linalg.norm(b)
    o -= b * (b @ o) / dimension
    o *= np.sqrt(dimension) / np.linalg.norm(o)
    w = overlap * b + np.sqrt(1 - overlap**2) * o
    inputs = [rng.standard_normal((n, dimension)) for n in (n_source, n_target, n_test)]
    pairs = [(x, x @ v / np.sqrt(dimension)) for x, v in zip(inputs, (b, w, w), strict=True)]
    return TransferTask(*(array for pair in pairs for array in pair))


def even_task(dimension=10, n_target=40):
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal((n, dimension)) for n in (n_target, n_target, 50)]
    labels = [(x[:, 0] ** 2 - 1) / math.sqrt(2) for x in inputs]
    return TransferTask(*(array for pair in zip(inputs, labels, strict=True) for array in pair))


def small_task():
    return linear_task(dimension=8, n_source=20, n_target=10, n_test=40)


def solve(task, **changes):
    return bayes.solve(task, **{**SETTINGS, **changes})


def agree(value, error, expected, slack):
    """Within four standard errors and the reference's own error."""
    return abs(value - expected) <= 4 * error + slack * abs(expected)


@pytest.mark.parametrize(
    ("activation", "couplings", "expected"),
    [("erf", (0, 1, 10), (0.0515, 0.0386, 0.0554)), ("relu", (0, 1, 10, 100), (0.2052, 0.1552, 0.1287, 0.1140))],
)
def test_reference_losses(activation, couplings, expected):
    s = solve(linear_task(), activation=activation, elastic_coupling=couplings, particles=4096, evidence=False)
    assert s.status == (Status.CONVERGED,) * len(couplings)
    for loss, error, goal in zip(s.test_loss, s.stderr["test_loss"], expected, strict=True):
        assert error < 0.05 * goal
        assert agree(loss, error, goal, 0.01)


def test_transfer_from_a_line_to_a_cubic():
    dimension = 20
    rng = np.random.default_rng(0)
    b, _ = rng.standard_normal(dimension), rng.standard_normal(dimension)
    b *= np.sqrt(dimension) / np.linalg.norm(b)
    inputs = [rng.standard_normal((n, dimension)) for n in (120, 80, 2000)]
    u = [x @ b / np.sqrt(dimension) for x in inputs]
    labels = [u[0], *((v**3 - 3 * v) / math.sqrt(6) for v in u[1:])]
    task = TransferTask(*(array for pair in zip(inputs, labels, strict=True) for array in pair))
    s = solve(task, elastic_coupling=[1, 100], particles=4096, evidence=False)
    for loss, error, goal in zip(s.test_loss, s.stderr["test_loss"], (1.197, 0.945), strict=True):
        assert agree(loss, error, goal, 0.01)


def linear_by_particles(task, couplings, **changes):
    settings = {
        "strengths": (1.0, 1.0),
        "inverse_temperatures": (20.0, 20.0),
        "prior_precision": 1.0,
        "max_iterations": 300,
    }
    settings |= {name: changes.pop(name) for name in [*changes] if name in settings}
    problem = BayesProblem(task, "linear", couplings=couplings, **settings)
    return solve_population(problem, **{"particles": 4096, "seed": 0, "device": "cpu"} | changes)


@pytest.mark.parametrize("coupling", [0.0, 2.0, 20.0, math.inf])
def test_a_linear_network_is_the_closed_form(coupling):
    task = linear_task(dimension=12, n_source=30, n_target=8, n_test=200)
    exact = solve(task, activation="linear", elastic_coupling=coupling, prior_precision=1.3)
    (found,) = linear_by_particles(task, [coupling], prior_precision=1.3)
    assert found.status is Status.CONVERGED
    for name in ("test_loss", "train_loss", "leave_one_out", "log_evidence_density"):
        error = found.stderr[name]
        assert error < 0.2 * abs(getattr(exact, name))
        assert agree(getattr(found, name), error, getattr(exact, name), 0.01)
    for name in ("prediction", "kernel"):
        error = found.stderr[name]
        distance = (getattr(found, name) - getattr(exact, name)) / error.clip(1e-12)
        # The source's dual vector, which all blocks share, is not in the error; at δ = ∞ it is half of the scatter.
        assert np.sqrt(np.mean(distance**2)) < (2 if coupling < math.inf else 4)
        assert np.linalg.norm(error) < 0.1 * np.linalg.norm(getattr(exact, name))


def test_leave_one_out_has_no_bias_from_few_particles():
    """H is noisy by √(P/S), and its inverse too large by P/S: the ratio would be 6 to 8 % too small here."""
    task = linear(dimension=50, overlap=0.8, n_source=60, n_target=40, n_test=5, target_noise=0.5, seed=0)
    couplings, strength = [1.0, 10.0], 0.5
    few = {"strengths": (strength, strength), "inverse_temperatures": (10.0, 10.0), "particles": 384, "evidence": False}
    runs = [linear_by_particles(task, couplings, seed=seed, **few) for seed in range(6)]
    exact = bayes.solve(
        task, activation="linear", source_strength=strength, target_strength=strength, elastic_coupling=couplings,
        inverse_temperature=10.0,
    ).leave_one_out  # fmt: skip
    excess = np.array([[point.leave_one_out for point in run] for run in runs]) / exact - 1
    claimed = np.array([[point.stderr["leave_one_out"] for point in run] for run in runs]) / exact
    assert (abs(excess.mean(0)) < 0.045).all()
    assert (claimed < 0.06).all()
    assert 0.4 < np.sqrt(np.mean(excess.var(0, ddof=1)) / np.mean(claimed**2)) < 2


def arc_cosine(x, z, variance):
    """E φ(h)φ(h') of ReLU over h = W·x/√D, W of that variance."""
    norms = np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(z, axis=1))
    angle = np.arccos(np.clip(x @ z.T / norms, -1, 1))
    return variance * norms / x.shape[1] * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)


def arc_sine(x, z, variance):
    """The same of erf."""
    sizes = [1 + 2 * variance * np.square(a).mean(1) for a in (x, z)]
    return 2 / np.pi * np.arcsin(2 * variance * x @ z.T / x.shape[1] / np.sqrt(np.outer(*sizes)))


@pytest.mark.parametrize(
    ("prior_kernel", "coupling"),
    [(arc_cosine, 0.0), (arc_cosine, 3.0), (arc_cosine, math.inf), (arc_sine, 3.0)],
)
@pytest.mark.parametrize("dimension", [8, 60])  # 60 > P1 + P2: test points stick out of the training inputs' span
def test_a_lazy_network_is_regression_with_the_prior_kernel(prior_kernel, coupling, dimension):
    """With the default particles, within 1.5 standard errors over three seeds and 7.5 % of |f| (seeds: 1 to 6 %)."""
    task = linear_task(dimension=dimension, n_source=20, n_target=10, n_test=100)
    variance = 1.0 if math.isinf(coupling) else 1 / (1 + coupling) + (coupling / (1 + coupling)) ** 2
    kernel = prior_kernel(task.x_target, task.x_target, variance)
    dual = np.linalg.solve(kernel + np.eye(10) / 20, task.y_target)
    expected = prior_kernel(task.x_test, task.x_target, variance) @ dual
    distances = []
    for seed in range(3):
        s = solve(
            task,
            activation="relu" if prior_kernel is arc_cosine else "erf",
            elastic_coupling=coupling,
            source_strength=1e-4,
            target_strength=1e-4,
            particles=None,
            evidence=False,
            seed=seed,
        )
        assert s.domain_margin == pytest.approx(1, abs=1e-4)
        assert np.linalg.norm(s.prediction - expected) < 0.075 * np.linalg.norm(expected)
        assert np.linalg.norm(s.kernel - kernel) < 0.05 * np.linalg.norm(kernel)
        distances.append((s.prediction - expected) / s.stderr["prediction"])
    assert np.sqrt(np.mean(np.square(distances))) < 1.5


def test_without_coupling_the_source_does_not_matter():
    task = small_task()
    other = replace(task, y_source=task.y_source[::-1] ** 2)
    a, b = (solve(t, elastic_coupling=0, source_strength=g) for t, g in ((task, 1.0), (other, 0.1)))
    np.testing.assert_array_equal(a.prediction, b.prediction)


def test_seeds_scatter_as_the_standard_errors_say():
    task = small_task()
    runs = [solve(task, elastic_coupling=[2.0, 20.0], particles=1024, seed=seed, strict=False) for seed in range(8)]
    losses, errors = np.array([r.test_loss for r in runs]), np.array([r.stderr["test_loss"] for r in runs])
    ratio = losses.std(0, ddof=1) / np.sqrt(np.mean(errors**2, 0))
    assert (ratio > 0.4).all()
    assert (ratio < 2).all()
    for a, da in zip(losses, errors, strict=True):
        assert (abs(a - losses[0]) <= 4 * np.hypot(da, errors[0]) + 1e-12).all()


def test_fields_and_shapes():
    seen = {}
    task = small_task()

    def observe(shown):
        seen.setdefault((shown.coupling_index, shown.time_index), []).append(shown.preactivation)

    s = solve(task, elastic_coupling=[0, 20, math.inf], particles=1024, observe=observe, strict=False)
    assert s.prediction.shape == s.stderr["prediction"].shape == (3, 40)
    assert s.kernel.shape == s.stderr["kernel"].shape == (3, 10, 10)
    assert s.dual.shape == (3, 10)
    assert s.weights is None
    for name in ("train_loss", "test_loss", "leave_one_out", "log_evidence_density", "domain_margin"):
        assert getattr(s, name).shape == (3,)
    # Eq. (1): g is β times the training residuals.
    np.testing.assert_allclose(s.train_loss, np.mean((s.dual / 20) ** 2, 1), rtol=0.05)
    assert set(seen) == {(None, None), (0, 0), (1, 0), (2, 0)}
    assert all(len(blocks) == 16 for blocks in seen.values())
    h = torch.cat(seen[0, 0])
    assert h.shape == (5 * 1024, 10)
    np.testing.assert_allclose((h.erf().mT @ h.erf() / len(h)).numpy(), s.kernel[0], atol=0.05)
    one = solve(task, elastic_coupling=0, particles=1024, strict=False)
    np.testing.assert_array_equal(one.prediction, s.prediction[0])
    assert isinstance(one.test_loss, float)


def test_condensing_neurons_give_a_status_and_no_number():
    settings = {"activation": "relu", "elastic_coupling": 0.0, "inverse_temperature": 50.0, "target_strength": 3.0}
    with pytest.raises(UnconvergedError, match="condensed; reduce the feature-learning strength") as caught:
        solve(even_task(), **settings)
    assert caught.value.status is Status.CONDENSED
    loose = solve(even_task(), **settings, strict=False)
    assert np.isnan(loose.test_loss)
    assert np.isnan(loose.prediction).all()
    assert loose.domain_margin < 0.1


@pytest.mark.skipif("INFWIDTH_TEST_IMAGES" not in os.environ, reason="INFWIDTH_TEST_IMAGES names no images")
def test_particles_that_lag_behind_are_given_more_time():
    """CIFAR-10 with rich erf neurons: after the usual schedule the particles drift, after the careful one not."""
    task = images(
        source_classes=(0, 1), target_classes=(8, 9), n_source=100, n_target=50, n_test=20, dataset="cifar10",
        path=os.environ["INFWIDTH_TEST_IMAGES"], seed=0,
    )  # fmt: skip
    s = solve(task, elastic_coupling=0.0, inverse_temperature=10.0, particles=4096, evidence=False)
    assert s.status is Status.CONVERGED
    assert s.iterations > 120  # of both schedules
    assert s.residual < 0.06


@pytest.mark.parametrize("holds", ["neither", "target"])
def test_what_does_not_settle_with_care_is_unmixed(holds, monkeypatch):
    task, schedules, descend = small_task(), [], source.descend

    def spy(*args, **kwargs):
        schedules.append({key: kwargs[key] for key in kwargs if key in CAREFUL})
        return descend(*args, **kwargs)

    def judge(windows, dual, labels, **_):
        return Certificate(1.0, 1.0, closed=holds == "target" and len(labels) == len(task.y_target))

    for module in (source, target):
        monkeypatch.setattr(module, "descend", spy)
    monkeypatch.setattr(Certificate, "of", judge)
    s = solve(task, elastic_coupling=2.0, particles=512, strict=False, evidence=False)
    assert s.status is Status.UNMIXED
    assert np.isfinite(s.test_loss)
    assert schedules == [{}, CAREFUL, {}] + [CAREFUL] * (holds == "neither")
    alone = solve(task, elastic_coupling=0.0, particles=512, strict=False, evidence=False)
    assert (alone.status is Status.CONVERGED) == (holds == "target")


def test_leave_one_out_of_the_closed_form_is_that_of_refits():
    task = linear_task(dimension=10, n_source=30, n_target=20, n_test=5)
    settings = {"activation": "linear", "target_strength": 0.7, "elastic_coupling": 1.0, "particles": None}
    errors = []
    for left in range(20):
        keep = np.arange(20) != left
        fewer = TransferTask(
            task.x_source,
            task.y_source,
            task.x_target[keep],
            task.y_target[keep],
            task.x_target[left : left + 1],
            task.y_target[left : left + 1],
        )
        errors.append(solve(fewer, **settings).test_loss)
    assert solve(task, **settings).leave_one_out == pytest.approx(np.mean(errors), rel=0.15)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "tahn"}, "activation = 'tahn'"),
        ({"particles": 3}, "particles = 3: expected a whole number ≥ 128"),
        ({"seed": -1}, "seed = -1"),
        ({"device": "nowhere"}, "device = 'nowhere'"),
        ({"elastic_coupling": -1.0}, "elastic_coupling = -1"),
        ({"max_iterations": 0}, "max_iterations = 0"),
        ({"target_strength": 0.0}, "target_strength = 0"),
        ({"activation": "linear", "observe": print}, "observe"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        solve(small_task(), **changes)
