"""The transformer and its trained block."""

import pytest
import torch
from language_builders import D, T, V, model
from torch import nn

from infwidth.networks.transformer.model import TrainedReadout
from infwidth.numerics.checks import InputError


class TestTransformer:
    def test_no_token_sees_a_later_one(self):
        net = model()
        nn.init.normal_(net.mlp_blocks()[0].readout)
        tokens = torch.randint(0, V, (3, T), generator=torch.Generator().manual_seed(0))
        changed = tokens.clone()
        changed[:, 5:] = (changed[:, 5:] + 1) % V
        before, after = net(tokens), net(changed)
        assert before.shape == (3, T, V)
        torch.testing.assert_close(before[:, :5], after[:, :5])
        assert not torch.allclose(before[:, 5:], after[:, 5:])
        torch.testing.assert_close(net(tokens[:, :5]), before[:, :5])

    def test_blocks_are_plugged_in_per_layer_and_see_rows(self):
        seen = []

        class Block(nn.Module):
            def forward(self, x):
                seen.append(x.shape)
                return torch.zeros_like(x)

        blocks = [None, Block(), Block()]
        net = model(lambda layer: blocks[layer], layers=3)
        assert net.mlp_blocks() == blocks[1:]
        tokens = torch.zeros(2, T, dtype=torch.long)
        out = net(tokens)
        assert seen == [(2 * T, D)] * 2
        torch.testing.assert_close(out, model(lambda layer: None, layers=3)(tokens))

    def test_the_rest_starts_alike_whatever_the_blocks(self):
        whole, without, wide = (
            model(),
            model(lambda layer: None),
            model(lambda i: TrainedReadout(D, D, width=9, seed=i)),
        )
        named = dict(without.named_parameters())
        for name, value in without.state_dict().items():
            assert torch.equal(value, whole.state_dict()[name])
            assert torch.equal(value, wide.state_dict()[name])
        rest = whole.backbone_parameters()
        blocks = [p for block in whole.mlp_blocks() for p in block.parameters()]
        assert len(rest) + len(blocks) == len(list(whole.parameters()))
        assert len(rest) == len(named) + 2 * 2  # and the norms before the blocks
        assert not torch.equal(model(seed=6).positions, whole.positions)
        global_state = torch.get_rng_state()
        model()
        assert torch.equal(torch.get_rng_state(), global_state)

    def test_first_prediction_is_nearly_uniform(self):
        logits = model()(torch.randint(0, V, (4, T)))
        assert logits.std() < 0.6

    @pytest.mark.parametrize(
        ("changes", "match"),
        [({"heads": 5}, "heads = 5: expected a divisor of model_width = 12"), ({"layers": 0}, "layers = 0"),
         ({"heads": 0}, "heads = 0"), ({"seed": -1}, "seed = -1")],
    )  # fmt: skip
    def test_bad_arguments(self, changes, match):
        with pytest.raises(InputError, match=match):
            model(**changes)


class TestTrainedReadout:
    @pytest.mark.parametrize("bias", [False, True])
    @pytest.mark.parametrize("activation", ["relu", "erf", "linear"])
    def test_is_the_formula(self, activation, bias):
        block = TrainedReadout(7, 3, width=20, activation=activation, bias=bias, seed=0).double()
        x = torch.randn(4, 5, 7, dtype=torch.float64)
        assert not block(x).any()
        nn.init.normal_(block.readout)
        h = x @ block.hidden[:, :7].T / 7**0.5 + (block.hidden[:, 7] if bias else 0)
        features = {"relu": 2**0.5 * h.relu(), "erf": h.erf(), "linear": h}[activation]
        torch.testing.assert_close(block(x), features @ block.readout.T / 20)

    def test_features_have_the_arc_cosine_kernel(self):
        x = torch.randn(2, 7, generator=torch.Generator().manual_seed(1))
        block = TrainedReadout(7, 100_000, width=1, seed=0)  # shapes only
        width = 200_000
        block = TrainedReadout(7, 1, width=width, seed=0)
        features = 2**0.5 * (x @ block.hidden.T / 7**0.5).relu()
        found = features[0] @ features[1] / width
        norms = x.norm(dim=1)
        angle = torch.arccos(x[0] @ x[1] / norms.prod())
        expected = norms.prod() / (torch.pi * 7) * (angle.sin() + (torch.pi - angle) * angle.cos())
        torch.testing.assert_close(found, expected, rtol=0.02, atol=0)

    def test_bad_arguments(self):
        with pytest.raises(InputError, match="width = 0"):
            TrainedReadout(7, 3, width=0, seed=0)
        with pytest.raises(InputError, match=r"activation = 'rely': .*did you mean 'relu'"):
            TrainedReadout(7, 3, width=2, activation="rely", seed=0)
