"""A small transformer, a text and a training for tests."""

import numpy as np
import torch

from infwidth.networks.transformer.model import TrainedReadout, Transformer
from infwidth.networks.transformer.training import train
from infwidth.tasks.text import TextTask

V, T, D = 11, 8, 12


def readout(layer):
    return TrainedReadout(D, D, width=16, seed=layer)


def model(make_mlp=readout, **changes):
    return Transformer(V, T, **({"model_width": D, "layers": 2, "heads": 3, "make_mlp": make_mlp, "seed": 5} | changes))


def task(seed=0):
    """A noisy cycle: the next token is one more, four times in five."""
    rng = np.random.default_rng(seed)
    tokens = np.cumsum(np.where(rng.random(4000) < 0.8, 1, rng.integers(0, V, 4000))) % V
    return TextTask(tokens[:3000], tokens[3000:3500], tokens[3500:], vocabulary=V)


def adam(net, lr=3e-3):
    return torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=lr)


def optimisers(net):
    """Two, as in the study: Adam on the rest, momentum on the blocks."""
    blocks = [p for block in net.mlp_blocks() for p in block.parameters()]
    return [torch.optim.Adam(net.backbone_parameters(), lr=3e-3), torch.optim.SGD(blocks, lr=0.5, momentum=0.9)]


SETTINGS = {"steps": 24, "batch": 4, "context": T, "seed": 3, "evaluate_every": 5, "warmup": 10}


def run(net=None, *, optimisers=optimisers, on=None, **changes):
    net = model() if net is None else net
    return net, train(net, task() if on is None else on, optimisers=optimisers(net), **(SETTINGS | changes))


def same_bits(first, second):
    states = first.state_dict(), second.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def same_history(first, second):
    for name in ("steps", "train_loss", "validation_loss"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_array_equal(first.test.window_losses, second.test.window_losses)
    assert (first.validation.mean_loss, first.test.mean_loss) == (second.validation.mean_loss, second.test.mean_loss)
