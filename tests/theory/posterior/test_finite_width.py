"""Finite width from sampled neurons: a linear network's against its closed form, and what a solution offers."""

import math

import numpy as np
import pytest
import torch

from infwidth.numerics.activations import get_activation
from infwidth.numerics.status import Status
from infwidth.tasks import linear
from infwidth.theory import bayes
from infwidth.theory.posterior.anchor import SourceChain
from infwidth.theory.posterior.coordinates import Coordinates
from infwidth.theory.posterior.finite_width import BLOCKS, SIBLINGS, NeuronStream, Posterior, TrialPoints, measure
from infwidth.theory.posterior.particles import Layer, Population

SETTINGS = {"source_strength": 1.0, "target_strength": 0.7, "inverse_temperature": 10.0, "prior_precision": 1.3}
PARTS = ("mean", "thermal", "source", "total")


def sampled(task, coupling, count, rounds, sweeps, seed=0):
    """c by the neurons of a linear network whose saddle points are known."""
    exact = bayes.solve(task, activation="linear", elastic_coupling=coupling, **SETTINGS)
    like = torch.zeros((), dtype=torch.float64)
    where, phi = Coordinates.of(task, like.float()), get_activation("linear")
    generator, precision = torch.Generator().manual_seed(seed), SETTINGS["prior_precision"]

    def posterior(inputs, dual, strength, stiffness):
        layer = Layer(inputs, phi, strength**2 / precision, stiffness)
        return Posterior(layer, torch.tensor(dual), strength, SETTINGS["inverse_temperature"], precision)

    target = posterior(where.target, exact.dual, 0.7, precision + coupling)
    residuals = torch.tensor(exact.prediction - task.y_test)
    tests, source, chain = TrialPoints(where.test, where.norms_outside, residuals), None, None
    if coupling > 0:
        fields = (task.x_source, task.y_source)
        # At δ = 0 the target's posterior on the source's data is the source's own.
        own = linear_twin(*fields)
        scales = SETTINGS | {"target_strength": SETTINGS["source_strength"]}
        dual = bayes.solve(own, activation="linear", elastic_coupling=0.0, **scales).dual
        source = posterior(where.source, dual, 1.0, precision)
        population = Population.prior(
            where.source.new_zeros(1, where.source.shape[1]), count, count, precision, generator
        )
        for _ in range(40):
            population.move(source.layer, source.dual)
        chain = SourceChain(population, source.layer, source.dual, where, precision, generator)
    neurons = NeuronStream(target, source, chain, coupling, count, generator)
    return measure(neurons, tests, rounds=rounds, sweeps=sweeps), exact.finite_width


def linear_twin(x, y):
    from infwidth.tasks.transfer_task import TransferTask

    return TransferTask(x, y, x, y, x, y)


@pytest.mark.parametrize("coupling", [0.0, 4.0, math.inf])
@pytest.mark.parametrize("n_source", [6, 20])
def test_a_linear_network_s_closed_form(coupling, n_source):
    """With 6 + 4 training points in 12 dimensions the test points lie off their span."""
    task = linear(dimension=12, overlap=0.6, n_source=n_source, n_target=4, n_test=30, seed=1)
    found, expected = sampled(task, coupling, 32 * BLOCKS * SIBLINGS, 2, 16)
    for part in PARTS:
        error, goal = found.stderr[part], getattr(expected, part)
        assert abs(getattr(found, part) - goal) <= 4 * error + 0.02 * abs(goal), part
    assert found.stderr["thermal"] < 0.05 * found.thermal
    assert found.stderr["total"] < 0.15 * expected.total


def test_of_a_solution():
    task = linear(dimension=6, overlap=0.6, n_source=10, n_target=4, n_test=20, seed=1)
    settings = {"activation": "erf", "particles": 128, "evidence": False, "strict": False, **SETTINGS}
    several = bayes.solve(task, elastic_coupling=[0.0, 2.0], **settings)
    one = bayes.solve(task, elastic_coupling=2.0, **settings)
    for part in (*PARTS, "one_percent"):
        assert getattr(several.finite_width, part).shape == (2,)
        assert several.finite_width.stderr[part].shape == (2,)
        assert getattr(one.finite_width, part) == getattr(several.finite_width, part)[1]
    assert one.finite_width is one.finite_width
    assert several.finite_width.source[0] == 0
    loss = several.test_loss
    np.testing.assert_allclose(
        several.finite_width.one_percent, 100 * np.abs(several.finite_width.total) / loss, rtol=0.2
    )


def test_a_point_that_was_not_reached_has_none():
    task = linear(dimension=6, overlap=0.6, n_source=10, n_target=4, n_test=20, seed=1)
    rich = SETTINGS | {"target_strength": 3000.0, "inverse_temperature": 1e6}
    solution = bayes.solve(
        task, activation="relu", particles=128, elastic_coupling=0.0, strict=False, max_iterations=2, **rich
    )
    assert solution.status is not Status.CONVERGED
    assert math.isnan(solution.finite_width.total)
