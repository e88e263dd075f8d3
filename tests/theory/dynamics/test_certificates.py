"""Long runs end where docs/theory.md §2 eqs. (8) and (9) say."""

import numpy as np
import pytest
import torch

from infwidth.numerics.activations import get_activation
from infwidth.theory.dynamics.certificates import LateParticles, readout_fixed_point, tangent_fixed_point
from infwidth.theory.dynamics.draws import Draws
from infwidth.theory.dynamics.transfer import Limits, train_target

STRENGTH, DECAY = 0.8, 0.1


def long_run(activation, coupling, *, rtol=2e-3, time=80.0, **options):
    """A population at a late time, f on training and other inputs, and the labels."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((14, 5)) / np.sqrt(5)
    y = np.sin(2 * x[:, 0] * np.sqrt(5)) + x[:, 1]
    phi, draws, shots = get_activation(activation), Draws(48, 1), []
    anchor = torch.from_numpy(draws.fresh(5, "source")[1])
    courses = train_target(
        anchor,
        x[:8],
        y[:8],
        x[8:],
        couplings=[coupling],
        times=np.array([time]),
        strength=STRENGTH,
        weight_decay=DECAY,
        activation=phi,
        sampling=draws,
        limits=Limits(rtol=rtol),
        show=lambda seen: shots.append(seen.snapshot),
    )
    rates = {"elastic_coupling": coupling, "readout_decay": DECAY, "hidden_decay": DECAY}
    late = LateParticles.of(shots[0], anchor[0], x, y[:8], strength=STRENGTH, activation=phi, **rates, **options)
    return late, np.concatenate([courses.train_prediction[0, 0, 0], courses.prediction[0, 0, 0]]), y[:8]


def distance(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("coupling", [0.0, 2.0])
@pytest.mark.parametrize(("activation", "tolerance"), [("linear", 1e-3), ("erf", 4e-3), ("relu", 5e-3)])
def test_adapted_kernel_machine(activation, tolerance, coupling):
    late, f, y = long_run(activation, coupling, steps=1)
    assert distance(readout_fixed_point(late.feature_kernel(8), y, readout_decay=DECAY), f) < tolerance


@pytest.mark.parametrize("coupling", [0.5, 2.0])
@pytest.mark.parametrize(("activation", "tolerance"), [("linear", 1e-3), ("relu", 6e-3)])
def test_tangent_kernel_machine(activation, tolerance, coupling):
    late, f, y = long_run(activation, coupling)
    kernel, drift = late.tangent_kernel(8), late.drift(coupling, STRENGTH)
    total = 2 * DECAY + coupling
    assert distance(tangent_fixed_point(kernel, drift, y, total_decay=total), f) < tolerance
    # Without the anchor's part it is no solution.
    assert distance(tangent_fixed_point(kernel, 0 * drift, y, total_decay=total), f) > 0.05


def test_gates_must_be_averaged():
    # A single snapshot sees sliding neurons on one side of their kinks.
    (late, f, y), (once, _, _) = (long_run("relu", 2.0, steps=steps) for steps in (1000, 1))
    sliding = (late.gates[:, :8] > 0.02) & (late.gates[:, :8] < 0.98)
    assert sliding.any()
    errors = [
        distance(tangent_fixed_point(p.tangent_kernel(8), p.drift(2.0, STRENGTH), y, total_decay=2.2), f)
        for p in (late, once)
    ]
    assert errors[1] > 3 * errors[0]
