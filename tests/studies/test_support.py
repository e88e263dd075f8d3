"""Supports of Ω: their kernels, what they can't learn, and what that does to the loss as the width grows."""

import math

import pytest
import torch

from infwidth.adam_ntk.random_features import SUPPORTS, draw_hidden, features
from infwidth.adam_ntk.support_kernels import least_loss, support_kernel
from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies.support import run

SMALL = {"dimension": 4, "samples": 60, "test_samples": 50, "widths": [8, 32], "steps": 12}


def table(**settings):
    return make_table({"experiment": "e", "seed": 0, **row} for row in run(seed=0, **(SMALL | settings)))


class TestKernels:
    @pytest.mark.parametrize("support", SUPPORTS)
    @pytest.mark.parametrize("d", [4, 5])
    def test_against_many_features(self, support, d):
        x = torch.randn(6, d, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        x[1] = -x[0]
        g = features(x, draw_hidden(200_000, d, support=support, seed=1).double(), "relu")
        found = support_kernel(x, x[:4], support)
        torch.testing.assert_close(found, g @ g[:4].T / 200_000, rtol=0, atol=0.03 * found.max().item())

    def test_half_space_differs_from_full_support(self):
        x = torch.tensor([[1.0, 0.5], [-1.0, 0.5]], dtype=torch.float64)
        full, half = (support_kernel(x, x, support) for support in ("gaussian", "half_space"))
        assert half[0, 0] > 1.2 * full[0, 0]
        assert half[1, 1] < 0.8 * full[1, 1]
        # turned by ω → −ω the other half is the same kernel at −x
        torch.testing.assert_close((half + support_kernel(-x, -x, "half_space")) / 2, full)

    def test_unknown(self):
        with pytest.raises(InputError, match="did you mean 'gaussian'"):
            support_kernel(torch.zeros(1, 2), torch.zeros(1, 2), "gausian")


class TestLeastLoss:
    def test_against_means_given_what_is_seen(self):
        u = torch.tensor([0.6, 0.0, 0.8, 0.0], dtype=torch.float64)
        random = torch.Generator().manual_seed(0)
        seen = 0.6 * torch.randn(4000, 1, generator=random, dtype=torch.float64)
        y = 2**0.5 * (seen + 0.8 * torch.randn(4000, 2000, generator=random, dtype=torch.float64)).relu()
        assert least_loss(u, "rank_deficient") == pytest.approx(y.var(1).mean().item(), rel=0.05)

    @pytest.mark.parametrize("support", ["gaussian", "half_space"])
    def test_nothing_is_lost(self, support):
        assert least_loss(torch.tensor([0.6, 0.8], dtype=torch.float64), support) == pytest.approx(0, abs=1e-9)

    def test_ends(self):
        blind, seen = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 0.0])
        assert least_loss(seen, "rank_deficient") == 0
        assert least_loss(blind, "rank_deficient") == pytest.approx(1 - 1 / math.pi)  # Var y


def test_a_blind_support_saturates_and_a_half_space_only_lags():
    found = table(dimension=6, samples=400, test_samples=400, widths=[32, 512], steps=200, recorded=2)
    assert set(found["time"].dropna()) == {100.0, 200.0}
    losses = select(found, metric="test_loss", time=200)

    def loss(target, support, width):
        return select(losses, dataset=f"ReLU neuron, {target}", condition=support, width=width)["value"].item()

    for target in ("spread", "opposed"):
        assert loss(target, "gaussian", 512) < 0.5 * loss(target, "gaussian", 32)
        assert loss(target, "gaussian", math.inf) < 0.05
    # half of the coordinates: of the first target a part is lost at any width, of the second nothing
    least = select(found, metric="least_loss", condition="rank_deficient", dataset="ReLU neuron, spread")[
        "value"
    ].item()
    for width in (32, 512, math.inf):
        assert 0.9 * least < loss("spread", "rank_deficient", width) < 2 * least
    assert least > 0.3
    assert loss("opposed", "rank_deficient", 512) < 0.02
    # half of the directions: a larger loss that falls with the width and with training, by larger weights
    half = loss("opposed", "half_space", 512)
    assert 2 * loss("opposed", "gaussian", 512) < half < 0.5 * loss("opposed", "half_space", 32)
    assert loss("opposed", "half_space", math.inf) < half
    early = select(
        found, metric="test_loss", time=100, condition="half_space", width=512, dataset="ReLU neuron, opposed"
    )
    assert half < 0.8 * early["value"].item()
    norms = select(found, metric="readout_norm", time=200, width=math.inf, dataset="ReLU neuron, opposed")
    norms = norms.set_index("condition")["value"]
    assert norms["half_space"] > 2 * norms["gaussian"]


def test_rows():
    found = table()
    assert set(found["status"]) == {"converged"}
    assert sorted(set(found["time"].dropna())) == [1.0, 3.0, 6.0, 12.0]
    assert len(select(found, kind="network")) == 3 * 2 * 2 * 4 * 3  # supports, targets, widths, times, metrics
    assert select(found, width=8, metric="test_loss")["stderr"].min() > 0
    alone = table(targets=["opposed"], supports=["gaussian"])  # targets do not touch each other
    both = select(found, dataset="ReLU neuron, opposed", condition="gaussian", kind="network")
    assert select(alone, kind="network")["value"].tolist() == pytest.approx(both["value"].tolist(), rel=1e-5)


def test_diverged_trainings_are_rows():
    found = table(optimisers=["sgd"], learning_rates={"sgd": 1e30})
    late = select(found, time=12, metric="test_loss")
    assert set(late["status"]) == {"diverged"}
    assert late["value"].isna().all()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"dimension": 1}, "dimension = 1: expected a whole number ≥ 2"),
        ({"supports": ["half"]}, r"supports\[0\] = 'half'"),
        ({"targets": ["spead"]}, "did you mean 'spread'"),
        ({"widths": [-1]}, r"widths\[0\] = -1"),
        ({"recorded": 0}, "recorded = 0"),
        ({"optimisers": ["adam_star_layer"]}, "optimisers"),
    ],
)
def test_bad_settings(changes, match):
    with pytest.raises(InputError, match=match):
        run(seed=0, **(SMALL | changes))
