"""The linear posterior beside fifty digits, at many samples, and out of range."""

import itertools
import time
import tracemalloc

import mpmath as mp
import numpy as np
import pytest
from builders import linear_teachers
from fifty_digits import solve as exact

from infwidth.numerics.status import Status
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes
from infwidth.theory.linear.design import Design

SIZES = [(4, 3, 6), (6, 5, 4), (3, 6, 3), (12, 3, 4)]  # D, P1, P2: more and fewer samples than dimensions
KINDS = ["plain", "noisy", "repeated", "repeated and noisy", "nearly repeated"]


def make_task(seed, size, kind):
    dimension, n_source, n_target = size
    sizes = {"dimension": dimension, "n_source": n_source, "n_target": n_target, "n_test": 5}
    task = linear_teachers(seed, **sizes, noise=0.3 if "noisy" in kind else 0.0)
    parts = [np.array(getattr(task, f"{name}_{part}")) for part in ("source", "target") for name in ("x", "y")]
    if "repeated" in kind:
        for x, y in (parts[:2], parts[2:]):
            y[1] = y[1] if "noisy" in kind else y[0]
            x[1] = x[0] + (1e-5 * x[1] if "nearly" in kind else 0.0)
    return TransferTask(*parts, task.x_test, task.y_test)


def settings():
    rng = np.random.default_rng(0)
    scales = list(itertools.product([1.0, 1e4, 1e8, 1e12, 1e16], [1e-2, 1.0, 30.0], [0.1, 2.0], [0.0, 3.0, np.inf]))
    for number, (size, kind) in enumerate(itertools.product(SIZES, KINDS)):
        for index in rng.choice(len(scales), 2, replace=False):
            yield number, size, kind, scales[index]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("strength", [0.05, 0.5])
