"""ADAM* and its kin: against torch's optimisers, and a few lines of numpy."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from infwidth import adam_ntk
from infwidth.adam_ntk.adam_star import OPTIMISERS, AdamStar, make_optimiser
from infwidth.numerics.checks import InputError

E, H, STEPS = 3, 40, 25


def gradients(seed=0):
    """Of ∂loss/∂M, STEPS of them, of rows of very different size."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((STEPS, E, H)) * np.array([1e-3, 1, 100])[:, None] / H


def trained(optimiser, *, factor=1.0, start=0.1):
    """M after all gradients times ``factor``; ``optimiser`` makes one from a list of parameters."""
    weight = nn.Parameter(torch.full((E, H), start, dtype=torch.float64))
    moving = optimiser([weight])
    for gradient in gradients():
        weight.grad = factor * torch.from_numpy(gradient)
        moving.step()
    return weight.detach()


def reference(lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, *, sharing="features", start=0.1):
    weight, m, v = np.full((E, H), start), 0.0, 0.0
    for t, gradient in enumerate(gradients(), start=1):
        g = H * gradient
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * (g**2).mean(-1 if sharing == "features" else None, keepdims=True)
        step = m / (1 - betas[0] ** t) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
        weight = weight * (1 - lr * weight_decay) - lr * step
    return torch.from_numpy(weight)


def test_public_names():
    assert adam_ntk.AdamStar is AdamStar
    assert adam_ntk.__all__ == ["AdamStar", "DualReadout", "FrozenReadout"]


class TestAgainstTorch:
    """On functional gradients, H ∂loss/∂M."""

    @pytest.mark.parametrize(
        ("name", "settings", "rival", "theirs"),
        [
            ("adam", {}, torch.optim.Adam, {}),
            ("adam", {"betas": (0.5, 0.9), "eps": 0.1}, torch.optim.Adam, {"betas": (0.5, 0.9), "eps": 0.1}),
            ("adamw", {}, torch.optim.AdamW, {"weight_decay": 0.01}),
            ("adam", {"weight_decay": 0.3}, torch.optim.AdamW, {"weight_decay": 0.3}),
            ("rmsprop", {}, torch.optim.Adam, {"betas": (0.0, 0.999)}),
            ("rmsprop", {"betas": (0.0, 0.99), "bias_correction": False}, torch.optim.RMSprop, {}),
            ("adagrad", {"eps": 1e-10}, torch.optim.Adagrad, {}),
            ("sgd", {}, torch.optim.SGD, {}),
        ],
    )
    def test_coordinate_wise(self, name, settings, rival, theirs):
        found = trained(lambda params: make_optimiser(name, params, lr=0.02, **settings))
        expected = trained(lambda params: rival(params, lr=0.02, **theirs), factor=H)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)

    def test_momentum(self):
        found = trained(lambda params: make_optimiser("momentum", params, lr=0.02))
        expected = trained(lambda params: torch.optim.SGD(params, lr=0.002, momentum=0.9), factor=H)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)

    def test_sharing_makes_a_difference(self):
        shared, own = (trained(lambda p, n=name: make_optimiser(n, p, lr=0.02)) for name in ("adam_star", "adam"))
        assert (shared - own).norm() > 0.1 * (own - 0.1).norm()


