"""Langevin networks against posteriors known in closed form or by quadrature, worked out here."""

import contextlib

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov
from scipy.signal import lfilter

from infwidth.networks import langevin
from infwidth.networks.langevin import sample_source, sample_target
from infwidth.networks.sampling import run as sampling
from infwidth.networks.sampling import state as chain_state
from infwidth.networks.sampling.diagnostics import autocorrelation_time, drift, effective_samples
from infwidth.networks.sampling.posterior import PosteriorBatch
from infwidth.networks.sampling.records import Schedule
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint
from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError
from infwidth.numerics.progress import Foresight
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.transfer_task import TransferTask


def data(samples=5, dimension=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, dimension))
    return x, np.sin(x @ rng.standard_normal(dimension))


def copies(hidden, count):
    hidden = torch.from_numpy(np.broadcast_to(hidden, (count, *hidden.shape)).copy())
    return SourceNetworks(hidden, torch.zeros(hidden.shape[:2]), (Status.CONVERGED,) * count, np.zeros(count, int))


def scores(values, exact):
    """Deviations of the mean over chains (axis 0) from the exact value, in standard errors."""
    return (values.mean(0) - exact) / (values.std(0, ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_frozen_layer_gives_the_gaussian_posterior_of_the_readout(activation):
    x, y = data()
    x_test, _ = data(7, seed=1)
    hidden = np.random.default_rng(2).standard_normal((30, 3))
    beta, gamma, precision, chains = 15.0, 0.6, 1.3, 24
    phi = get_activation(activation).value
    train, test = (phi(torch.from_numpy(hidden @ points.T / 3**0.5)).numpy() for points in (x, x_test))
    covariance = np.linalg.inv(precision * np.eye(30) + beta / 30 * train @ train.T)
    mean = covariance @ (beta * gamma * train @ y)
    exact = test.T @ mean / (gamma * 30)
    spread = np.einsum("np,nm,mp->p", test, covariance, test) / (gamma * 30) ** 2
    answer = sample_target(
        copies(hidden, chains), x, y, x_test, points=[TargetPoint(np.inf, gamma)], activation=activation,
        inverse_temperature=beta, prior_precision=precision, seeds=range(chains), burn_in_time=10.0,
    )  # fmt: skip
    assert np.abs(scores(answer.prediction[:, 0], exact)).max() < 4
    assert np.abs(scores(answer.prediction_second_moment[:, 0], exact**2 + spread)).max() < 4
    np.testing.assert_allclose(answer.kernel[0, 0], train.T @ train / 30, atol=1e-12)


@pytest.mark.parametrize("activation", ["linear", "relu", "erf"])
@pytest.mark.parametrize("delta", [0.0, 4.0])
def test_one_neuron_agrees_with_quadrature(activation, delta):
    x, y = np.array([[1.2], [-0.8]]), np.array([0.9, 0.2])
    beta, gamma, anchor, chains = 3.0, 0.8, 1.1, 64
    grid = np.linspace(-7, 7, 701)
    w, weight = np.meshgrid(grid, grid, indexing="ij")
    phi = get_activation(activation).value
    outputs = [w * phi(torch.from_numpy(weight * point)).numpy() / gamma for point in (1.2, -0.8, 0.5)]
    exponent = -(w**2 + weight**2 + delta * (weight - anchor) ** 2) / 2
    exponent -= beta * gamma**2 / 2 * ((outputs[0] - y[0]) ** 2 + (outputs[1] - y[1]) ** 2)
    density = np.exp(exponent - exponent.max())
    density /= density.sum()
    first, second = ([(density * f**k).sum() for f in outputs] for k in (1, 2))
    source, x_test = copies(np.array([[anchor]]), chains), np.array([[1.2], [-0.8], [0.5]])
    answer = sample_target(
        source, x, y, x_test, points=[TargetPoint(delta, gamma)],
        activation=activation, inverse_temperature=beta, seeds=range(chains), sampling_time=60.0, safety=0.15,
    )  # fmt: skip
    assert np.abs(scores(answer.prediction[:, 0], first)).max() < 4
    assert np.abs(scores(answer.prediction_second_moment[:, 0], second)).max() < 4


def one_oscillator(curvature):
    """A width-1 linear chain with frozen W = 1 and y = 0: one readout in the potential (1 + curvature) v²/2."""
    one = torch.ones(1, dtype=torch.float64)
    posterior = PosteriorBatch(
        one.view(1, 1, 1), one.view(1, 1, 1), 0 * one.view(1, 1), one, curvature * one, one, one * torch.inf
    )
    noise = chain_state.Noise([0], "test", one)
    return chain_state.Chains(posterior, 1, noise, torch.zeros(1, dtype=torch.long), get_activation("linear"))


def stationary_variance(curvature, step):
    """Variance of v under the discrete dynamics, without sampling: the step is linear, so solve for it."""
    chains = one_oscillator(curvature)

    def advance(v, p, kick):
        chains.v[:], chains.pv[:] = v, p
        chains.noise.normals = lambda shape, index: torch.full((1, *shape), kick, dtype=torch.float64)
        h = torch.full((1,), step, dtype=torch.float64)
        chains.since = torch.zeros_like(h)
        chains.drift(h, stir=True)
        chains.evaluate(probing=False)
        chains.kick(h)
        return np.array([float(chains.v[0, 0]), float(chains.pv[0, 0])])

    matrix = np.stack([advance(1.0, 0.0, 0.0), advance(0.0, 1.0, 0.0)], 1)
    push = advance(0.0, 0.0, 1.0)
    return solve_discrete_lyapunov(matrix, np.outer(push, push))[0, 0]


def test_bias_of_the_step_is_of_second_order():
    curvature = 30.0
    steps = np.array([0.2, 0.1, 0.05, 0.025])
    errors = [abs(stationary_variance(curvature, step) * (1 + curvature) - 1) for step in steps]
    assert np.polyfit(np.log(steps), np.log(errors), 1)[0] == pytest.approx(2, abs=0.1)
    # At the default fraction of the stability limit the stiffest mode is nearly unbiased.
    default = 2 * sampling.DEFAULT_SAFETY / np.sqrt(1 + curvature)
    assert stationary_variance(curvature, default) * (1 + curvature) == pytest.approx(1, abs=0.02)
    assert stationary_variance(0.0, 0.7) == pytest.approx(1, abs=1e-12)  # the prior alone is exact at any step


def test_strong_coupling_costs_no_more_steps():
    x, y = data(10, 4)
    source = copies(np.random.default_rng(1).standard_normal((50, 4)), 1)
    points = [TargetPoint(delta, 0.5) for delta in (0.0, 1.0, 100.0, 1e4, np.inf)]
    answer = sample_target(
        source, x, y, x, points=points, activation="relu", inverse_temperature=20.0, seeds=[0], sampler="langevin"
    )
    free, one, hundred, more, frozen = answer.steps[0]
    assert hundred <= one <= free
    assert frozen <= more <= hundred
    np.testing.assert_allclose(answer.prediction[0, 3], answer.prediction[0, 4], atol=0.02)


def test_source_is_the_target_without_coupling():
    """δ = 0 has the source's posterior: the same averages, from chains with other noise."""
    x, y = data()
    common = {"activation": "linear", "inverse_temperature": 5.0, "seeds": range(32)}
    source = sample_source(x, y, source_strength=1.0, width=20, **common)
    f = torch.einsum("bn,bnd,pd->bp", source.readout, source.hidden, torch.from_numpy(x)) / (20 * 3**0.5)
    target = sample_target(source, x, y, x, points=[TargetPoint(0.0, 1.0)], **common)
    gap = f.numpy() - target.prediction[:, 0]
    assert np.abs(scores(gap, 0.0)).max() < 4
    assert source.status == (Status.CONVERGED,) * 32


def test_a_chain_is_the_same_alone_and_in_a_batch():
    sets = [data(seed=seed) for seed in range(3)]
    x, y = np.stack([s[0] for s in sets]), np.stack([s[1] for s in sets])
    common = {"activation": "erf", "inverse_temperature": 10.0, "burn_in_time": 4.0}
    together = sample_source(x, y, source_strength=1.0, width=12, seeds=[4, 5, 6], **common)
    alone = sample_source(*sets[1], source_strength=1.0, width=12, seeds=[5], **common)
    np.testing.assert_allclose(alone.hidden[0], together.hidden[1], atol=1e-8)
    points = [TargetPoint(0.0, 2.0), TargetPoint(3.0, 0.5), TargetPoint(3.0, 0.5, "source", "random")]
    batch = sample_target(together, x, y, x, points=points, seeds=[4, 5, 6], sampling_time=5.0, **common)
    single = sample_target(
        alone, *sets[1], sets[1][0], points=points[1:2], seeds=[5], sampling_time=5.0, **common
    )  # fmt: skip
    np.testing.assert_allclose(single.prediction[0, 0], batch.prediction[1, 1], atol=1e-7)
    assert single.steps[0, 0] == batch.steps[1, 1]


def small_task():
    x, y = data()
    return TransferTask(x, y, x, y, x, y)


RUN = {"activation": "erf", "source_strength": 0.5, "target_strength": 0.25, "inverse_temperature": 20.0, "width": 20}


def test_run_averages_over_seeds_and_couplings():
    answer = langevin.run(small_task(), elastic_coupling=[0.0, 2.0], seeds=(0, 1), **RUN)
    assert answer.test_loss.shape == answer.sampled_test_loss.shape == (2,)
    assert answer.prediction.shape == (2, 5)
    assert answer.kernel.shape == (2, 5, 5)
    assert answer.status == (Status.CONVERGED, Status.CONVERGED)
    assert (answer.sampled_test_loss > answer.test_loss).all()
    assert (answer.stderr["test_loss"] > 0).all()
    assert (answer.residual < 0.3).all()
    assert langevin.run(small_task(), elastic_coupling=2.0, **RUN).test_loss.shape == ()


def test_divergence_restarts_then_is_named():
    steep = RUN | {"inverse_temperature": 1e4}
    with pytest.raises(UnconvergedError, match=r"seed 0.*γ̄=0.5.*diverged"):
        langevin.run(small_task(), elastic_coupling=3.0, safety=1e6, **steep)
    answer = langevin.run(small_task(), elastic_coupling=3.0, safety=1e6, strict=False, **steep)
    assert answer.status is Status.DIVERGED
    assert np.isnan(answer.test_loss)
    recovered = langevin.run(small_task(), elastic_coupling=3.0, safety=2.0, burn_in_time=60.0, strict=False, **RUN)
    assert recovered.status is not Status.DIVERGED


HOPELESS = {"inverse_temperature": 1e11, "prior_precision": 1e-9, "source_strength": 1e9, "sampling_time": 1e9}


@pytest.mark.parametrize("sampler", ["hmc", "langevin"])
@pytest.mark.parametrize("name", HOPELESS)
def test_chains_that_would_crawl_are_given_up_at_once_and_not_restarted(name, sampler, monkeypatch):
    evaluations, evaluate = [], PosteriorBatch.evaluate
    monkeypatch.setattr(PosteriorBatch, "evaluate", lambda *given: evaluations.append(0) or evaluate(*given))
    change = {"activation": "relu", name: HOPELESS[name], "sampler": sampler, "strict": False}
    if name == "source_strength":
        answer = langevin.run(small_task(), elastic_coupling=3.0, **RUN | change)
    else:
        with pytest.warns(UserWarning, match=r"chain: rates of .* more than the 1e\+06 that are taken; lower inverse"):
            answer = langevin.run(small_task(), elastic_coupling=3.0, **RUN | change)
    assert answer.status is Status.DIVERGED
    assert len(evaluations) < 2000


def test_stiff_chains_run_to_their_end_and_say_first_that_they_take_long():
    stiff = RUN | {"inverse_temperature": 1e5, "burn_in_time": 0.4, "sampling_time": 0.3, "strict": False}
    assert langevin.run(small_task(), elastic_coupling=3.0, **stiff).status is not Status.DIVERGED
    schedule = Schedule(40.0, 100.0, 1, 0.4, 0.8, None, None, Foresight("", ""))
    with pytest.warns(UserWarning, match=r"target chain: .* some 2e\+05 steps to time 140, which are taken"):
        sampling._announce("target chain", schedule, one_oscillator(1e6))


@pytest.mark.parametrize("sampler", ["hmc", "langevin"])
@pytest.mark.parametrize("activation", ["erf", "tanh"])
def test_chains_of_rich_bounded_networks_say_early_how_long_they_take(activation, sampler, monkeypatch):
    """The prior's draw saturates, so that the stiffness comes on the way: up to a million steps."""
    evaluations, evaluate = [], PosteriorBatch.evaluate

    class Stopped(Exception):
        pass

    def counted(*given):
        evaluations.append(0)
        if len(evaluations) > 20_000:
            raise Stopped
        return evaluate(*given)

    monkeypatch.setattr(PosteriorBatch, "evaluate", counted)
    rich = {"activation": activation, "source_strength": 1e4, "target_strength": 1e4, "sampler": sampler}
    longer = {"burn_in_time": 30.0, "sampling_time": 60.0, "strict": False}
    said = r"chain: \d+ steps are done .* left, about \d:\d\d:\d\d .*; to be faster, reduce"
    with pytest.warns(UserWarning, match=said), contextlib.suppress(Stopped):
        langevin.run(small_task(), elastic_coupling=3.0, **RUN | rich | longer)


def test_a_short_chain_is_unmixed_and_named():
    with pytest.raises(UnconvergedError, match=r"seed 0, δ=3, γ=0.25: unmixed; sample for longer"):
        langevin.run(small_task(), elastic_coupling=3.0, sampling_time=3.0, **RUN)


def test_diagnostics_of_known_series():
    noise = np.random.default_rng(0).standard_normal(200_000)
    for memory in (0.0, 0.5, 0.9):
        series = lfilter([1], [1, -memory], noise)
        assert autocorrelation_time(series) == pytest.approx((1 + memory) / (1 - memory), rel=0.1)
    assert drift(noise) < 4
    assert effective_samples(noise) == pytest.approx(len(noise), rel=0.05)
    assert effective_samples(np.linspace(0, 1, 1000)) < langevin.SOURCE_SAMPLES
    assert effective_samples(np.ones(100)) == 1
    assert drift(np.ones(100)) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inverse_temperature": 0.0}, "inverse_temperature"),
        ({"prior_precision": -1.0}, "prior_precision"),
        ({"sampling_time": 0.0}, "sampling_time"),
        ({"width": 0}, "width"),
        ({"anchor": "randon"}, "did you mean 'random'"),
    ],
)
def test_bad_input_is_one_line(change, message):
    with pytest.raises(InputError, match=message) as caught:
        langevin.run(small_task(), **RUN | {"elastic_coupling": 1.0, "sampling_time": 4.0} | change)
    assert "\n" not in str(caught.value)
