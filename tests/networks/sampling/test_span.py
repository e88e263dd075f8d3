"""With fewer samples than dimensions weights are sampled in the span of the inputs: the posterior stays as it is."""

import numpy as np
import pytest
import torch

from infwidth.networks import langevin
from infwidth.networks.sampling.span import OutsideSpan
from infwidth.networks.two_layer.ensemble import TargetPoint
from infwidth.networks.two_layer.span import TrainingSpan, training_span

RNG = np.random.default_rng(0)
D, N = 12, 40
X, Y, X_TEST = RNG.standard_normal((5, D)), RNG.standard_normal(5), RNG.standard_normal((6, D))
COMMON = {"activation": "erf", "inverse_temperature": 4.0, "seeds": range(24)}


def sampled(points):
    source = langevin.sample_source(X, Y, source_strength=1.0, width=N, **COMMON)
    return source, langevin.sample_target(source, X[:3], Y[:3], X_TEST, points=points, **COMMON)


def products(outside):
    """What a draw adds to test preactivations, (N, Pt)."""
    return (outside.inputs @ outside.sample()).mT


def test_draws_outside_have_the_priors_mean_and_covariance():
    x, tests = torch.from_numpy(X), torch.from_numpy(X_TEST) / D**0.5
    span, mean = training_span(x), torch.from_numpy(RNG.standard_normal((2000, D)))
    outside = OutsideSpan(span, mean, tests, stiffness=4.0, seed=1)
    deviation = products(outside) - mean @ (tests - tests @ span.basis @ span.basis.T).T
    rest = tests - tests @ span.basis @ span.basis.T
    found = deviation.T @ deviation / len(mean)
    torch.testing.assert_close(found, rest @ rest.T / 4, rtol=0, atol=0.1 * float(found.diagonal().max()))
    assert not torch.equal(products(outside), products(outside))
    frozen = OutsideSpan(span, mean, tests, stiffness=float("inf"), seed=1)
    torch.testing.assert_close(products(frozen), mean @ rest.T)
    nothing = OutsideSpan(TrainingSpan(None), mean, tests, stiffness=4.0, seed=1)
    assert nothing.inputs is nothing.sample() is None


def test_a_source_keeps_its_prior_outside():
    source, _ = sampled([TargetPoint(1.0, 1.0)])
    basis = training_span(torch.from_numpy(X)).basis
    outside = source.hidden - source.hidden @ basis @ basis.T
    variance = outside.square().sum() / (outside.shape[0] * N * (D - 5))
    assert float(variance) == pytest.approx(1.0, abs=4 * (2 / (24 * N * 7)) ** 0.5)


def test_averages_are_those_of_sampling_every_weight(monkeypatch):
    points = [TargetPoint(delta, 1.0) for delta in (0.0, 3.0, np.inf)]
    _, short = sampled(points)
    monkeypatch.setattr(langevin, "training_span", lambda x: TrainingSpan(None))
    _, full = sampled(points)
    for name in ("prediction", "prediction_second_moment", "train_prediction", "kernel"):
        one, other = getattr(short, name), getattr(full, name)
        error = np.sqrt((one.var(0, ddof=1) + other.var(0, ddof=1)) / len(one))
        # the largest of some 150 normal deviations
        assert np.abs((one.mean(0) - other.mean(0)) / error).max() < 4.5, name
        assert np.mean(((one.mean(0) - other.mean(0)) / error) ** 2) < 2, name