class TestAdamStar:
    @pytest.mark.parametrize("sharing", ["features", "layer"])
    @pytest.mark.parametrize("settings", [{}, {"betas": (0.0, 0.9), "eps": 0.01}, {"weight_decay": 0.2}])
    def test_is_the_formula(self, settings, sharing):
        found = trained(lambda params: AdamStar(params, lr=0.02, sharing=sharing, **settings))
        torch.testing.assert_close(found, reference(0.02, **settings, sharing=sharing), rtol=1e-12, atol=1e-13)

    @pytest.mark.parametrize("name", OPTIMISERS)
    def test_second_moment_has_the_size_of_what_it_is_for(self, name):
        weight = nn.Parameter(torch.zeros(E, H))
        weight.grad = torch.ones(E, H)
        optimiser = make_optimiser(name, [weight], lr=0.1)
        optimiser.step()
        options = optimiser.param_groups[0]
        kept = {key: tuple(value.shape) for key, value in optimiser.state[weight].items() if torch.is_tensor(value)}
        expected = {"exp_avg": (E, H)} if options["betas"][0] else {}
        if options["adaptive"]:
            expected["exp_avg_sq"] = {"features": (E, 1), "layer": (), "none": (E, H)}[options["sharing"]]
        assert kept == expected

    def test_copies_of_features_change_nothing(self):
        moved = []
        for copies in (1, 8):
            weight = nn.Parameter(torch.zeros(E, copies * H, dtype=torch.float64))
            optimiser = AdamStar([weight], lr=0.1)
            for gradient in gradients():
                weight.grad = torch.from_numpy(np.tile(gradient / copies, copies))
                optimiser.step()
            moved.append(weight.detach())
        torch.testing.assert_close(moved[0].tile(8), moved[1])

    def test_groups_and_missing_gradients(self):
        first, second, third = (nn.Parameter(torch.zeros(E, H)) for _ in range(3))
        optimiser = AdamStar([{"params": [first]}, {"params": [second, third], "lr": 0.5, "sharing": "layer"}], lr=0.1)
        first.grad = second.grad = torch.ones(E, H)
        assert optimiser.step(lambda: 7) == 7
        torch.testing.assert_close(first.detach(), torch.full((E, H), -0.1))
        torch.testing.assert_close(second.detach(), torch.full((E, H), -0.5))
        assert not third.any()

    def test_state_resumes_in_the_same_bits(self):
        def run(stop=None):
            weight = nn.Parameter(torch.zeros(E, H))
            optimiser = AdamStar([weight], lr=0.1, weight_decay=0.1)
            for step, gradient in enumerate(gradients()):
                if step == stop:
                    kept = io.BytesIO()
                    torch.save({"weight": weight.detach(), "optimiser": optimiser.state_dict()}, kept)
                    kept.seek(0)
                    state = torch.load(kept, weights_only=True)
                    weight = nn.Parameter(state["weight"])
                    optimiser = AdamStar([weight], lr=9.0)
                    optimiser.load_state_dict(state["optimiser"])
                weight.grad = torch.from_numpy(gradient).float()
                optimiser.step()
            return weight

        assert torch.equal(run(), run(stop=11))

    @pytest.mark.parametrize(
        ("settings", "match"),
        [
            ({"lr": -1}, "lr = -1: expected a number ≥ 0"),
            ({"lr": "fast"}, "lr = 'fast'"),
            ({"betas": (1.0, 0.9)}, r"betas\[0\] = 1.0: expected a number in \[0, 1\)"),
            ({"betas": (0.9, -0.1)}, r"betas\[1\] = -0.1"),
            ({"betas": 0.9}, "betas = 0.9: expected two numbers"),
            ({"eps": -1e-8}, "eps = -1e-08"),
            ({"weight_decay": float("nan")}, "weight_decay = nan"),
            ({"sharing": "feature"}, "sharing = 'feature': .*did you mean 'features'"),
            ({"accumulate": "mean"}, "accumulate = 'mean'"),
        ],
    )
    def test_bad_arguments(self, settings, match):
        with pytest.raises(InputError, match=match) as found:
            AdamStar([nn.Parameter(torch.zeros(E, H))], **({"lr": 0.1} | settings))
        assert "\n" not in str(found.value)

    def test_a_bad_group_is_not_added(self):
        optimiser = AdamStar([nn.Parameter(torch.zeros(E, H))], lr=0.1)
        for group in (
            {"params": [nn.Parameter(torch.zeros(E, H))], "lr": -1},
            {"params": [nn.Parameter(torch.zeros(()))]},
        ):
            with pytest.raises(InputError):
                optimiser.add_param_group(group)
        assert len(optimiser.param_groups) == 1

    def test_other_bad_arguments(self):
        with pytest.raises(InputError, match=r"optimiser = 'adamstar': .*did you mean 'adam_star'"):
            make_optimiser("adamstar", [nn.Parameter(torch.zeros(E, H))], lr=0.1)
        with pytest.raises(InputError, match="single number"):
            AdamStar([nn.Parameter(torch.zeros(()))], lr=0.1)
