"""Transformers whose blocks have infinitely many features: trained, killed, and in single precision."""

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from infwidth.adam_ntk.adam_star import make_optimiser
from infwidth.adam_ntk.dual_readout import DualReadout
from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.io.checkpoints import Checkpoint
from infwidth.networks.transformer.model import Transformer
from infwidth.networks.transformer.training import train
from infwidth.tasks.text import TextTask

V, T, WIDTH = 7, 6, 8


class Killed(Exception):
    """Stands for whatever ends a job."""


def language(at=None, **settings):
    """Train a transformer of dual blocks on a noisy cycle; killed at a step."""
    rng = np.random.default_rng(0)
    tokens = np.cumsum(np.where(rng.random(2000) < 0.8, 1, rng.integers(0, V, 2000))) % V
    text = TextTask(tokens[:1500], tokens[1500:1750], tokens[1750:], vocabulary=V)
    net = Transformer(
        V, T, model_width=WIDTH, layers=2, heads=2, seed=5, make_mlp=lambda layer: DualReadout(WIDTH, WIDTH, lr=0.02)
    )
    moving = [torch.optim.Adam(net.backbone_parameters(), lr=3e-3), *net.mlp_blocks()]

    def progress(fraction):
        if at is not None and round(24 * fraction) == at:
            raise Killed

    history = train(
        net, text, steps=24, batch=4, context=T, optimisers=moving, seed=3, evaluate_every=5, warmup=10,
        progress=progress, **settings,
    )  # fmt: skip
    return net, history


@pytest.fixture(scope="module")
def whole():
    return language()


class TestTransformer:
    def test_blocks_take_part(self, whole):
        net, history = whole
        assert all(block.steps == 24 for block in net.mlp_blocks())
        assert all(len(block.inputs) == 24 * 4 * T for block in net.mlp_blocks())
        assert all(block.coefficients.any() for block in net.mlp_blocks())
        assert all(block.lr == 0.02 for block in net.mlp_blocks())  # the warm-up is over
        assert history.train_loss[-1] < history.train_loss[0] - 0.05

    @pytest.mark.parametrize("at", [7, 18, 24])
    def test_killed_training_ends_in_the_same_bits(self, tmp_path, whole, at):
        kept = Checkpoint(tmp_path / "a.pt", "key", interval=0)
        with pytest.raises(Killed):
            language(at, checkpoint=kept)
        assert kept.path.exists()
        (expected_net, expected), (resumed, history) = whole, language(checkpoint=kept)
        states = expected_net.state_dict(), resumed.state_dict()
        assert states[0].keys() == states[1].keys()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
        np.testing.assert_array_equal(history.validation_loss, expected.validation_loss)
        assert history.test.mean_loss == expected.test.mean_loss

    def test_wide_explicit_blocks_train_alike(self):
        """One step of a whole network: the gradients that reach its other parts are those of the limit."""
        tokens = torch.randint(0, V, (4, T), generator=torch.Generator().manual_seed(0))

        def gradients(make, moving):
            net = Transformer(V, T, model_width=WIDTH, layers=2, heads=2, seed=5, make_mlp=make).double()
            optimisers = moving(net)
            for _ in range(3):
                net.zero_grad()
                cross_entropy(net(tokens).flatten(0, 1), tokens.flatten().roll(1)).backward()
                for one in optimisers:
                    one.step()
            return torch.cat([weight.grad.flatten() for weight in net.backbone_parameters()])

        limit = gradients(lambda layer: DualReadout(WIDTH, WIDTH, lr=0.3), lambda net: net.mlp_blocks())
        distances = []
        for width in (100, 10_000):
            found = gradients(
                lambda layer, h=width: FrozenReadout(WIDTH, WIDTH, width=h, seed=layer),
                lambda net: [make_optimiser("adam_star", [b.readout for b in net.mlp_blocks()], lr=0.3)],
            )
            distances.append(float((found - limit).norm() / limit.norm()))
        without = gradients(lambda layer: None, lambda net: [])
        assert distances[1] < 0.05
        assert distances[1] < 0.25 * distances[0]
        assert (without[: len(limit)].norm() - limit.norm()).abs() > 0.01 * limit.norm()
