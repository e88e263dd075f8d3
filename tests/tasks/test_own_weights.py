"""First layers of users' networks, and what is no first layer."""

import numpy as np
import pytest
import torch
import torch.nn.utils.prune

from infwidth.numerics.checks import InputError
from infwidth.tasks.own_data import data_for_weights
from infwidth.tasks.own_weights import own_weights

WEIGHTS = np.random.default_rng(0).standard_normal((32, 5)).astype(np.float32)
READOUT = torch.linspace(-1, 1, 64).view(2, 32)


def prune(layer):
    return torch.nn.utils.prune.random_unstructured(layer, "weight", 0.3)


@pytest.fixture
def network(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(5, 32, bias=False), torch.nn.ReLU(), torch.nn.Linear(32, 1))
    model[0].weight.data = torch.from_numpy(WEIGHTS)
    torch.save(model.state_dict(), tmp_path / "net.pt")
    biased = {"first.weight": torch.from_numpy(WEIGHTS), "first.bias": torch.arange(32.0), "last.weight": READOUT}
    torch.save(biased | {"odd.weight": torch.ones(32, 5), "odd.bias": torch.ones(3)}, tmp_path / "biased.pth")
    torch.save(model, tmp_path / "whole.pt")
    np.savez(tmp_path / "net.npz", w1=WEIGHTS, w2=WEIGHTS[:, :1], other=WEIGHTS[:20], few=WEIGHTS[:3],
             a=np.ones(32), gone=np.full(32, np.nan))  # fmt: skip
    (tmp_path / "text.pt").write_text("no weights")
    wrapped = {"epoch": 3, "optimizer": {"lr": 0.1}, "state_dict": {f"model.{key}": one for key, one in biased.items()}}
    torch.save(wrapped, tmp_path / "checkpoint.pt")
    torch.save({"module.0.weight": torch.from_numpy(WEIGHTS).to_sparse()}, tmp_path / "sparse.pt")
    torch.save({"fc.weight": torch.from_numpy(WEIGHTS.T.copy())}, tmp_path / "turned.pt")
    torch.save({"fc.weight": torch.from_numpy(WEIGHTS) + 1j}, tmp_path / "complex.pt")
    torch.save({"fc.weight": torch.ones(32, 5, 3, 3)}, tmp_path / "image.pt")
    torch.save({"fc.weight": torch.empty(32, 5, device="meta")}, tmp_path / "meta.pt")
    torch.save({"a.fc.weight": torch.ones(32, 5), "b.fc.weight": torch.ones(32, 5)}, tmp_path / "two.pt")
    torch.save({"steps": 3}, tmp_path / "none.pth")
    torch.save({f"layer{i}.weight": torch.ones(9, 9) for i in range(30)}, tmp_path / "deep.pt")
    for name, wrap in (("new", torch.nn.utils.parametrizations.weight_norm), ("old", prune)):
        torch.save(torch.nn.Sequential(wrap(torch.nn.Linear(5, 32))).state_dict(), tmp_path / f"{name}.pt")
    (tmp_path / "folder.pt").mkdir()
    np.savez(tmp_path / "beside.npz", w1=WEIGHTS, names=np.array([None, 1], dtype=object), words=np.array(["a"]))
    return tmp_path


@pytest.mark.parametrize(
    "place",
    ["net.pt", "net.pt:0", "net.pt:0.weight", "net.npz:w1", "beside.npz", "beside.npz:w1", "sparse.pt", "sparse.pt:0"],
)
def test_a_layer_is_found_by_name_or_shape(network, place):
    found = own_weights(f"{network}/{place}", 5)
    assert np.array_equal(found.weights, WEIGHTS)
    assert found.bias is None
    assert found.readout is None


