"""Hamiltonian Monte Carlo of finite networks: exact moments, adaptation, independence of the batch, diagnostics."""

import numpy as np
import pytest
import torch

from infwidth.networks import langevin
from infwidth.networks.langevin import sample_source, sample_target
from infwidth.networks.sampling import diagnostics as chain_diagnostics
from infwidth.networks.sampling.diagnostics import split_r_hat
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint
from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status

WIDTH, DIMENSION, BETA, STRENGTH = 3, 2, 1.5, 0.9


@pytest.fixture
def tiny():
    rng = np.random.default_rng(3)
    return rng.standard_normal((3, DIMENSION)), rng.standard_normal(3), rng.standard_normal((4, DIMENSION))


def by_importance(activation, tiny, anchor, coupling, draws=400_000):
    """Posterior means of f and f² on the test points from weighted draws of the prior, and their errors."""
    x, y, x_test = (torch.tensor(part) for part in tiny)
    generator = torch.Generator().manual_seed(0)
    stiffness = 1 + coupling
    prior = torch.randn(draws, WIDTH, DIMENSION, generator=generator, dtype=torch.float64) / stiffness**0.5
    hidden = coupling / stiffness * torch.tensor(anchor) + prior
    readout = torch.randn(draws, WIDTH, generator=generator, dtype=torch.float64)
    phi = get_activation(activation).value

    def output(inputs):
        return (phi(hidden @ inputs.T / DIMENSION**0.5) * readout[..., None]).sum(1) / (STRENGTH * WIDTH)

    weight = (-0.5 * BETA * STRENGTH**2 * WIDTH * (output(x) - y).square().sum(1)).exp()
    weight = weight / weight.sum()
    f = output(x_test)
    found = []
    for values in (f, f.square()):
        mean = weight @ values
        found.append((mean.numpy(), (weight.square() @ (values - mean).square()).sqrt().numpy()))
    return found


@pytest.mark.parametrize("activation", ["linear", "relu", "erf"])
@pytest.mark.parametrize("coupling", [0.0, 3.0])
def test_moments_are_those_of_the_posterior(activation, coupling, tiny):
    x, y, x_test = tiny
    anchor = np.random.default_rng(4).standard_normal((WIDTH, DIMENSION))
    chains = 48
    source = SourceNetworks(
        torch.tensor(anchor).expand(chains, -1, -1).clone(), torch.zeros(chains, WIDTH).double(),
        (Status.CONVERGED,) * chains, np.zeros(chains),
    )  # fmt: skip
    found = sample_target(
        source, x, y, x_test, points=[TargetPoint(coupling, STRENGTH)], activation=activation,
        inverse_temperature=BETA, seeds=range(chains), sampling_time=400.0, target_acceptance=0.6,
    )  # fmt: skip
    assert 0.4 < found.acceptance.mean() < 0.97  # some are rejected
    expected = by_importance(activation, tiny, anchor, coupling)
    for samples, (mean, error) in zip((found.prediction, found.prediction_second_moment), expected, strict=True):
        values = samples[:, 0]
        noise = np.hypot(error, values.std(0, ddof=1) / np.sqrt(chains))
        assert (noise < 0.1 * np.abs(expected[1][0]).max() ** 0.5).all()
        assert (np.abs(values.mean(0) - mean) < 4 * noise).all()


def settings(**changes):
    return {"activation": "erf", "source_strength": 0.8, "inverse_temperature": 10.0, "width": 50, **changes}


def test_a_chain_does_not_depend_on_its_batch():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 12, 6)), rng.standard_normal((3, 12))
    together = sample_source(x, y, seeds=[5, 6, 7], **settings())
    alone = sample_source(x[1], y[1], seeds=[6], **settings())
    torch.testing.assert_close(together.hidden[1], alone.hidden[0], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(together.readout[1], alone.readout[0], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("target", [0.7, 0.9])
def test_acceptance_ends_near_its_target(target):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 8)), rng.standard_normal(20)
    source = sample_source(x, y, seeds=range(6), **settings(width=200))
    found = sample_target(
        source, x, y, x[:3], points=[TargetPoint(c, 0.8) for c in (0.0, 10.0)], activation="erf",
        inverse_temperature=10.0, seeds=range(6), target_acceptance=target,
    )  # fmt: skip
    assert abs(found.acceptance.mean() - target) < 0.08
    assert (found.r_hat < chain_diagnostics.LARGEST_R_HAT).all()
    assert (found.effective_samples > 10).all()


def test_frozen_and_langevin():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((10, 6)), rng.standard_normal(10)
    source = sample_source(x, y, seeds=range(4), **settings(width=400))
    points = [TargetPoint(c, 0.8) for c in (1.0, np.inf)]
    common = {"points": points, "activation": "erf", "inverse_temperature": 10.0, "seeds": range(4)}
    hmc = sample_target(source, x, y, x[:5], sampling_time=150.0, **common)
    kinetic = sample_target(source, x, y, x[:5], sampling_time=150.0, sampler="langevin", **common)
    assert np.isnan(kinetic.acceptance).all()
    assert (kinetic.r_hat >= 1 - 0.05).all()
    np.testing.assert_allclose(hmc.prediction, kinetic.prediction, atol=0.03)
    np.testing.assert_allclose(hmc.kernel, kinetic.kernel, atol=0.03)


def test_observe_shows_neurons_of_the_samples():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((10, 6)), rng.standard_normal(10)
    source = sample_source(x, y, seeds=[0, 1], **settings())
    seen = {}

    def shown(one):
        seen.setdefault((one.replica, one.coupling_index, one.time_index), []).append(one.preactivation)

    found = sample_target(
        source, x, y, x[:2], points=[TargetPoint(c, 0.8) for c in (0.0, 1.0, 5.0)], activation="erf",
        inverse_temperature=10.0, seeds=[0, 1], observe=shown,
    )  # fmt: skip
    assert set(seen) == {(b, g, 0) for b in range(2) for g in range(3)}
    for (b, g, _), shots in seen.items():
        assert 8 <= len(shots) <= langevin.SHOWN
        h = torch.cat(shots)
        assert h.shape == (50 * len(shots), 10)
        kernel = (h.erf().mT @ h.erf() / len(h)).numpy()
        np.testing.assert_allclose(kernel, found.kernel[b, g], atol=0.15)


def test_r_hat():
    rng = np.random.default_rng(0)
    assert split_r_hat(rng.standard_normal(400)) < 1.02
    assert split_r_hat(np.r_[rng.standard_normal(200), 2 + rng.standard_normal(200)]) > 1.3
    assert split_r_hat(np.ones(20)) == np.inf


def test_unknown_sampler():
    with pytest.raises(InputError, match=r"sampler = 'hcm': expected one of 'hmc', 'langevin'; did you mean 'hmc'"):
        sample_source(np.ones((4, 2)), np.ones(4), seeds=[0], **settings(sampler="hcm"))
