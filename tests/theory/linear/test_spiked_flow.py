"""Flow from isotropic weights: its moments are those of the moment equations; its average, that of data sets."""

import math

import numpy as np
import pytest

from infwidth.numerics.seeds import generator
from infwidth.numerics.status import UnconvergedError
from infwidth.tasks import linear
from infwidth.theory import flow
from infwidth.theory.linear.design import Design
from infwidth.theory.linear.fixed_points import free_fixed_point
from infwidth.theory.linear.moment_path import integrate_moments
from infwidth.theory.linear.moments import Moments
from infwidth.theory.linear.spiked_flow import Modes, marchenko_pastur, spiked_flow, tuned_readouts


def data(dimension=20, samples=12, noise=0.3, seed=0):
    rng = generator(seed, "spiked flow")
    teacher = rng.standard_normal(dimension)
    teacher *= math.sqrt(dimension) / np.linalg.norm(teacher)
    design = rng.standard_normal((samples, dimension)) / math.sqrt(dimension)
    return design, design @ teacher + noise * rng.standard_normal(samples), teacher


@pytest.mark.parametrize("decay", [0.0, 0.05])
@pytest.mark.parametrize("samples", [12, 40])
def test_moments(decay, samples):
    design, labels, teacher = data(samples=samples)
    richness = np.array([0.3, 2.0, 8.0])
    modes, forces = Modes.of_data(design, labels, teacher)
    found = spiked_flow(modes, richness, time=3.0, decay=decay)
    for g, strength in enumerate(richness / math.sqrt(20)):
        rates = {"strength": strength, "readout_decay": decay, "hidden_decay": decay}
        path = integrate_moments(Moments.fresh_readout(np.eye(20)), design, labels, np.array([3.0]), **rates)
        (last,) = path.moments
        v = found.response[g] @ forces
        np.testing.assert_allclose(v, last.predictor / strength, atol=1e-6)
        unit = v / np.linalg.norm(v)
        hidden = found.bulk * np.eye(20) + (found.spike[g] - found.bulk) * np.outer(unit, unit)
        np.testing.assert_allclose(hidden, last.hidden_moment, atol=1e-5)
        assert found.spike[g] == pytest.approx(last.readout_moment, rel=1e-6)
        assert found.alignment[g] == pytest.approx(unit @ teacher / math.sqrt(20), rel=1e-6)


def test_ends():
    design, labels, teacher = data()
    modes, forces = Modes.of_data(design, labels, teacher)
    end = spiked_flow(modes, np.array([3.0]), time=math.inf)
    np.testing.assert_allclose(end.response[0] @ forces, np.linalg.lstsq(design, labels)[0], atol=1e-10)
    late = spiked_flow(modes, np.array([3.0]), time=300.0)
    assert late.spike == pytest.approx(end.spike, rel=1e-6)
    start = spiked_flow(modes, np.array([3.0]), time=0.0)
    assert (start.spike.item(), start.alignment.item(), start.bulk) == (1.0, 0.0, 1.0)
    # with decay the flow goes on to the fixed point, found by another route
    last = free_fixed_point(Design.of(design), labels, strength=3 / math.sqrt(20), readout_decay=0.2, stiffness=0.2)
    decayed = spiked_flow(modes, np.array([3.0]), time=100.0, decay=0.2)
    np.testing.assert_allclose(decayed.response[0] @ forces, last.weights, atol=1e-5)
    assert decayed.spike.item() == pytest.approx(last.readout_moment, rel=1e-5)


@pytest.mark.parametrize("ratio", [0.3, 0.75, 2.0])
def test_marchenko_pastur(ratio):
    rates, weights = marchenko_pastur(ratio)
    moments = [weights @ rates**k for k in range(4)]
    expected = [min(1, ratio), ratio, ratio + ratio**2, ratio + 3 * ratio**2 + ratio**3]
    np.testing.assert_allclose(moments, expected, rtol=1e-10)
    matrix = generator(0, "wishart").standard_normal((round(600 * ratio), 600)) / math.sqrt(600)
    singular = np.linalg.svd(matrix, compute_uv=False)
    assert np.sum(1 / (1 + singular**2)) / 600 == pytest.approx(weights @ (1 / (1 + rates)), rel=5e-3)


@pytest.mark.parametrize("samples", [9, 40])
@pytest.mark.parametrize(("target_time", "decay"), [(3.0, 0.0), (3.0, 0.2), (math.inf, 0.2), (math.inf, 0.0)])
def test_tuned_readouts_are_those_of_the_door(target_time, decay, samples):
    sizes = {"dimension": 16, "n_source": 10, "n_target": samples, "n_test": 30}
    task = linear(**sizes, overlap=0.7, source_noise=0.3, target_noise=0.4, seed=4)
    richness = np.array([1.0, 6.0])
    modes, forces = Modes.of_data(task.x_source / 4, task.y_source, np.ones(16))
    source = spiked_flow(modes, richness, time=2.0, decay=0.1)
    v = source.response @ forces
    units = v / np.linalg.norm(v, axis=1, keepdims=True)
    found = tuned_readouts(
        task.x_target / 4, task.y_target, units, source.spike, bulk=source.bulk, decay=decay, time=target_time
    )
    end = target_time if decay else min(target_time, 1e5)  # the door has no end without decay
    for g, strength in enumerate(richness / 4):
        solution = flow.solve(
            task, activation="linear", source_strength=strength, target_strength=0.3, elastic_coupling=math.inf,
            weight_decay=decay, source_weight_decay=0.1, source_time=2.0, target_times=[end],
        )  # fmt: skip
        np.testing.assert_allclose(found[g], solution.weights[-1], atol=1e-6)


@pytest.mark.parametrize("decay", [10.0, 1e3, 1e6, 1e9])
def test_what_decay_leaves_below_the_integrators_error_is_no_answer(decay):
    """Each within moments: steps are implicit where decay alone is fast."""
    modes, _ = Modes.of_data(*data()[:2], np.ones(20))
    with pytest.raises(UnconvergedError, match="no weights left"):
        spiked_flow(modes, np.array([1.0, 6.0]), time=5.0, decay=decay)
