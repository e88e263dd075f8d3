"""A user's network in place of source data: its scale, and what the estimators make of it."""

import dataclasses
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone

from infwidth.applied import InfiniteWidthTransfer, InfiniteWidthTransferClassifier
from infwidth.applied.given_network import GivenNetwork
from infwidth.networks.gradient_flow import train_source
from infwidth.numerics.checks import InputError
from infwidth.tasks import linear
from infwidth.tasks.own_weights import balance
from infwidth.theory import bayes

TASK = linear(dimension=12, overlap=0.95, n_source=80, n_target=12, n_test=200, seed=3)
TARGET = (TASK.x_target, TASK.y_target)
SCALES = {"source_strength": 0.4, "target_strength": 0.4, "inverse_temperature": 20.0, "particles": 512}


@pytest.fixture(scope="module")
def network():
    """Layers W (N, D) and a (N,) of a linear source network after gradient flow without decay."""
    found = train_source(
        TASK.x_source, TASK.y_source, activation="linear", source_strength=0.4, weight_decay=0.0, time=8.0, width=2000,
        seeds=(0,),
    )  # fmt: skip
    hidden, readout = found.hidden[0].numpy(), found.readout[0].numpy()
    return hidden / math.sqrt(12), readout / (0.4 * len(hidden))


def model(activation="linear", coupling=10.0, **changes):
    return InfiniteWidthTransfer(activation=activation, elastic_coupling=coupling, **SCALES | changes)


def loss(estimator):
    return np.square(estimator.predict(TASK.x_test) - TASK.y_test).mean()


@pytest.mark.parametrize("outputs", [1, 3, 14])
@pytest.mark.parametrize("factor", [1e-3, 1.0, 50.0])
def test_balanced_weights_have_the_flows_scale_whatever_they_had(outputs, factor):
    rng = np.random.default_rng(outputs)
    hidden, readout = factor * rng.standard_normal((40, 6)), rng.standard_normal((outputs, 40)) / factor
    scale = balance(hidden, readout)
    first, second = np.square(hidden / scale).sum(1).mean(), np.square(scale * readout).sum(0).mean()
    np.testing.assert_allclose(first - second, 6 - outputs, rtol=1e-9, atol=1e-9 * (first + second))
    np.testing.assert_allclose(balance(7 * hidden, readout / 7), 7 * scale)


def test_a_network_trained_by_the_flow_keeps_its_scale(network):
    """What gradient flow conserves, up to the 1/√N of its draw: readout and strength are read as they are meant."""
    weights, readout = network
    anchor = GivenNetwork.of(weights, readout).anchor(1.0, activation="linear", strength=0.4)
    np.testing.assert_allclose(anchor, weights * math.sqrt(12), rtol=0.02)
    far = GivenNetwork.of(5 * weights, readout / 5).anchor(1.0, activation="linear", strength=0.4)
    np.testing.assert_allclose(far, anchor, rtol=1e-9)


@pytest.mark.parametrize("activation", ["linear", "relu"])
@pytest.mark.parametrize("kind", [InfiniteWidthTransfer, InfiniteWidthTransferClassifier])
def test_the_split_of_a_homogeneous_networks_scale_makes_no_difference(network, activation, kind):
    weights, readout = network
    y = TASK.y_target if kind is InfiniteWidthTransfer else TASK.y_target > 0
    settings = {"activation": activation, "elastic_coupling": 10.0, **SCALES}
    found = [
        kind(**settings).give_source(c * weights[:200], readout[:200] / c).fit(TASK.x_target, y)._outputs(TASK.x_test)
        for c in (0.1, 1.0, 30.0)
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-4 if activation == "linear" else 1e-2)
    alone = [kind(**settings).give_source(c * weights[:200]).fit(TASK.x_target, y)._outputs(TASK.x_test)
             for c in (1.0, 30.0)]  # fmt: skip
    assert np.abs(alone[1] - alone[0]).max() > 0.1


