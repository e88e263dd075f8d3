"""Rich erf neurons have two modes; which share is in which must not depend on where the particles come from."""

import numpy as np
import pytest
import torch

from infwidth.numerics.activations import get_activation
from infwidth.tasks.linear_tasks import linear
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes
from infwidth.theory.posterior.modes import Modes
from infwidth.theory.posterior.particles import Layer, Population, squared
from infwidth.theory.posterior.saddle import CAREFUL, descend

COUNT, DIMENSION, POINTS = 1024, 20, 100


def sign_task(seed, n_target=10):
    """Signs of a linear teacher, which few neurons can learn alone."""
    settings = {"dimension": DIMENSION, "n_source": 10, "n_target": n_target, "n_test": 200, "overlap": 0.5}
    task = linear(**settings, seed=seed)
    labels = (np.sign(y) for y in (task.y_source, task.y_target, task.y_test))
    inputs = task.x_source, task.x_target, task.x_test
    return TransferTask(*(array for pair in zip(inputs, labels, strict=True) for array in pair))


@pytest.fixture(scope="module")
def solved():
    """A solution and its particles."""
    task = sign_task(1, POINTS)
    inputs = torch.tensor(task.x_target / DIMENSION**0.5).float()
    layer = Layer(inputs, get_activation("erf"), 1.0, 1.0)
    population = Population.prior(torch.zeros(1, DIMENSION), COUNT, COUNT, 1.0, torch.Generator().manual_seed(0))
    labels = torch.tensor(task.y_target)
    saddle = descend(layer, population, labels, strength=1.0, inverse_temperature=10.0, **CAREFUL)
    return layer, population, saddle.dual


def energies(layer, population, dual):
    return 0.5 * layer.sharpness * squared(population.features(layer) @ dual.float())


def share_far(layer, dual, start, modes, sweeps=150):
    """The share of particles far out, over the last sweeps from a start."""
    population = Population(start, torch.zeros(1, DIMENSION), len(start), torch.Generator().manual_seed(1))
    population.modes = modes
    shares = []
    for _ in range(sweeps):
        population.move(layer, dual)
        shares.append(float((energies(layer, population, dual) > 8).double().mean()))
    return np.mean(shares[-50:])


def test_either_start_ends_with_the_same_share(solved):
    layer, population, dual = solved
    assert population.modes is not None
    far = energies(layer, population, dual) > 8
    assert 0.05 < far.double().mean() < 0.95
    starts = [population.hidden[chosen].repeat(COUNT, 1)[:COUNT] for chosen in (far, ~far)]
    from_far, from_near = (share_far(layer, dual, start, population.modes) for start in starts)
    assert abs(from_far - from_near) < 0.08
    assert share_far(layer, dual, starts[0], None) - share_far(layer, dual, starts[1], None) > 0.12


def test_one_mode_is_not_taken_for_two():
    random = torch.Generator().manual_seed(0)
    points = torch.randn(COUNT, DIMENSION, generator=random)
    assert Modes.of(points, 2 * points[:, 0].square(), odd=True) is None
    assert Modes.of(points, torch.zeros(COUNT), odd=False) is None


@pytest.mark.parametrize("odd", [True, False])
def test_proposals_have_the_density_that_they_are_weighed_by(odd):
    """Self-normalised weights q'/q of proposals give the moments of another law q'."""
    random = torch.Generator().manual_seed(0)
    far = torch.arange(200_000) % 2 == 0
    points = torch.randn(len(far), 2, generator=random) + 6.0 * far[:, None]
    modes = Modes.of(points, points.sum(1).clamp(min=0), odd=odd)
    old = torch.zeros(len(far), 2)
    new, surplus = modes.propose(old, random)
    flat = (new.abs() < 2).all(1)  # a square: uniform there under weights 1/q
    weight = torch.where(flat, surplus.exp(), 0.0).double()
    weight /= weight.sum()
    moments = (weight[:, None] * new.double().square()).sum(0)
    torch.testing.assert_close(moments, torch.full((2,), 4 / 3, dtype=torch.float64), atol=0.03, rtol=0)


def test_rich_sign_labels_have_an_answer_that_more_particles_share():
    found = [
        bayes.solve(
            sign_task(2, 80), activation="erf", source_strength=1.0, target_strength=1.0, elastic_coupling=0.0,
            inverse_temperature=10.0, particles=particles, seed=1, evidence=False,
        )
        for particles in (1024, 4096)
    ]  # fmt: skip
    distance = found[0].test_loss - found[1].test_loss
    assert abs(distance) < 4 * np.hypot(*(one.stderr["test_loss"] for one in found))
