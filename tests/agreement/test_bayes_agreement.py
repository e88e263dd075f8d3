"""Nonlinear Bayesian theory against sampled networks on the same data: losses, kernels and preactivations."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr, stdtrit

from infwidth.networks import gradient_flow, langevin
from infwidth.networks.two_layer.ensemble import TargetPoint
from infwidth.numerics.activations import ACTIVATIONS, Activation
from infwidth.tasks import linear
from infwidth.theory import bayes, flow

COUPLINGS = (0.0, 10.0)
SETTINGS = {"source_strength": 1.0, "inverse_temperature": 20.0}


SEEDS = 8
FAR = stdtrit(SEEDS - 1, ndtr(3.0))
"""As improbable of so few as three standard errors of a normal variable."""


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_sampled_networks_are_the_theory(activation):
    """Test loss extrapolated from two widths within 3 standard errors; kernel within 6 %, moments of h within 5 %."""
    task = linear(dimension=15, overlap=0.6, n_source=40, n_target=15, n_test=300, seed=1)
    shown = {}

    def keep(kind):
        return lambda seen: shown.setdefault((kind, seen.coupling_index), []).append(seen.preactivation.double())

    theory = bayes.solve(
        task, activation=activation, target_strength=1.0, elastic_coupling=COUPLINGS, particles=2048,
        observe=keep("theory"), **SETTINGS,
    )  # fmt: skip
    losses = {}
    for width in (500, 1000):
        common = {"activation": activation, "inverse_temperature": 20.0, "seeds": range(SEEDS), "dtype": torch.float32}
        source = langevin.sample_source(task.x_source, task.y_source, source_strength=1.0, width=width, **common)
        found = langevin.sample_target(
            source, task.x_target, task.y_target, task.x_test, points=[TargetPoint(c, 1.0) for c in COUPLINGS],
            sampling_time=100.0, observe=keep(width), **common,
        )  # fmt: skip
        losses[width] = np.square(found.prediction - task.y_test).mean(-1)
    limit = 2 * losses[1000].mean(0) - losses[500].mean(0)
    noise = np.sqrt((4 * losses[1000].var(0, ddof=1) + losses[500].var(0, ddof=1)) / SEEDS)
    error = np.hypot(noise, theory.stderr["test_loss"])
    assert (np.abs(limit - theory.test_loss) < FAR * error).all()
    assert (error < 0.15 * theory.test_loss).all()
    for g in range(len(COUPLINGS)):
        scale = np.linalg.norm(theory.kernel[g])
        assert np.linalg.norm(found.kernel[:, g].mean(0) - theory.kernel[g]) < 0.06 * scale
        for power in (2, 4):
            moments = [float(torch.cat(shown[kind, g]).pow(power).mean()) for kind in ("theory", 1000)]
            assert moments[1] == pytest.approx(moments[0], rel=0.05)


FURTHER = ["tanh", "gelu", "softplus", "arctan"]


@pytest.fixture
def arctan(monkeypatch):
    """An activation of one's own, as docs/extending.md registers it."""
    own = Activation.of("arctan", lambda h: h.atan(), lambda h: 1 / (1 + h**2), homogeneity=None, growth=0)
    monkeypatch.setitem(ACTIVATIONS, "arctan", own)
    for theory in (bayes, flow):
        monkeypatch.setattr(theory, "ACTIVATIONS", (*theory.ACTIVATIONS, "arctan"))


def hold(theory, narrow, wide):
    """Losses extrapolated from two widths, the second twice the first, within 3 standard errors: Student's of few."""
    for name in ("test_loss", "train_loss"):
        limit, expected = 2 * getattr(wide, name) - getattr(narrow, name), getattr(theory, name)
        error = np.sqrt(4 * wide.stderr[name] ** 2 + narrow.stderr[name] ** 2 + theory.stderr[name] ** 2)
        assert (np.abs(limit - expected) < FAR * error).all()
        assert (error < 0.15 * expected).all()


@pytest.mark.parametrize("activation", FURTHER)
def test_further_activations_under_the_flow(activation, arctan):
    task = linear(dimension=6, overlap=0.8, n_source=30, n_target=12, n_test=200, seed=0)
    settings = {"activation": activation, "source_strength": 0.5, "target_strength": 0.5, "elastic_coupling": 1.0,
                "weight_decay": 0.05, "source_time": 3, "target_times": [3.0]}  # fmt: skip
    theory = flow.solve(task, **settings, particles=512, replicas=4)
    hold(theory, *(gradient_flow.run(task, **settings, width=width, seeds=range(SEEDS)) for width in (300, 600)))


@pytest.mark.parametrize("activation", FURTHER)
def test_further_activations_of_posteriors(activation, arctan):
    task = linear(dimension=6, overlap=0.8, n_source=30, n_target=10, n_test=200, target_noise=0.3, seed=0)
    settings = {"activation": activation, "source_strength": 0.5, "target_strength": 0.5, "inverse_temperature": 10.0}
    settings["elastic_coupling"] = [0.0, 3.0]
    theory = bayes.solve(task, **settings, particles=2048, evidence=False)
    times = {"burn_in_time": 48.0, "sampling_time": 60.0, "strict": False}  # of eight short chains one looks unmixed
    hold(theory, *(langevin.run(task, **settings, **times, width=width, seeds=range(SEEDS)) for width in (100, 200)))
