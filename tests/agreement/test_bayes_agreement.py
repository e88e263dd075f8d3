"""Nonlinear Bayesian theory against sampled networks on the same data: losses, kernels and preactivations."""

import numpy as np
import pytest
import torch

from infwidth.networks import langevin
from infwidth.networks.two_layer.ensemble import TargetPoint
from infwidth.tasks import linear
from infwidth.theory import bayes

COUPLINGS = (0.0, 10.0)
SETTINGS = {"source_strength": 1.0, "inverse_temperature": 20.0}


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_sampled_networks_are_the_theory(activation):
    """Test loss and f within 4 standard errors and 3 %; variance and fourth moment of h within 5 %."""
    task = linear(dimension=15, overlap=0.6, n_source=40, n_target=15, n_test=300, seed=1)
    shown = {"theory": {}, "network": {}}

    def keep(kind):
        return lambda seen: shown[kind].setdefault(seen.coupling_index, []).append(seen.preactivation.double())

    theory = bayes.solve(
        task, activation=activation, target_strength=1.0, elastic_coupling=COUPLINGS, particles=2048,
        observe=keep("theory"), **SETTINGS,
    )  # fmt: skip
    seeds, width = range(6), 1000
    common = {"activation": activation, "inverse_temperature": 20.0, "seeds": seeds, "dtype": torch.float32}
    source = langevin.sample_source(task.x_source, task.y_source, source_strength=1.0, width=width, **common)
    found = langevin.sample_target(
        source, task.x_target, task.y_target, task.x_test, points=[TargetPoint(c, 1.0) for c in COUPLINGS],
        sampling_time=100.0, observe=keep("network"), **common,
    )  # fmt: skip
    for g in range(len(COUPLINGS)):
        losses = np.square(found.prediction[:, g] - task.y_test).mean(-1)
        error = np.hypot(theory.stderr["test_loss"][g], losses.std(ddof=1) / np.sqrt(len(seeds)))
        # A network's own scatter adds to its loss what falls as 1/N.
        assert abs(losses.mean() - theory.test_loss[g]) < 4 * error + 0.03 * theory.test_loss[g]
        kernel, scale = found.kernel[:, g].mean(0), np.linalg.norm(theory.kernel[g])
        assert np.linalg.norm(kernel - theory.kernel[g]) < 0.06 * scale
        for power in (2, 4):
            moments = [float(torch.cat(shown[kind][g]).pow(power).mean()) for kind in ("theory", "network")]
            assert moments[1] == pytest.approx(moments[0], rel=0.05)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "softplus"])
def test_further_activations_under_the_flow(activation):
    """Test losses of the flow's theory and of networks within 3 standard errors and 2 %."""
    from infwidth.networks import gradient_flow
    from infwidth.theory import flow

    task = linear(dimension=6, overlap=0.8, n_source=30, n_target=12, n_test=200, seed=0)
    settings = {"activation": activation, "source_strength": 0.5, "target_strength": 0.5, "elastic_coupling": 1.0,
                "weight_decay": 0.05, "source_time": 3, "target_times": [3.0]}  # fmt: skip
    theory = flow.solve(task, **settings, particles=512, replicas=4)
    network = gradient_flow.run(task, **settings, width=600, seeds=range(4))
    error = np.hypot(theory.stderr["test_loss"], network.stderr["test_loss"])
    assert abs(theory.test_loss[0] - network.test_loss[0]) < 3 * error[0] + 0.02 * theory.test_loss[0]
