"""Scores of sources, against what they are defined as."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from infwidth.applied.transferability import h_score, leep, log_me
from infwidth.numerics.checks import InputError

RANDOM = np.random.default_rng(3)


@pytest.mark.parametrize("shape", [(40, 6), (12, 30), (15, 15)])
def test_log_me_is_the_largest_evidence_of_bayesian_regression(shape):
    features = RANDOM.standard_normal(shape)
    labels = features @ RANDOM.standard_normal(shape[1]) / np.sqrt(shape[1]) + 0.5 * RANDOM.standard_normal(shape[0])

    def minus_evidence(logs):
        alpha, beta = np.exp(np.clip(logs, -20, 20))
        covariance = features @ features.T / alpha + np.eye(len(features)) / beta
        return -multivariate_normal(np.zeros(len(labels)), covariance).logpdf(labels) / len(labels)

    best = min(minimize(minus_evidence, start, method="Nelder-Mead").fun for start in ([0, 0], [2, 2], [0, 4]))
    assert log_me(features, labels) == pytest.approx(-best, abs=1e-3)
    two = log_me(features, np.stack([labels, labels], 1))
    assert two == pytest.approx(log_me(features, labels), rel=1e-9)


def test_h_score_is_that_of_its_definition_where_samples_abound():
    labels = RANDOM.integers(0, 3, 20_000)
    features = RANDOM.standard_normal((20_000, 4)) + np.eye(4)[labels]
    centred = features - features.mean(0)
    means = np.stack([centred[labels == c].mean(0) for c in labels])
    expected = np.trace(np.linalg.solve(centred.T @ centred, means.T @ means))
    assert h_score(features, labels) == pytest.approx(expected, rel=0.02)
    assert h_score(features, RANDOM.permutation(labels)) < 0.05 * expected


def test_leep_knows_a_source_that_tells_the_target_from_one_that_does_not():
    labels = np.repeat([-1.0, 1.0], 50)
    sure = np.where(labels[:, None] > 0, [0.01, 0.99], [0.99, 0.01])
    assert leep(np.full((100, 2), 0.5), labels) == pytest.approx(np.log(0.5))
    # both classes' share of a source class, by hand
    assert leep(sure, labels) == pytest.approx(np.log(0.99**2 + 0.01**2))
    assert leep(sure, labels) == pytest.approx(leep(sure[:, ::-1], labels))


@pytest.mark.parametrize("score", [log_me, h_score, leep])
def test_shapes_have_to_match(score):
    with pytest.raises(InputError, match="expected \\(samples, features\\)"):
        score(np.ones((4, 2)), np.ones(3))
