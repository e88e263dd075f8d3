"""Folds left out of a solution, beside solutions that never saw them."""

import math

import numpy as np
import pytest
from builders import changed, several_teachers

from infwidth.numerics.checks import InputError
from infwidth.tasks import linear
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes

TASK = linear(dimension=8, overlap=0.8, n_source=40, n_target=24, n_test=5, target_noise=0.5, seed=1)
FOLDS = np.arange(24) % 4
SETTINGS = {"source_strength": 0.8, "target_strength": 1.0, "inverse_temperature": 10.0}


def left_out(fold, groups=FOLDS, **settings):
    out = fold == groups
    task = TransferTask(
        TASK.x_source, TASK.y_source, TASK.x_target[~out], TASK.y_target[~out], TASK.x_target[out], TASK.y_target[out]
    )
    return TASK.y_target[out] - bayes.solve(task, **SETTINGS, **settings).prediction


@pytest.mark.parametrize("coupling", [0.0, 3.0, math.inf])
def test_linear_folds_are_exact(coupling):
    found = bayes.solve(TASK, activation="linear", elastic_coupling=coupling, folds=FOLDS, **SETTINGS).folds_left_out
    for fold in range(4):
        expected = left_out(fold, activation="linear", elastic_coupling=coupling)
        np.testing.assert_allclose(found.residuals[fold == FOLDS], expected, rtol=1e-6, atol=1e-9)
    assert not found.stderr.any()
    if math.isinf(coupling):  # the features are the source's, so first order is exact
        np.testing.assert_allclose(found.first_order, found.pairs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("coupling", [0.0, 3.0, math.inf])
def test_samples_and_pairs_are_known_from_the_solution_without_the_fold(coupling):
    """The fold's others come back, and others leave, by first order: held against solving without just those."""
    common = {"activation": "linear", "elastic_coupling": coupling, **SETTINGS}
    found = bayes.solve(TASK, folds=FOLDS, **common).folds_left_out
    alone = bayes.solve(TASK, folds=np.arange(24), **common).folds_left_out
    # exact by construction: a fold of one
    np.testing.assert_allclose(np.diagonal(alone.pairs), alone.residuals, rtol=1e-6, atol=1e-9)
    error = np.linalg.norm(np.diagonal(found.pairs) - alone.residuals)
    assert error < (1e-6 if math.isinf(coupling) else 0.01) * np.linalg.norm(alone.residuals)
    if math.isinf(coupling):  # nothing moves: pairs are those of solving without both
        expected = left_out(3, activation="linear", elastic_coupling=coupling, groups=np.where(np.arange(24) < 2, 3, 0))
        np.testing.assert_allclose([found.pairs[0, 1], found.pairs[1, 0]], expected, rtol=1e-6)


@pytest.mark.parametrize("coupling", [0.0, 10.0, math.inf])
def test_particles_follow_a_fold_that_leaves(coupling):
    """Within 8 % of a solution from scratch, where first order is farther off."""
    common = {"activation": "erf", "elastic_coupling": coupling, "particles": 1024, "evidence": False, "strict": False}
    found = bayes.solve(TASK, folds=FOLDS, folds_solved=2, **common, **SETTINGS).folds_left_out
    expected = np.concatenate([left_out(fold, **common) for fold in (0, 1)])
    solved = np.concatenate([found.residuals[fold == FOLDS] for fold in (0, 1)])
    assert np.linalg.norm(solved - expected) < 0.08 * np.linalg.norm(expected)
    cheap = np.concatenate([np.diagonal(found.first_order)[fold == FOLDS] for fold in (0, 1)])
    if coupling == 0:
        assert np.linalg.norm(cheap - expected) > 2 * np.linalg.norm(solved - expected)
    assert np.isnan(found.residuals[FOLDS == 3]).all() == (coupling < math.inf)


@pytest.mark.parametrize("seed", range(3))
def test_rich_neurons_remember_nothing_of_a_fold(seed):
    """Taken from the whole set's particles step by step, residuals stop 3 to 5 % short of those that never saw it."""
    task = linear(dimension=10, overlap=0.3, n_source=40, n_target=40, n_test=5, target_noise=1.0, seed=seed)
    x, y, out = task.x_target, task.y_target, np.arange(40) % 4 == 0
    settings = {"source_strength": 1.0, "target_strength": 1.0, "inverse_temperature": 10.0, "elastic_coupling": 1.0}
    common = {"activation": "erf", "evidence": False, "strict": False, **settings}
    whole = TransferTask(task.x_source, task.y_source, x, y, x[out], y[out])
    rest = TransferTask(task.x_source, task.y_source, x[~out], y[~out], x[out], y[out])
    found = bayes.solve(whole, particles=1024, folds=np.arange(40) % 4, folds_solved=1, seed=1, **common)
    never = y[out] - bayes.solve(rest, particles=2048, seed=2, **common).prediction
    way = never - (y[out] - found.prediction)  # from residuals that have seen the fold
    missing = (never - found.folds_left_out.residuals[out]) @ way / (way @ way)
    assert abs(missing) < 0.015


@pytest.mark.parametrize("seed", range(4))
def test_what_a_folds_others_teach_is_right_where_features_are_rich_and_labels_noisy(seed):
    task = linear(dimension=20, overlap=0.5, n_source=100, n_target=40, n_test=10, target_noise=1.0, seed=seed)
    settings = {"source_strength": 1.1, "target_strength": 1.1, "inverse_temperature": 10.0}
    common = {"activation": "linear", "elastic_coupling": 0.0, **settings}
    found = bayes.solve(task, folds=np.arange(40) % 10, **common).folds_left_out
    alone, fold = bayes.solve(task, folds=np.arange(40), **common).folds_left_out.residuals, found.residuals
    one = np.diagonal(found.pairs)
    assert np.linalg.norm(one - alone) < 0.2 * np.linalg.norm(fold - alone)
    assert (one**2).mean() == pytest.approx((alone**2).mean(), rel=0.02)


@pytest.mark.parametrize("coupling", [0.0, 3.0, math.inf])
def test_each_sample_left_out_alone_is_exact(coupling):
    common = {"activation": "linear", "elastic_coupling": coupling, **SETTINGS}
    found = bayes.solve(TASK, folds=FOLDS, folds_solved=2, leave_each=True, **common).folds_left_out
    alone = bayes.solve(TASK, folds=np.arange(24), **common).folds_left_out
    fold = bayes.solve(TASK, folds=FOLDS, folds_solved=2, **common).folds_left_out
    solved = FOLDS < 2
    np.testing.assert_allclose(found.pairs[solved], alone.pairs[solved], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(found.residuals, fold.residuals)
    assert np.isnan(found.alone[~solved]).all()


SEVERAL = several_teachers(n_target=24)


def left_out_of_several(out, activation, coupling, **settings):
    task = TransferTask(
        SEVERAL.x_source, SEVERAL.y_source, SEVERAL.x_target[~out], SEVERAL.y_target[~out],
        SEVERAL.x_target[out], SEVERAL.y_target[out],
    )  # fmt: skip
    found = bayes.solve(task, activation=activation, elastic_coupling=coupling, **SETTINGS, **settings)
    return SEVERAL.y_target[out] - found.prediction


@pytest.mark.parametrize("coupling", [0.0, 3.0, math.inf])
def test_linear_folds_of_several_outputs_are_exact(coupling):
    common = {"activation": "linear", "elastic_coupling": coupling, **SETTINGS}
    found = bayes.solve(SEVERAL, folds=FOLDS, **common).folds_left_out
    for fold in range(4):
        expected = left_out_of_several(fold == FOLDS, "linear", coupling)
        np.testing.assert_allclose(found.residuals[fold == FOLDS], expected, rtol=1e-6, atol=1e-9)
    alone = bayes.solve(SEVERAL, folds=np.arange(24), **common).folds_left_out
    np.testing.assert_allclose(alone.alone, alone.residuals, rtol=1e-6, atol=1e-9)
    error = np.linalg.norm(found.alone - alone.residuals)
    assert error < (1e-6 if math.isinf(coupling) else 0.01) * np.linalg.norm(alone.residuals)
    pair = left_out_of_several(np.arange(24) < 2, "linear", coupling)
    np.testing.assert_allclose(alone.pairs[0, 1], pair[0], rtol=1e-6 if math.isinf(coupling) else 0.02)


@pytest.mark.parametrize("coupling", [0.0, 10.0, math.inf])
def test_particles_of_several_outputs_follow_a_fold_that_leaves(coupling):
    settings = {"particles": 2048, "evidence": False, "strict": False}
    found = bayes.solve(
        SEVERAL, activation="erf", elastic_coupling=coupling, folds=FOLDS, folds_solved=1, **settings, **SETTINGS
    ).folds_left_out
    expected = left_out_of_several(FOLDS == 0, "erf", coupling, **settings)
    assert found.residuals.shape == found.stderr.shape == (24, 3)
    assert found.pairs.shape == (24, 24, 3)
    assert np.linalg.norm(found.residuals[FOLDS == 0] - expected) < 0.12 * np.linalg.norm(expected)


@pytest.mark.parametrize("activation", ["linear", "erf"])
def test_folds_of_a_column_are_the_vectors(activation):
    column = changed(TASK, source_labels=lambda y: y[:, None], target_labels=lambda y: y[:, None])
    common = {"activation": activation, "elastic_coupling": 2.0, "particles": 256, "evidence": False, "strict": False}
    one, other = (
        bayes.solve(task, folds=FOLDS, folds_solved=2, **common, **SETTINGS).folds_left_out for task in (TASK, column)
    )
    for name in ("residuals", "stderr", "pairs", "first_order"):
        np.testing.assert_allclose(getattr(other, name)[..., 0], getattr(one, name), rtol=1e-6, atol=1e-9)


def test_couplings_keep_their_folds_apart():
    found = bayes.solve(TASK, activation="linear", elastic_coupling=[0.0, 5.0], folds=FOLDS, **SETTINGS)
    assert len(found.folds_left_out) == 2
    assert bayes.solve(TASK, activation="linear", elastic_coupling=[0.0, 5.0], **SETTINGS).folds_left_out is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"folds": np.arange(23)}, "expected the fold 0, 1, … of each of the 24"),
        ({"folds": FOLDS + 1}, "none of them empty"),
        ({"folds": FOLDS / 2}, "dtype float64"),
        ({"folds": np.zeros(24, int)}, "there is 1, expected at least 2"),
        ({"folds": FOLDS, "folds_solved": 5}, "folds_solved = 5: expected 0 … 4"),
    ],
)
def test_bad_folds(change, words):
    with pytest.raises(InputError, match=words):
        bayes.solve(TASK, activation="linear", elastic_coupling=0.0, **SETTINGS, **change)
