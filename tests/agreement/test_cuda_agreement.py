"""On a CUDA device networks and theories are what they are on a CPU; skipped where there is no such device."""

import math

import numpy as np
import pytest
import torch

from infwidth.networks import gradient_flow, langevin
from infwidth.networks.transformer.training import train
from infwidth.studies.language import make_variant
from infwidth.tasks import hermite, linear
from infwidth.tasks.text import TextTask
from infwidth.theory import bayes, flow

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

FLOW = {"source_strength": 0.5, "target_strength": 0.3, "weight_decay": 0.05, "source_time": 4.0}
FLOW |= {"target_times": [0.0, 0.3, 3.0], "elastic_coupling": [0.0, 2.0, math.inf]}
POSTERIOR = {"source_strength": 1.0, "target_strength": 1.0, "inverse_temperature": 10.0}
POSTERIOR |= {"elastic_coupling": [0.0, 2.0, math.inf]}


@pytest.fixture(scope="module")
def task():
    return hermite(dimension=10, source_degree=1, target_degree=2, n_source=30, n_target=12, n_test=100, seed=1)


@pytest.mark.parametrize("anchor", ["source", "random"])
@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_networks_under_gradient_flow(task, activation, anchor):
    """Weights are drawn on the CPU, so that devices differ by rounding alone."""
    there, here = (
        gradient_flow.run(task, activation=activation, **FLOW, anchor=anchor, width=200, seeds=range(3), device=device)
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(there.test_loss, here.test_loss, rtol=1e-6)
    np.testing.assert_allclose(there.train_loss, here.train_loss, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("readout", ["fresh", "continued"])
def test_particles_under_gradient_flow(task, readout):
    there, here = (
        flow.solve(task, activation="relu", **FLOW, readout=readout, particles=256, replicas=2, device=device)
        for device in ("cuda", "cpu")
    )
    np.testing.assert_allclose(there.test_loss, here.test_loss, rtol=1e-4)


@pytest.mark.parametrize("sampler", ["hmc", "langevin"])
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_sampled_networks(activation, sampler):
    """Noise is drawn on the device: the same posterior, by other draws."""
    task = linear(dimension=10, overlap=0.6, n_source=30, n_target=10, n_test=100, seed=2)
    settings = POSTERIOR | {"sampler": sampler, "burn_in_time": 30.0, "sampling_time": 150.0}
    there, here = (
        langevin.run(task, activation=activation, **settings, width=200, seeds=range(4), device=device, strict=False)
        for device in ("cuda", "cpu")
    )
    error = np.hypot(there.stderr["test_loss"], here.stderr["test_loss"])
    assert (np.abs(there.test_loss - here.test_loss) < 5 * error + 0.02 * here.test_loss).all()


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_particles_of_a_posterior(activation):
    task = linear(dimension=10, overlap=0.6, n_source=30, n_target=10, n_test=100, seed=2)
    there, here = (
        bayes.solve(task, activation=activation, **POSTERIOR, particles=1024, device=device)
        for device in ("cuda", "cpu")
    )
    error = np.hypot(there.stderr["test_loss"], here.stderr["test_loss"])
    assert (np.abs(there.test_loss - here.test_loss) < 5 * error + 1e-9).all()


@pytest.mark.parametrize(("optimiser", "width"), [("adam_star", 64), ("adam_star", math.inf), ("unfrozen_adam", 64)])
def test_a_transformer(optimiser, width):
    tokens = np.random.default_rng(0).integers(0, 11, 600)
    text = TextTask(tokens, tokens[:200], tokens[:200], vocabulary=11)
    losses = []
    for device in ("cuda", "cpu"):
        model, optimisers = make_variant(
            optimiser, width, vocabulary=11, context=8, model_width=16, layers=2, heads=2, activation="relu",
            learning_rate=0.1, backbone_rate=1e-3, beta2=0.99, seed=0,
        )  # fmt: skip
        history = train(
            model, text, steps=20, batch=4, context=8, optimisers=optimisers, seed=0, evaluate_every=10, device=device
        )
        losses.append(history.test.mean_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
