"""Laplace's evidence, against curvature by automatic differentiation and against exact evidence of a linear model."""

import math
import sys

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from infwidth.networks.two_layer.laplace import kronecker_evidence, laplace_evidence
from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError

SETTINGS = {"activation": "erf", "strength": 0.7, "inverse_temperature": 5.0}


def drawn(count=8, dimension=3, samples=5):
    make = torch.Generator().manual_seed(0)
    shapes = ((count, dimension), (count,), (count, dimension), (samples, dimension), (samples,))
    return [torch.randn(shape, generator=make, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("coupling", [0.0, 2.0])
def test_it_is_the_gauss_newton_laplace_of_the_posterior(coupling):
    hidden, readout, anchor, x, y = drawn()
    phi = get_activation("erf").value

    def answer(readout, hidden):
        features = phi(x @ hidden.T / math.sqrt(x.shape[1]))
        return features @ readout / (SETTINGS["strength"] * len(readout))

    parts = torch.autograd.functional.jacobian(answer, (readout, hidden))
    jacobian = torch.cat([part.reshape(len(x), -1) for part in parts], 1)
    priors = torch.cat([torch.ones(len(readout)), torch.full((hidden.numel(),), 1 + coupling)]).double()
    noise = SETTINGS["inverse_temperature"] * SETTINGS["strength"] ** 2 * len(readout)
    offset = torch.cat([readout, (hidden - coupling / (1 + coupling) * anchor).ravel()])
    residual = y - answer(readout, hidden)
    curvature = noise * jacobian.T @ jacobian + torch.diag(priors)
    expected = (
        -0.5 * (noise * residual @ residual + (priors * offset**2).sum())
        + 0.5 * torch.log(priors).sum()
        - 0.5 * torch.logdet(curvature)
        + 0.5 * len(x) * math.log(noise / (2 * math.pi))
    )
    tied = anchor if coupling else None
    found = laplace_evidence(hidden, readout, tied, x, y, elastic_coupling=coupling, **SETTINGS)
    assert found == pytest.approx(float(expected), rel=1e-10)


def test_frozen_features_have_their_exact_evidence_at_the_mode():
    hidden, _, _, x, y = drawn()
    count, strength = len(hidden), SETTINGS["strength"]
    features = get_activation("erf").value(x @ hidden.T / math.sqrt(x.shape[1])) / (strength * count)
    noise = SETTINGS["inverse_temperature"] * strength**2 * count
    mode = torch.linalg.solve(noise * features.T @ features + torch.eye(count).double(), noise * features.T @ y)
    covariance = features @ features.T + torch.eye(len(x)) / noise
    expected = multivariate_normal(np.zeros(len(x)), covariance.numpy()).logpdf(y.numpy())
    found = laplace_evidence(hidden, mode, hidden, x, y, elastic_coupling=math.inf, **SETTINGS)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("samples", [2, 5])  # fewer than dimensions, and more
@pytest.mark.parametrize("coupling", [0.0, 2.0, math.inf])
def test_laplace_torch_with_full_curvature_agrees(coupling, samples):
    pytest.importorskip("laplace")
    hidden, readout, anchor, x, y = drawn(samples=samples)
    tied = anchor if coupling else None
    found = kronecker_evidence(
        hidden, readout, tied, x, y, elastic_coupling=coupling, structure="full", **SETTINGS
    )  # fmt: skip
    expected = laplace_evidence(hidden, readout, tied, x, y, elastic_coupling=coupling, **SETTINGS)
    assert found == pytest.approx(expected, rel=1e-6)


def test_kronecker_factors_are_exact_for_one_sample_of_a_layer():
    pytest.importorskip("laplace")
    hidden, readout, anchor, x, y = drawn(samples=1)
    given = {"elastic_coupling": math.inf, **SETTINGS}
    found = kronecker_evidence(hidden, readout, anchor, x, y, **given)
    assert found == pytest.approx(laplace_evidence(hidden, readout, anchor, x, y, **given), rel=1e-6)


def test_without_laplace_torch_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "laplace", None)
    with pytest.raises(InputError, match=r"laplace_torch = true: .*pip install infwidth\[laplace\]"):
        kronecker_evidence(*drawn(), elastic_coupling=1.0, **SETTINGS)
