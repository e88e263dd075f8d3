"""Several outputs of linear networks: one output, symmetries, derivatives, and an exact sampler at finite width."""

import numpy as np
import pytest
from builders import changed, linear_teachers, several_teachers
from gibbs import mean_predictors

from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status
from infwidth.tasks import TransferTask, one_hot
from infwidth.theory import bayes, flow, forgetting
from infwidth.theory.linear.concave_dual import Potential
from infwidth.theory.linear.finite_flow import sample_flow
from infwidth.theory.linear.posterior import solve_posterior
from infwidth.theory.linear.several_outputs import MatrixPotential

COUPLINGS = [0.0, 2.0, 20.0, np.inf]
SETTINGS = {
    "activation": "linear",
    "source_strength": 0.8,
    "target_strength": 0.7,
    "elastic_coupling": COUPLINGS,
    "inverse_temperature": 15.0,
    "prior_precision": 1.2,
}
NUMBERS = ("test_loss", "train_loss", "leave_one_out", "log_evidence_density", "domain_margin")


def classes(seed=0, count=4, dimension=6):
    """Classes of samples by the largest of several linear functions, in one-hot labels."""
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((dimension, count))
    parts = []
    for n in (80, 60, 200):
        x = rng.standard_normal((n, dimension))
        parts += [x, one_hot(np.argmax(x @ w, 1), count)]
    return TransferTask(*parts)


def solve(task, **changes):
    return bayes.solve(task, **{**SETTINGS, **changes})


@pytest.mark.parametrize("dimension", [12, 60])  # 60 > P1 + P2: the compressed basis
def test_shapes_and_equations_1_and_4(dimension):
    task = several_teachers(dimension=dimension)
    s = solve(task)
    assert s.prediction.shape == (4, 50, 3)
    assert s.weights.shape == (4, dimension, 3)
    assert s.dual.shape == s.left_out_residual.shape == (4, 10, 3)
    assert s.kernel.shape == (4, 10, 10)
    assert s.status == (Status.CONVERGED,) * 4
    for i in range(4):
        np.testing.assert_allclose((s.kernel[i] / 1.2 + np.eye(10) / 15) @ s.dual[i], task.y_target, atol=1e-9)
        fit = task.x_target @ s.weights[i] / np.sqrt(dimension)
        np.testing.assert_allclose(s.dual[i], 15 * (task.y_target - fit), atol=1e-7)
        np.testing.assert_allclose(s.prediction[i], task.x_test @ s.weights[i] / np.sqrt(dimension), atol=1e-10)
        assert s.test_loss[i] == pytest.approx(np.mean((s.prediction[i] - task.y_test) ** 2))
        assert s.train_loss[i] == pytest.approx(np.mean((fit - task.y_target) ** 2))


