"""Single moves of the posterior's particles leave the law that they are said to leave, and no other."""

import math

import numpy as np
import pytest
import torch

from infwidth.numerics.activations import get_activation
from infwidth.theory.posterior.modes import Gaussian, Modes
from infwidth.theory.posterior.particles import Layer, Population

COUNT, STIFFNESS, RATE = 100_000, 1.5, 0.7
INPUTS = torch.tensor([[0.8, 0.3], [-0.2, 0.9], [0.5, -0.6]])
CENTRE = torch.tensor([[0.7, -0.4]])
DUAL = torch.tensor([0.6, -0.5, 0.4], dtype=torch.float64)
DUALS = {"one output": DUAL, "two outputs": torch.stack([0.8 * DUAL, DUAL.roll(1) * 0.6], 1)}


def layer(activation):
    return Layer(INPUTS, get_activation(activation), RATE, STIFFNESS)


def scale(population, factor):
    population.hidden, population.fields = (factor[:, None] * part for part in (population.hidden, population.fields))


def reflect(population, tilt, dual):
    towards = (population.hidden * population.centre).sum(1)
    factor, score = population._reflection(tilt, dual, towards)
    scale(population, factor)
    torch.testing.assert_close(score, tilt.score(population.fields, dual), atol=1e-5, rtol=1e-5)


def stretch(population, tilt, dual):
    towards = (population.hidden * population.centre).sum(1)
    scale(population, population._stretch(tilt, tilt.score(population.fields, dual), towards))


def follow(population, tilt, dual):
    population._trajectory(tilt, dual, tilt.score(population.fields, dual))


def jump(population, tilt, dual):
    points = math.sqrt(STIFFNESS) * (population.hidden[:1000] - population.centre)
    near, far = Gaussian.of(points), Gaussian.of(2 * points + 0.5)
    population.modes = Modes(((near, far), (far, near)), odd=True)
    population._jump(tilt, dual)
    torch.testing.assert_close(population.known, tilt.features(population.hidden), atol=1e-5, rtol=1e-5)


MOVES = {"jump": jump, "reflection": reflect, "norm": stretch, "trajectory": follow, "sweep": Population.move}


def squares(score):
    return score.square() if score.ndim == 1 else score.square().sum(1)


def exact(activation, seed=0, dual=DUAL):
    """Particles of density exp(−½L|W − m|² + ½(γ²/λ_w)s²), by rejection from a wider Gaussian."""
    rng, tilt, found = np.random.default_rng(seed), layer(activation), []
    wide = 0.3 * STIFFNESS  # the tilt adds at most what |g|², |X|² and the rate allow, less than the rest
    grid = torch.cartesian_prod(*[torch.linspace(-8, 8, 801)] * 2)

    def surplus(hidden):
        offset = (hidden - CENTRE).square().sum(1)
        return 0.5 * RATE * squares(tilt.score(hidden @ INPUTS.T, dual.float())) - 0.5 * (STIFFNESS - wide) * offset

    highest = float(surplus(grid).max()) + 0.01
    while sum(map(len, found)) < COUNT:
        hidden = CENTRE + torch.tensor(rng.standard_normal((COUNT, 2)) / math.sqrt(wide)).float()
        height = surplus(hidden)
        assert float(height.max()) < highest
        found.append(hidden[torch.tensor(rng.random(COUNT)).log() < height - highest])
    return torch.cat(found)[:COUNT]


def statistics(hidden, activation):
    score = get_activation(activation).value(hidden @ INPUTS.T) @ DUAL.float()
    size = hidden.norm(dim=1)
    return torch.stack([*hidden.T, hidden[:, 0] * hidden[:, 1], size, size.square(), score, score.square()], 1).double()


def change(move, activation, dual, angle=0.6, law=DUAL):
    """Mean change of each statistic by one move, in standard errors, and the share of particles that moved."""
    before = exact(activation, dual=law)
    population = Population(before, CENTRE, COUNT, torch.Generator().manual_seed(1), angle=angle)
    population.fields = before @ INPUTS.T
    move(population, layer(activation), dual.float())
    rise = statistics(population.hidden, activation) - statistics(before, activation)
    error = rise.std(0) / math.sqrt(COUNT)
    moved = (population.hidden != before).any(1).double().mean()
    torch.testing.assert_close(population.fields, population.hidden @ INPUTS.T, atol=1e-5, rtol=1e-5)
    return (rise.mean(0) / error.clamp(min=1e-12)).abs().max(), float(moved)


@pytest.mark.parametrize("outputs", DUALS)
@pytest.mark.parametrize("activation", ["linear", "relu", "erf"])
@pytest.mark.parametrize("name", MOVES)
def test_a_move_leaves_the_posterior(name, activation, outputs):
    if name == "norm" and activation == "erf":
        pytest.skip("of homogeneous activations alone")
    far, moved = change(MOVES[name], activation, DUALS[outputs], law=DUALS[outputs])
    assert far < 5
    assert moved > 0.1


@pytest.mark.parametrize("name", MOVES)
def test_and_would_not_leave_another(name):
    activation = "linear" if name == "norm" else "relu"
    assert change(MOVES[name], activation, 2 * DUAL)[0] > 8
    factor = 1.5 if name == "norm" else 2.0  # so that most directions stay normalisable
    assert change(MOVES[name], activation, factor * DUALS["two outputs"], law=DUALS["two outputs"])[0] > 8


@pytest.mark.parametrize("dual", DUALS.values(), ids=DUALS)
def test_weights_turn_one_posterior_into_another(dual):
    hidden, phi = exact("relu", dual=dual), get_activation("relu")
    population = Population(hidden, CENTRE, COUNT, torch.Generator().manual_seed(2))
    population.reweight(layer("relu"), phi.value(hidden @ INPUTS.T), dual, 0 * dual)
    prior = CENTRE + torch.randn(COUNT, 2, generator=torch.Generator().manual_seed(3)) / math.sqrt(STIFFNESS)
    expected = statistics(prior, "relu")
    found = population.weights().double() @ statistics(hidden, "relu")
    error = expected.std(0) / math.sqrt(COUNT * min(1.0, population.effective()))
    assert ((found - expected.mean(0)).abs() < 5 * math.sqrt(2) * error).all()
    population.resample()
    resampled = statistics(population.hidden, "relu").mean(0)
    assert ((resampled - found).abs() < 5 * error).all()
