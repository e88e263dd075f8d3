"""First layers of users' networks, and what is no first layer."""

import numpy as np
import pytest
import torch

from infwidth.numerics.checks import InputError
from infwidth.tasks.own_data import data_for_weights
from infwidth.tasks.own_weights import own_weights

WEIGHTS = np.random.default_rng(0).standard_normal((32, 5)).astype(np.float32)


@pytest.fixture
def network(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(5, 32, bias=False), torch.nn.ReLU(), torch.nn.Linear(32, 1))
    model[0].weight.data = torch.from_numpy(WEIGHTS)
    torch.save(model.state_dict(), tmp_path / "net.pt")
    torch.save({"first.weight": torch.ones(32, 5), "first.bias": torch.ones(32)}, tmp_path / "biased.pth")
    torch.save(model, tmp_path / "whole.pt")
    np.savez(tmp_path / "net.npz", w1=WEIGHTS, w2=WEIGHTS[:, :1], other=WEIGHTS[:20], few=WEIGHTS[:3])
    (tmp_path / "text.pt").write_text("no weights")
    return tmp_path


@pytest.mark.parametrize("place", ["net.pt", "net.pt:0", "net.pt:0.weight", "net.npz:w1"])
def test_a_layer_is_found_by_name_or_shape(network, place):
    assert np.array_equal(own_weights(f"{network}/{place}", 5), WEIGHTS)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("net.npz", "3 matrices of 5 columns"),
        ("net.npz:w2", "has shape (32, 1)"),
        ("net.npz:few", "at least 16 neurons"),
        ("net.npz:none", "no layer 'none'"),
        ("none.npz:w1", "no such file"),
        ("none.pt", "no such file"),
        ("net.bin", "suffix '.bin'"),
        ("biased.pth:first", "comes with a bias"),
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