def test_a_column_is_the_vector():
    task = linear_teachers()
    one, column = (
        solve(task),
        solve(changed(task, source_labels=lambda y: y[:, None], target_labels=lambda y: y[:, None])),
    )
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(column, name), getattr(one, name), rtol=1e-12)
    for name in ("prediction", "dual", "weights", "left_out_residual"):
        np.testing.assert_allclose(getattr(column, name)[..., 0], getattr(one, name), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(column.kernel, one.kernel, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_the_matrix_potential_of_one_column_is_eq_6(coupling):
    """The two are coded apart: Newton's method on either, and what it rests on, agree."""
    rng = np.random.default_rng(3)
    root = rng.standard_normal((5, 5))
    args = root @ root.T, coupling, 1.3, 0.9, True
    vector, matrix = Potential.elastic(*args), MatrixPotential.elastic(*args)
    k = 0.3 * rng.standard_normal(5)
    assert matrix.margin(k[:, None]) == pytest.approx(vector.margin(k), rel=1e-13)
    assert matrix.value(k[:, None]) == pytest.approx(vector.value(k), rel=1e-12)
    np.testing.assert_allclose(matrix.gradient(k[:, None])[:, 0], vector.gradient(k), rtol=1e-12)
    np.testing.assert_allclose(matrix.hessian(k[:, None]), vector.hessian(k), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(matrix.second_moment(k[:, None]), vector.second_moment(k), rtol=1e-12, atol=1e-14)
    x, y = rng.standard_normal((7, 5)), rng.standard_normal(7)
    settings = {"strength": 0.6, "inverse_temperature": 9.0, "elastic_coupling": coupling, "anchor_moment": args[0]}
    one, column = (solve_posterior(x, labels, **settings) for labels in (y, y[:, None]))
    np.testing.assert_allclose(column.saddle.dual[:, 0], one.saddle.dual, rtol=1e-9)
    np.testing.assert_allclose(column.hidden_moment, one.hidden_moment, rtol=1e-9, atol=1e-12)
    assert column.saddle.objective == pytest.approx(one.saddle.objective, rel=1e-11)


@pytest.mark.parametrize("scatters", [True, False])
def test_derivatives_of_the_matrix_potential(scatters):
    rng = np.random.default_rng(1)
    root = rng.standard_normal((4, 4))
    potential = MatrixPotential.elastic(root @ root.T, 2.0, 0.8, 1.1, scatters)
    k, step = 0.3 * rng.standard_normal((4, 3)), 1e-5
    moves = step * np.eye(12).reshape(12, 4, 3)
    gradient = [(potential.value(k + move) - potential.value(k - move)) / (2 * step) for move in moves]
    hessian = [(potential.gradient(k + move) - potential.gradient(k - move)).ravel() / (2 * step) for move in moves]
    np.testing.assert_allclose(potential.gradient(k).ravel(), gradient, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(potential.hessian(k), hessian, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(potential.second_moment(k) @ k / 1.1, potential.gradient(k), rtol=1e-10)
    assert np.linalg.eigvalsh(potential.hessian(k)).min() > 0


def test_turned_outputs_turn_the_answer():
    task = several_teachers(source_outputs=2)
    rng = np.random.default_rng(5)
    turn, source_turn = (np.linalg.qr(rng.standard_normal((n, n)))[0] for n in (3, 2))
    turned = solve(changed(task, source_labels=lambda y: y @ source_turn, target_labels=lambda y: y @ turn))
    base = solve(task)
    for name in NUMBERS:
        np.testing.assert_allclose(getattr(turned, name), getattr(base, name), rtol=1e-8)
    for name in ("prediction", "dual", "weights", "left_out_residual"):
        np.testing.assert_allclose(getattr(turned, name), getattr(base, name) @ turn, rtol=1e-7, atol=1e-9)


def test_outputs_that_labels_do_not_reach_stay_silent():
    """Labels of one teacher in three outputs are one output's along its direction; a source of one output stays."""
    task, direction = linear_teachers(), np.array([2.0, -1.0, 2.0]) / 3
    base = solve(task)
    spread = solve(changed(task, target_labels=lambda y: np.outer(y, direction)))
    np.testing.assert_allclose(spread.prediction, base.prediction[..., None] * direction, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(spread.test_loss, base.test_loss / 3, rtol=1e-10)
    silent = solve(changed(several_teachers(), target_labels=lambda y: np.insert(y, 1, 0.0, axis=1)))
    np.testing.assert_allclose(
        np.delete(silent.prediction, 1, 2), solve(several_teachers()).prediction, rtol=1e-8, atol=1e-10
    )


@pytest.mark.parametrize("count", [2, 4, 9])
def test_one_hot_classes(count):
    task = classes(count=count)
    s = solve(task)
    np.testing.assert_allclose(s.dual.sum(-1), 0, atol=1e-10)
    np.testing.assert_allclose(s.prediction.sum(-1), 0, atol=1e-10)
    wrong = np.mean(s.prediction.argmax(-1) != task.y_test.argmax(-1), axis=1)
    np.testing.assert_allclose(s.test_error, wrong)
    assert wrong[1] < 0.6 * (1 - 1 / count)


def test_two_classes_in_two_outputs_are_one_output():
    """√2 (e_c − ½) is ±1 along (−1, 1)/√2: the loss is half of one output's, the error its."""
    task = classes(count=2)
    signs = changed(task, source_labels=lambda y: np.sign(y[:, 1]), target_labels=lambda y: np.sign(y[:, 1]))
    two, one = solve(task), solve(signs)
    np.testing.assert_allclose(two.test_loss, one.test_loss / 2, rtol=1e-9)
    np.testing.assert_allclose(two.test_error, one.test_error)


def test_leave_one_out_is_exact_for_frozen_features():
    task = several_teachers()
    s = solve(task, elastic_coupling=np.inf)
    for out in (0, 7):
        kept = np.arange(10) != out
        without = TransferTask(
            task.x_source, task.y_source, task.x_target[kept], task.y_target[kept],
            task.x_target[out : out + 1], task.y_target[out : out + 1],
        )  # fmt: skip
        left = task.y_target[out] - solve(without, elastic_coupling=np.inf).prediction[0]
        np.testing.assert_allclose(s.left_out_residual[out], left, rtol=1e-8)


def test_leave_one_out_of_learnt_features_is_near():
    task = several_teachers(n_target=40)
    s = solve(task, elastic_coupling=2.0)
    kept = np.arange(40) != 3
    without = TransferTask(
        task.x_source, task.y_source, task.x_target[kept], task.y_target[kept], task.x_target[3:4], task.y_target[3:4]
    )
    left = task.y_target[3] - solve(without, elastic_coupling=2.0).prediction[0]
    np.testing.assert_allclose(s.left_out_residual[3], left, atol=0.03 * np.linalg.norm(left))


def test_networks_of_an_exact_sampler():
    """Losses of posterior means, and the means, extrapolated from N = 100 and 200, within 3 standard errors."""
    task = several_teachers()
    settings = {"strengths": (0.8, 0.7), "inverse_temperature": 15.0, "precision": 1.2, "chains": 64}
    rng = np.random.default_rng(1)
    theory, losses, means = solve(task), [], []
    for width in (100, 200):
        v = mean_predictors(task, COUPLINGS, width=width, burn_in=30, sweeps=100, rng=rng, **settings)
        squares = np.square(task.x_test @ v / np.sqrt(8) - task.y_test).mean((2, 3))
        for found, samples in ((losses, squares), (means, v)):
            found.append((samples.mean(1), samples.std(1, ddof=1) / 8))
    for found, limit in ((losses, theory.test_loss), (means, theory.weights)):
        (narrow, narrow_error), (wide, wide_error) = found
        scores = (2 * wide - narrow - limit) / np.hypot(2 * wide_error, narrow_error)
        if scores.ndim == 1:
            assert np.abs(scores).max() < 3
            assert (np.hypot(2 * wide_error, narrow_error) < 0.06 * limit).all()
        else:
            assert (np.square(scores).mean((1, 2)) < 2).all()


def test_out_of_range_numbers_are_a_status():
    huge = solve(changed(several_teachers(), target_labels=lambda y: 1e180 * y), strict=False)
    assert Status.CONVERGED not in huge.status
    assert huge.prediction.shape == (4, 50, 3)


FLOW = {
    "source_strength": 1.0, "target_strength": 1.0, "elastic_coupling": [1.0], "weight_decay": 0.1, "source_time": 1.0,
    "target_times": [1.0],
}  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        lambda task: flow.solve(task, activation="linear", **FLOW),
        lambda task: flow.solve(task, activation="relu", **FLOW),
        lambda task: sample_flow(task, width=4, draws=2, **FLOW),
        lambda task: forgetting.solve(task, task.x_test, task.y_test, activation="linear", **FLOW),
        lambda task: solve(task).finite_width,
        lambda task: solve(task, elastic_coupling=1.0).finite_width,
    ],
)
@pytest.mark.parametrize("where", ["y_source", "y_target"])
def test_what_covers_one_output_says_so(call, where):
    one, several = linear_teachers(dimension=8, n_target=10), several_teachers()
    pick = several if where == "y_target" else one
    task = TransferTask(
        several.x_source, several.y_source if where == "y_source" else one.y_source,
        pick.x_target, pick.y_target, pick.x_test, pick.y_test,
    )  # fmt: skip
    with pytest.raises(InputError, match=rf"{where} has shape \(\d+, 3\): .* one output.*; pass one column") as caught:
        call(task)
    assert len(str(caught.value).splitlines()) == 1
