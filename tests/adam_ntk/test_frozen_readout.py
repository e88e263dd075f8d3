"""The explicit block: its formula, and what is trained of it."""

import pytest
import torch
from torch import nn

from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.adam_ntk.random_features import features
from infwidth.networks.transformer.model import TrainedReadout
from infwidth.numerics.checks import InputError


class TestFrozenReadout:
    @pytest.mark.parametrize("bias", [False, True])
    @pytest.mark.parametrize("activation", ["relu", "erf", "linear"])
    def test_is_the_trained_block_at_the_start(self, activation, bias):
        x = torch.randn(4, 5, 7, generator=torch.Generator().manual_seed(0), requires_grad=True)
        settings = {"width": 20, "activation": activation, "bias": bias, "seed": 3}
        frozen, trained = FrozenReadout(7, 2, **settings), TrainedReadout(7, 2, **settings)
        assert not frozen(x).any()
        readout = torch.randn(2, 20, generator=torch.Generator().manual_seed(1))
        for block in (frozen, trained):
            block.readout.data.copy_(readout)
        torch.testing.assert_close(frozen(x), trained(x))
        torch.testing.assert_close(frozen(x), features(x, frozen.hidden, activation) @ readout.T / 20)
        found, expected = (torch.autograd.grad(block(x).square().sum(), x)[0] for block in (frozen, trained))
        torch.testing.assert_close(found, expected)

    def test_only_the_readout_is_trained(self):
        block = FrozenReadout(3, 2, width=5, seed=0)
        assert [name for name, _ in block.named_parameters()] == ["readout"]
        assert set(block.state_dict()) == {"readout", "hidden"}
        assert block.double().hidden.dtype == torch.float64

    def test_scaled_so_that_width_matters_little(self):
        x, target = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)).split([20, 10])
        moved = []
        for width in (100, 10_000):
            block = FrozenReadout(4, 1, width=width, seed=0)
            block(x).sum().backward()
            block.readout.data -= width * block.readout.grad
            moved.append(block(target).norm().item())
        assert moved[1] == pytest.approx(moved[0], rel=0.2)

    def test_support(self):
        block = FrozenReadout(4, 1, width=8, support="rank_deficient", seed=0)
        nn.init.normal_(block.readout)
        x = torch.randn(3, 4)
        changed = torch.cat([x[:, :2], torch.randn(3, 2)], dim=1)
        assert torch.equal(block(x), block(changed))

    def test_tells_its_settings(self):
        assert "width=8, activation='erf', bias=True, support='gaussian'" in repr(
            FrozenReadout(4, 1, width=8, activation="erf", bias=True, seed=0)
        )

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"width": 0}, "width = 0: expected a whole number ≥ 1"),
            ({"in_features": 0}, "in_features = 0"),
            ({"out_features": 1.5}, "out_features = 1.5"),
            ({"seed": -1}, "seed = -1"),
            ({"activation": "rely"}, "activation = 'rely': .*did you mean 'relu'"),
            ({"support": "gausian"}, "support = 'gausian': .*did you mean 'gaussian'"),
        ],
    )
    def test_bad_arguments(self, changes, match):
        with pytest.raises(InputError, match=match) as found:
            FrozenReadout(**({"in_features": 3, "out_features": 2, "width": 4, "seed": 0} | changes))
        assert "\n" not in str(found.value)

    def test_inputs_of_another_size(self):
        with pytest.raises(InputError, match="x has 3 features: expected 4"):
            FrozenReadout(4, 1, width=2, bias=True, seed=0)(torch.zeros(2, 3))
