"""Networks of several outputs: forces, one output as a special case, shapes, and who refuses them."""

import dataclasses

import numpy as np
import pytest
import torch
from builders import changed, linear_teachers, several_teachers

from infwidth.networks import gradient_flow, langevin
from infwidth.networks.two_layer.model import Evaluator, predict
from infwidth.numerics.activations import Activation, get_activation
from infwidth.numerics.checks import InputError

RUN = {
    "source_strength": 0.8, "target_strength": 0.7, "elastic_coupling": [0.0, 2.0], "inverse_temperature": 5.0,
    "width": 16, "seeds": (0, 3), "burn_in_time": 4.0, "sampling_time": 4.0, "strict": False,
}  # fmt: skip


def networks(count=2, outputs=3, samples=4, dimension=5, width=8):
    generator = torch.Generator().manual_seed(0)
    shapes = (count, outputs, width), (count, dimension, width), (count, samples, dimension), (count, samples, outputs)
    arrays = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return *arrays, torch.tensor([0.5, 0.8], dtype=torch.float64)


@pytest.mark.parametrize("activation", ["linear", "relu", "erf"])
def test_forces_are_gradients_and_probes_the_tangent_kernel(activation):
    phi, (readout, hidden, inputs, labels, strength) = get_activation(activation), networks()
    weights = [part.requires_grad_() for part in (readout, hidden)]

    def outputs(w, h):
        return phi.value(inputs @ h) @ w.mT / (strength[:, None, None] * 8)

    loss = 0.5 * (outputs(*weights) - labels).square().sum((1, 2))
    gradients = torch.autograd.grad((loss * strength * 8).sum(), weights)
    evaluator, (readout, hidden) = Evaluator(phi), (part.detach() for part in weights)
    found = evaluator.respond(readout, hidden, inputs, labels, strength)
    torch.testing.assert_close(found.output, outputs(readout, hidden))
    torch.testing.assert_close(found.readout_force, -gradients[0])
    torch.testing.assert_close(found.slopes, -gradients[1])
    vector, shares = torch.randn_like(labels), (torch.tensor([0.3, 1.0]).double(), torch.tensor([2.0, 0.7]).double())
    _, (by_readout, by_hidden) = torch.autograd.functional.vjp(outputs, (readout, hidden), vector)
    pushed = [by_readout * shares[0][:, None, None], by_hidden * shares[1][:, None, None]]
    _, wanted = torch.autograd.functional.jvp(outputs, (readout, hidden), tuple(pushed))
    found = evaluator.probe(vector, shares, readout, inputs)
    torch.testing.assert_close(found, wanted * (strength**2 * 8)[:, None, None])
    one = predict(readout[0], hidden[0], inputs[0], float(strength[0]), phi)
    torch.testing.assert_close(one, outputs(readout, hidden)[0])


@pytest.mark.parametrize("sampler", ["hmc", "langevin"])
def test_a_column_is_the_vector(sampler):
    task = linear_teachers()
    column = changed(task, source_labels=lambda y: y[:, None], target_labels=lambda y: y[:, None])
    one, other = (langevin.run(each, activation="erf", sampler=sampler, **RUN) for each in (task, column))
    np.testing.assert_allclose(other.prediction[..., 0], one.prediction, rtol=1e-6, atol=1e-8)
    for name in ("train_loss", "test_loss", "sampled_test_loss", "kernel"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-6)
        np.testing.assert_allclose(other.stderr[name], one.stderr[name], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("sampler", ["hmc", "langevin"])
def test_shapes_and_losses(sampler):
    task = several_teachers(source_outputs=2)
    found = langevin.run(task, activation="relu", sampler=sampler, **RUN)
    assert found.prediction.shape == found.stderr["prediction"].shape == (2, 50, 3)
    assert found.test_loss.shape == found.train_loss.shape == found.sampled_test_loss.shape == (2,)
    alone = langevin.run(task, activation="relu", sampler=sampler, **RUN | {"seeds": (3,), "elastic_coupling": 2.0})
    assert alone.test_loss == pytest.approx(np.mean((alone.prediction - task.y_test) ** 2))
    pair = [langevin.run(task, activation="relu", sampler=sampler, **RUN | {"seeds": (seed,)}) for seed in (0, 3)]
    np.testing.assert_array_equal(found.prediction, np.mean([one.prediction for one in pair], 0))
    np.testing.assert_array_equal(alone.prediction, pair[1].prediction[1])


@pytest.mark.parametrize("part", ["source", "target"])
def test_gradient_flow_refuses_them_in_one_line(part):
    task = linear_teachers()
    names = ("y_source",) if part == "source" else ("y_target", "y_test")
    task = dataclasses.replace(task, **{name: np.stack([getattr(task, name)] * 3, 1) for name in names})
    with pytest.raises(InputError, match=rf"{names[0]} has shape \(\d+, 3\): gradient flow covers one out") as caught:
        gradient_flow.run(
            task, activation="relu", source_strength=1.0, target_strength=1.0, elastic_coupling=1.0, weight_decay=0.1,
            source_time=1.0, target_times=[1.0], width=8,
        )  # fmt: skip
    assert "\n" not in str(caught.value)


def test_labels_that_may_be_of_networks_or_outputs_are_not_guessed():
    """(P, 3) beside inputs (P, D) is refused; with inputs of each network (2, P, 3) is read."""
    x, y = np.ones((4, 2)), np.ones((4, 3))
    common = {"activation": "relu", "source_strength": 0.5, "inverse_temperature": 1.0, "width": 8, "seeds": (0, 1)}
    with pytest.raises(InputError, match=r"labels \(4, 3\): expected .*\(2, P, or C outputs\)"):
        langevin.sample_source(x, y, **common)
    found = langevin.sample_source(np.stack([x] * 2), np.stack([y] * 2), burn_in_time=1.0, **common)
    assert found.readout.shape == (2, 3, 8)
    with pytest.raises(InputError, match=r"labels \(2, 4, 3\): expected"):
        gradient_flow.train_source(
            np.stack([x] * 2), np.stack([y] * 2), activation="relu", source_strength=0.5, weight_decay=0.0, time=1.0,
            width=8, seeds=(0, 1),
        )  # fmt: skip


@pytest.mark.parametrize("outputs", [None, 3])
def test_linear_networks_sum_over_neurons_first(outputs):
    """What is faster of φ(h) = h is what any activation's evaluation gives."""
    linear = get_activation("linear")
    plain = Activation.of("identity", lambda h: h, torch.ones_like, homogeneity=1, growth=1)
    readout, hidden, inputs, labels, strength = networks(outputs=outputs or 1)
    readout, labels = (readout, labels) if outputs else (readout[:, 0], labels[:, :, 0])
    shares = strength, strength.square()
    fast, slow = Evaluator(linear), Evaluator(plain)
    found, wanted = (each.respond(readout, hidden, inputs, labels, strength) for each in (fast, slow))
    assert outputs or found.slopes.shape == (2, 5, 1)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one.expand_as(other), other)
    torch.testing.assert_close(found.steepest, wanted.steepest)
    one, other = (each.probe(labels, shares, readout, inputs) for each in (fast, slow))
    torch.testing.assert_close(one, other)
    for offset in (None, torch.linspace(-1, 1, 4 * 8, dtype=torch.float64).view(4, 8)):
        one, other = (predict(readout[0], hidden[0], inputs[0], 0.5, phi, offset) for phi in (linear, plain))
        torch.testing.assert_close(one, other)