def test_inputs_in_line_but_for_rounding_are_no_copies(seed, strength):
    """β multiplies what their labels disagree by until neurons grow along what rounding put between the inputs."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal(5)
    inputs = np.stack([first, first * (1 + 10 ** rng.uniform(-10, -7))])
    task = TransferTask(rng.standard_normal((7, 5)), rng.standard_normal(7), inputs, [0.4, 0.6], inputs, [0.4, 0.6])
    beta, precision, coupling = 2.5e17, 0.01, 1e-3
    found = bayes.solve(
        task,
        activation="linear",
        source_strength=0.8,
        target_strength=strength,
        elastic_coupling=coupling,
        inverse_temperature=beta,
        source_inverse_temperature=300.0,
        prior_precision=precision,
        strict=False,
    )
    if found.status is Status.CONVERGED:
        temperatures, strengths = (300.0, beta), (0.8, strength)
        dual, *_ = exact(
            task, strengths=strengths, coupling=coupling, inverse_temperatures=temperatures, precision=precision
        )
        np.testing.assert_allclose(found.dual, np.array([float(g) for g in dual]), rtol=1e-6)


def test_dual_and_left_out_errors_to_fifty_digits():
    """g and the leave-one-out error are multiplied by β where the inputs leave labels unexplained."""
    converged = []
    for seed, size, kind, (beta, precision, strength, coupling) in settings():
        task = make_task(seed, size, kind)
        found = bayes.solve(
            task,
            activation="linear",
            source_strength=strength,
            target_strength=strength,
            elastic_coupling=coupling,
            inverse_temperature=beta,
            prior_precision=precision,
            strict=False,
        )
        dual, left_out, mean_square = exact(
            task,
            strengths=(strength, strength),
            coupling=coupling,
            inverse_temperatures=(beta, beta),
            precision=precision,
        )
        converged.append(found.status is Status.CONVERGED)
        if converged[-1]:
            where = (size, kind, beta, precision, strength, coupling)
            for ours, theirs in ((found.dual, dual), (found.left_out_residual, left_out)):
                distance = mp.norm(mp.matrix(ours.tolist()) - mp.matrix(theirs)) / mp.norm(mp.matrix(theirs))
                assert distance < 1e-6, where
            assert abs(found.leave_one_out / mean_square - 1) < 1e-6, where
    assert np.mean(converged) > 0.9


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("coupling", [0.0, 1.0, np.inf])
def test_a_sample_beside_copies_that_disagree_is_right_or_not_converged(seed, coupling):
    """The copies' g is so large that its rounding, and that of their inputs, leaves nothing of the other samples'."""
    task = make_task(seed, (5, 3, 3), "plain")
    x, y = np.array(task.x_target), np.array(task.y_target)
    x[1], y[1] = x[0] * (1 + 1e-9), y[0] + 1
    task = TransferTask(task.x_source, task.y_source, x, y, task.x_test, task.y_test)
    shared = {"source_strength": 1.0, "target_strength": 0.5}
    beta, precision = 1e15, 0.1
    options = {"inverse_temperature": beta, "prior_precision": precision, "strict": False}
    found = bayes.solve(task, activation="linear", elastic_coupling=coupling, **shared, **options)
    _, _, mean_square = exact(
        task, strengths=(1.0, 0.5), coupling=coupling, inverse_temperatures=(beta, beta), precision=precision
    )
    assert found.status is not Status.CONVERGED or abs(found.leave_one_out / mean_square - 1) < 1e-6


def test_an_inaccurate_dual_is_seen():
    """βσ²/λ² = 1e28: rounding leaves nothing, and the certificate has to say so."""
    task = make_task(0, (6, 5, 4), "repeated")
    options = {"source_strength": 0.1, "target_strength": 0.1, "inverse_temperature": 1e16, "prior_precision": 1e-6}
    found = bayes.solve(task, activation="linear", elastic_coupling=0.0, strict=False, **options)
    assert found.status is Status.STALLED
    assert 1e-8 < found.residual < 1


@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (6, 6)])
@pytest.mark.parametrize("repeated", [False, True])
def test_what_inputs_leave_unexplained(shape, repeated):
    x = np.random.default_rng(3).standard_normal(shape)
    if repeated:
        x[1] = x[0]
    design, y = Design.of(x), np.random.default_rng(4).standard_normal(shape[0])
    expected = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    for found, error, *_ in (design.outside(y), design.outside_accurately(y)):
        np.testing.assert_allclose(found, expected, atol=1e-11)
        assert error < 1e-14
    inner = np.diag(np.arange(1.0, len(design.singular) + 1))
    full = design.left @ inner @ design.left.T + 0.1 * (np.eye(shape[0]) - design.left @ design.left.T)
    diagonal, _ = design.inverse_diagonal(np.linalg.cholesky(inner), 0.1)
    np.testing.assert_allclose(diagonal, np.diagonal(np.linalg.inv(full)), rtol=1e-10)


def test_the_rest_of_exact_labels_has_digits_of_its_own():
    """y = Xw + r with r far below the rounding of y: what plain subtraction leaves has no correct digit."""
    x = np.random.default_rng(5).integers(-8, 9, (5, 2)).astype(float)
    inside = x @ [3.0, -5.0]
    y = inside + 1e-14 * np.linalg.svd(x)[0][:, 4]
    with mp.workdps(60):
        design, labels = mp.matrix(x.tolist()), mp.matrix(y.tolist())
        rest = labels - design * mp.lu_solve(design.T * design, design.T * labels)
        rest = np.array([float(value) for value in rest])
    found, *_ = Design.of(x).outside_accurately(y)
    np.testing.assert_allclose(found, rest, rtol=1e-9)
    assert not np.allclose(Design.of(x).outside(y)[0], rest, rtol=1e-3, atol=0.0)


def test_many_samples_cost_what_few_dimensions_do():
    task = linear_teachers(0, dimension=60, n_source=80, n_target=3000)
    options = {"activation": "linear", "source_strength": 1.0, "target_strength": 1.0, "inverse_temperature": 20.0}
    tracemalloc.start()
    started = time.process_time()
    found = bayes.solve(task, elastic_coupling=[1.0, 10.0], **options)
    seconds, (_, peak) = time.process_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < 3  # 0.1 s; a P × P inverse takes 5 s
    assert peak < 60e6  # one 3000 × 3000 kernel takes 72e6
    inputs = task.x_target[:4] / np.sqrt(60)
    kernel = found.kernel  # only now
    assert kernel.shape == (2, 3000, 3000)
    fit = kernel[1][:4] @ found.dual[1]
    np.testing.assert_allclose(fit, inputs @ found.weights[1], rtol=1e-6, atol=1e-9)
