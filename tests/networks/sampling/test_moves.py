"""Single moves of the samplers leave the posterior as it is: from exact draws, one move, exact moments again."""

import math

import numpy as np
import pytest
import torch

from infwidth.networks.sampling import hamiltonian
from infwidth.networks.sampling.posterior import PosteriorBatch
from infwidth.networks.sampling.state import Chains, Noise
from infwidth.numerics.activations import get_activation

CHAINS, WIDTH, SAMPLES, DIMENSION = 20_000, 3, 2, 2
BETA, STRENGTH, PRECISION = 4.0, 0.7, 1.4


def exact_state(stiffness=math.inf, seed=0):
    """Many chains at draws of one posterior: of the readout on frozen features, a Gaussian; momenta fresh."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((SAMPLES, DIMENSION)), rng.standard_normal(SAMPLES)
    anchor = rng.standard_normal((DIMENSION, WIDTH))
    constant = torch.ones(CHAINS, dtype=torch.float64)

    def each(array):
        return torch.from_numpy(array).expand(CHAINS, *array.shape)

    posterior = PosteriorBatch(
        prior_mean=each(anchor), inputs=each(x), labels=each(y), strength=STRENGTH * constant,
        inverse_temperature=BETA * constant, readout_precision=PRECISION * constant,
        stiffness=stiffness * constant,
    )  # fmt: skip
    features = np.maximum(anchor.T @ x.T, 0)  # (WIDTH, SAMPLES)
    # in whitened coordinates v = √λ w: prior 1, likelihood β/(λN) φφᵀ
    precision = np.eye(WIDTH) + BETA / (PRECISION * WIDTH) * features @ features.T
    mean = np.linalg.solve(precision, BETA * STRENGTH / math.sqrt(PRECISION) * features @ y)
    state = Chains(
        posterior,
        WIDTH,
        Noise([0] * CHAINS, "moves", constant),
        torch.arange(CHAINS),
        get_activation("relu"),
    )
    root = np.linalg.cholesky(np.linalg.inv(precision))
    state.v[:] = torch.from_numpy(mean + rng.standard_normal((CHAINS, WIDTH)) @ root.T)
    state.pv[:] = torch.from_numpy(rng.standard_normal((CHAINS, WIDTH)))
    state.z[:], state.pz[:] = (torch.from_numpy(rng.standard_normal((CHAINS, DIMENSION, WIDTH))) for _ in range(2))
    state.evaluate(probing=False)
    # every chain its own noise: those of one seed share theirs
    random = torch.Generator().manual_seed(seed)
    state.noise.normals = lambda shape, chains: torch.randn(len(chains), *shape, generator=random, dtype=torch.float64)
    return state, mean, np.linalg.inv(precision)


def gaussian_scores(values, mean, covariance):
    """Deviations of sample mean and covariance from the exact ones, in standard errors."""
    centred = values - mean
    spread = np.sqrt(np.diag(covariance) / len(values))
    found = centred.T @ centred / len(values)
    noise = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / len(values))
    return np.concatenate([centred.mean(0) / spread, ((found - covariance) / noise).ravel()])


def test_the_start_is_exact():
    state, mean, covariance = exact_state()
    assert np.abs(gaussian_scores(state.v.numpy(), mean, covariance)).max() < 4


def trajectories(state, fraction, *, correct):
    """One trajectory of every chain; return the share accepted."""
    step = fraction * (1 + state.curvature).rsqrt()
    path = hamiltonian._Trajectories(state, step)
    path.begin(torch.arange(CHAINS))
    taken = []
    while (path.left > 0).any():
        path.leap()
        done = (path.left == 0).nonzero()[:, 0]
        if len(done) and correct:
            taken.append(path.decide(done)[1])
        path.h = torch.where(path.left > 0, path.h, 0.0)  # those that have arrived wait
    return float(torch.cat(taken).double().mean()) if correct else 1.0


@pytest.mark.parametrize("fraction", [0.6, 1.6])
def test_a_trajectory_leaves_the_posterior_at_any_step(fraction, monkeypatch):
    state, mean, covariance = exact_state()
    monkeypatch.setattr(state.noise, "own", lambda chain: [torch.Generator().manual_seed(1000 + chain)] * 2)
    accepted = trajectories(state, fraction, correct=True)
    assert np.abs(gaussian_scores(state.v.numpy(), mean, covariance)).max() < 4.5
    free = state.z.flatten(1).numpy()
    assert np.abs(gaussian_scores(free, 0.0, np.eye(free.shape[1]))).max() < 4.5
    if fraction > 1:  # what is taken back matters: without that the posterior is another
        assert accepted < 0.97
        state, *_ = exact_state()
        monkeypatch.setattr(state.noise, "own", lambda chain: [torch.Generator().manual_seed(1000 + chain)] * 2)
        trajectories(state, fraction, correct=False)
        assert np.abs(gaussian_scores(state.v.numpy(), mean, covariance)).max() > 6


def test_friction_alone_leaves_momenta_and_prior():
    """Exact at any step: rotations and an Ornstein–Uhlenbeck step."""
    state, *_ = exact_state()
    state.z[:], state.pz[:] = torch.randn(2, CHAINS, DIMENSION, WIDTH, dtype=torch.float64,
                                          generator=torch.Generator().manual_seed(1))  # fmt: skip
    state.drift(torch.full((CHAINS,), 0.9, dtype=torch.float64), stir=True)
    for part in (state.z, state.pz):
        values = part.flatten(1).numpy()
        assert np.abs(gaussian_scores(values, 0.0, np.eye(values.shape[1]))).max() < 4.5


@pytest.mark.parametrize("step", [0.05, 0.1])
def test_a_kinetic_step_leaves_the_posterior_but_for_the_square_of_its_length(step):
    """A half kick, drift with friction, a half kick: moments off by less than noise plus the second order."""
    state, mean, covariance = exact_state()
    h = torch.full((CHAINS,), step, dtype=torch.float64)
    for _ in range(20):
        state.kick(h / 2)
        state.drift(h, stir=True)
        state.evaluate(probing=False)
        state.kick(h / 2)
    allowed = 4.5 + step**2 * (1 + float(state.curvature[0])) * math.sqrt(CHAINS) / 8
    assert np.abs(gaussian_scores(state.v.numpy(), mean, covariance)).max() < allowed
    assert np.abs(gaussian_scores(state.pv.numpy(), 0.0, np.eye(WIDTH))).max() < allowed