@pytest.mark.parametrize(
    ("place", "readout", "shape"),
    [
        ("net.pt:0", "2", (1, 32)),
        ("net.npz:w1", "a", (1, 32)),
        ("biased.pth:first", "last.weight", (2, 32)),
        ("checkpoint.pt:first", "last", (2, 32)),
        ("checkpoint.pt:model.first", "state_dict.model.last.weight", (2, 32)),
    ],
)
def test_the_readout_lies_in_the_same_file(network, place, readout, shape):
    found = own_weights(f"{network}/{place}", 5, readout)
    assert found.readout.shape == shape
    assert np.array_equal(found.weights, WEIGHTS)
    assert (found.bias is None) == ("first" not in place)


@pytest.mark.parametrize(
    ("place", "readout", "words"),
    [
        ("net.pt:0", "last", "no layer 'last'"),
        ("net.npz:w1", "other", "other: has shape (20, 5); expected (outputs, 32)"),
        ("net.npz:w1", "gone", "gone: holds NaN"),
    ],
)
def test_what_is_no_readout_ends_in_one_line(network, place, readout, words):
    with pytest.raises(InputError) as caught:
        own_weights(f"{network}/{place}", 5, readout)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("net.npz", "more than one matrix of 5 columns, w1, other, few"),
        ("net.npz:w2", "has shape (32, 1)"),
        ("net.npz:few", "at least 16 neurons"),
        ("net.npz:none", "no layer 'none'"),
        ("none.npz:w1", "no such file"),
        ("none.pt", "no such file"),
        ("net.bin", "suffix '.bin'"),
        ("biased.pth:odd", "odd.bias: has shape (3,); expected (32,), one a neuron"),
        ("turned.pt", "no matrix of 5 columns (it has fc.weight (5, 32))"),
        ("turned.pt:fc", "has shape (5, 32); expected (neurons, 5)"),
        ("complex.pt", "found complex numbers"),
        ("image.pt:fc", "has shape (32, 5, 3, 3)"),
        ("meta.pt", "fc.weight: can't be read"),
        ("two.pt:fc", "more than one layer 'fc', a.fc.weight, b.fc.weight"),
        ("none.pth", "holds dict without tensors"),
        ("deep.pt:fc", "layer7.weight (9, 9), …)"),
        ("beside.npz:names", "pickled Python objects"),
        ("beside.npz:words", "found text"),
        ("net.pt:weight", "more than one layer 'weight', 0.weight, 2.weight"),
        ("new.pt", "original1: is a part that the layer's weight is computed from"),
        ("old.pt:0.weight_orig", "weight_orig: is a part"),
        ("folder.pt", "is a folder"),
        ("whole.pt", "can't be read"),
        ("text.pt", "can't be read"),
    ],
)
def test_what_is_no_layer_ends_in_one_line(network, place, words):
    with pytest.raises(InputError) as caught:
        own_weights(f"{network}/{place}", 5)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_preactivations_stay_when_inputs_are_scaled(network):
    x = 7 * np.random.default_rng(1).standard_normal((20, 5)) + 3
    np.savez(network / "target.npz", x=x, y=np.arange(20) % 2)
    data = data_for_weights(network / "target.npz", f"{network}/net.pt:0")
    np.testing.assert_allclose(np.square(data.x_target).mean(), 1)
    np.testing.assert_allclose(data.x_target @ data.weights.T / np.sqrt(5), x @ WEIGHTS.T, rtol=1e-6)
    assert "32 neurons" in data.notes[0]


def test_biases_are_weights_of_a_constant_input(network):
    x = 7 * np.random.default_rng(1).standard_normal((20, 5)) + 3
    np.savez(network / "target.npz", x=x, y=np.arange(20) % 2)
    data = data_for_weights(network / "target.npz", f"{network}/biased.pth:first", readout="last")
    assert data.x_target.shape == (20, 6)
    np.testing.assert_allclose(
        data.x_target @ data.weights.T / np.sqrt(6), x @ WEIGHTS.T + np.arange(32), rtol=1e-6, atol=1e-5
    )
    assert data.readout.shape == (2, 32)
    assert "biases are weights of a constant input" in data.notes[0]
