"""The domain margin of one posterior, followed from one dual vector to the next."""

import math

import numpy as np
import pytest
import torch

from infwidth.numerics.activations import get_activation
from infwidth.theory.posterior.border import Border
from infwidth.theory.posterior.particles import Layer, Population

INPUTS = torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
DUALS = torch.randn(6, 12, generator=torch.Generator().manual_seed(1)).double().cumsum(0) / 5


def exact(dual, rate, stiffness):
    """q of ReLU in two dimensions, over all directions."""
    angles = torch.linspace(0, 2 * math.pi, 200_001, dtype=torch.float64)
    fields = torch.stack([angles.cos(), angles.sin()], 1) @ INPUTS.double().T
    return 1 - rate * float((fields.relu() @ dual).abs().amax()) ** 2 / stiffness


@pytest.mark.parametrize("activation", ["relu", "softplus"])
def test_the_margin_is_followed(activation):
    """An ascent is as good as all directions; softplus has ReLU's asymptote."""
    layer = Layer(INPUTS, get_activation(activation), 0.1, 2.0)
    population = Population.prior(INPUTS.new_zeros(1, 2), 64, 64, 2.0, torch.Generator().manual_seed(2))
    border, features = Border(layer), population.features(layer)
    found = []
    for dual in DUALS:
        border.look(population, features, dual)
        found.append(border.margin(dual))
    np.testing.assert_allclose(found, [exact(dual, 0.1, 2.0) for dual in DUALS], rtol=1e-3, atol=1e-4)


def test_a_bounded_activation_has_no_border():
    layer = Layer(INPUTS, get_activation("erf"), 1e3, 1.0)
    assert Border(layer).margin(1e3 * DUALS[0]) == 1.0


def test_the_ascent_ends_at_the_maximum():
    """In 25 dimensions, where starts are few: a search of ten times as many steps from 20 times as many directions."""
    stream = torch.Generator().manual_seed(3)
    inputs = torch.randn(80, 25, generator=stream) / 5
    duals = torch.randn(8, 80, generator=stream).double().cumsum(0)
    layer = Layer(inputs, get_activation("relu"), 1.0, 1.0)
    population = Population.prior(inputs.new_zeros(1, 25), 512, 512, 1.0, stream)
    border, features, x = Border(layer), population.features(layer), inputs.double()
    short = []
    for dual in duals:
        border.look(population, features, dual)
        found = math.sqrt(1 - border.margin(dual))
        v = torch.nn.functional.normalize(torch.cat([population.hidden.double(), border.starts]))
        best = 0.0
        for step in range(200):
            score = (v @ x.T).relu() @ dual
            best = max(best, float(score.abs().amax()))
            slope = torch.nn.functional.normalize(score[:, None] * ((v @ x.T > 0) * dual) @ x)
            v = torch.nn.functional.normalize(slope + v * (1 + step / 5))
        short.append(1 - found / best)
    assert max(short) < 0.01
    assert float(np.median(short)) < 0.002, short