@pytest.mark.parametrize("activation", ["linear", "erf"])
@pytest.mark.parametrize("coupling", [0.0, 10.0, math.inf])
def test_predictions_are_the_theorys_with_those_weights(network, activation, coupling):
    weights = network[0][:300]
    fitted = model(activation, coupling).give_source(weights).fit(*TARGET)
    size = np.sqrt(np.square(TASK.x_target).mean())
    scaled = dataclasses.replace(
        TASK, x_target=TASK.x_target / size, x_test=TASK.x_test / size, y_target=fitted.label_scale_(TASK.y_target)
    )
    known = bayes.solve(
        scaled, activation=activation, elastic_coupling=coupling, source_weights=weights * size * math.sqrt(12),
        strict=False, evidence=False, **SCALES,
    )  # fmt: skip
    left = fitted.label_scale_(fitted.predict(TASK.x_test)) - known.prediction
    error = np.sqrt(np.square(known.stderr["prediction"]).mean())
    assert np.sqrt(np.square(left).mean()) < 4 * error + (1e-8 if activation == "linear" else 0.04)


def test_a_given_network_helps_as_its_data_do(network):
    scratch = loss(model(coupling=0.0).fit(*TARGET))
    with_data = loss(model().fit_source(TASK.x_source, TASK.y_source).fit(*TARGET))
    given = model(coupling="auto").give_source(*network)
    tied = loss(given.fit(*TARGET))
    assert given.elastic_coupling_ > 0
    assert tied < 0.8 * scratch
    assert loss(model().give_source(*network).fit(*TARGET)) < with_data + 0.3 * (scratch - with_data)
    assert tied == loss(clone(given).fit(*TARGET)) == loss(pickle.loads(pickle.dumps(given)))
    assert (
        loss(given.fit_source(TASK.x_source, TASK.y_source).set_params(elastic_coupling=10.0).fit(*TARGET)) == with_data
    )


def test_finetuning_starts_from_the_given_neurons(network):
    fitted = model(coupling=math.inf).give_source(network[0][:100], network[1][:100]).fit(*TARGET)
    module = fitted.finetune(time=2.0)
    hidden = module.hidden[0].detach().numpy()
    assert hidden.shape == (200, 12)
    np.testing.assert_allclose(hidden[:100], fitted.source_weights_, rtol=1e-6)  # δ = ∞ holds them
    assert np.isfinite(module(torch.tensor(TASK.x_test)).detach().numpy()).all()
    with pytest.raises(InputError, match="width = 40: expected 200, twice the given neurons"):
        fitted.finetune(width=40)


@pytest.mark.parametrize(
    ("weights", "readout", "activation", "words"),
    [
        (np.ones((5, 12)), None, "linear", "at least 16 neurons"),
        (np.ones(12), None, "linear", "shape (12,)"),
        (np.ones((20, 7)), None, "linear", "X has 12 features, the source 7"),
        (np.full((20, 12), np.nan), None, "linear", "NaN"),
        (np.full((20, 12), "a"), None, "linear", "text"),
        (np.zeros((20, 12)), None, "erf", "preactivations are about 0e+00"),
        (np.full((20, 12), 1e60), None, "linear", "expected them of order 1; pass a trained layer"),
        (np.full((20, 12), 1e-200), None, "relu", "expected them of order 1"),
        (np.ones((12, 20)), None, "linear", "shape (12, 20); expected (neurons, inputs)"),
        (np.ones((1, 20, 12)), None, "linear", "shape (1, 20, 12)"),
        (np.ones((20, 12)) + 0j, None, "linear", "complex"),
        (np.ma.masked_greater(np.ones((20, 12)), 0), None, "linear", "240 masked entries"),
        (torch.ones(20, 12, requires_grad=True), None, "linear", "detach"),
        (torch.nn.Linear(12, 20), None, "linear", "Python objects"),
        ("net.pt", None, "linear", "text"),
        (np.ones((20, 12)), np.ones((20, 1)), "linear", "readout: has shape (20, 1)"),
        (np.ones((20, 12)), np.ones(12), "linear", "readout: has shape (12,)"),
        (np.ones((20, 12)), np.ones((2, 2, 20)), "linear", "readout: has shape (2, 2, 20)"),
        (np.ones((20, 12)), np.full(20, np.inf), "relu", "readout: holds NaN or infinite"),
        (np.ones((20, 12)), np.zeros(20), "relu", "0 everywhere"),
        (np.ones((20, 12)), np.ones(20), "erf", "'erf' isn't 1-homogeneous"),
    ],
)
def test_bad_networks_end_in_one_line(weights, readout, activation, words):
    with pytest.raises(InputError) as caught:
        model(activation).give_source(weights, readout).fit(*TARGET)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert "; " in str(caught.value)
