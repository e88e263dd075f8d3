"""Linear networks of any width by moments of random initial weights."""

import numpy as np
import pytest
from builders import train_neurons

from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks import linear
from infwidth.theory import flow
from infwidth.theory.linear.finite_flow import sample_flow

D = 5
TASK = linear(dimension=D, overlap=0.7, n_source=12, n_target=4, n_test=40, seed=0)
RATES = {"source_strength": 1.0, "target_strength": 0.8, "weight_decay": 0.05, "source_weight_decay": 0.1}
RATES |= {"source_time": 3.0, "target_times": [0.5, 4.0]}


def train(readout, hidden, x, y, times, strength, decay, coupling=0.0):
    settings = {"strength": strength, "decays": (decay, decay), "coupling": coupling, "rtol": 1e-5, "atol": 1e-7}
    return train_neurons(readout, hidden, x / np.sqrt(D), y, times, **settings)


def network_losses(width, coupling, rng):
    half, hidden = rng.standard_normal(width // 2), rng.standard_normal((width // 2, D))
    readout, hidden = np.concatenate([half, -half]), np.concatenate([hidden, hidden])
    _, end = train(readout, hidden, TASK.x_source, TASK.y_source, [RATES["source_time"]], 1.0, 0.1)[-1]
    fresh = rng.standard_normal(width)
    fresh, doubled = np.concatenate([fresh, -fresh]), np.concatenate([end, end])
    course = train(fresh, doubled, TASK.x_target, TASK.y_target, RATES["target_times"], 0.8, 0.05, coupling)
    predictions = [TASK.x_test @ (w @ h) / (0.8 * 2 * width * np.sqrt(D)) for w, h in course]
    return [np.mean((prediction - TASK.y_test) ** 2) for prediction in predictions]


def test_networks():
    """Three pairs are too few for a Wishart matrix of full rank."""
    rng = np.random.default_rng(1)
    networks = np.array([network_losses(6, 1.0, rng) for _ in range(60)])
    drawn = sample_flow(TASK, elastic_coupling=1.0, width=6, draws=80, **RATES)
    error = np.hypot(networks.std(0, ddof=1) / np.sqrt(60), drawn.stderr[0])
    assert (np.abs(networks.mean(0) - drawn.mean[0]) < 3 * error).all()
    assert drawn.spread[0] == pytest.approx(networks.std(0, ddof=1), rel=0.4)


def test_wide_networks_are_the_limit():
    couplings = [0.0, 2.0, np.inf]
    limit = flow.solve(TASK, activation="linear", elastic_coupling=couplings, **RATES).test_loss
    narrow, wide = (sample_flow(TASK, elastic_coupling=couplings, width=n, draws=16, **RATES) for n in (400, 40_000))
    np.testing.assert_array_equal(wide.times, RATES["target_times"])
    np.testing.assert_allclose(wide.mean, limit, rtol=0.02)
    np.testing.assert_allclose(narrow.spread / wide.spread, 10, rtol=0.6)
    far = sample_flow(TASK, elastic_coupling=couplings, width=10**10, draws=2, **RATES)
    np.testing.assert_allclose(far.mean, limit, rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 7}, "even"),
        ({"draws": 1}, "draws = 1"),
        ({"target_times": [1.0, np.inf]}, "target_times"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_input_is_named(changes, message):
    with pytest.raises(InputError, match=message):
        sample_flow(TASK, **{"elastic_coupling": 1.0, "width": 8, "draws": 2, **RATES, **changes})


def test_an_early_stop_is_an_error():
    with pytest.raises(UnconvergedError) as caught:
        sample_flow(TASK, elastic_coupling=1.0, width=8, draws=2, max_evaluations=3, **RATES)
    assert caught.value.status is Status.STALLED
