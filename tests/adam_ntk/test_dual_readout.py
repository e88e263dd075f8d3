"""The block of infinitely many features: against a plain reference, wide explicit blocks, and kills."""

import copy
import gc
import io
import weakref

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from infwidth.adam_ntk.adam_star import OPTIMISERS, make_optimiser
from infwidth.adam_ntk.dual_readout import DualReadout
from infwidth.adam_ntk.feature_kernels import feature_kernel
from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.numerics.checks import InputError

D, E = 4, 3
SHARED = [name for name, options in OPTIMISERS.items() if options.get("sharing") != "none"]


def random(seed=0):
    return torch.Generator().manual_seed(seed)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=random(seed))


def dual(**settings):
    return DualReadout(D, E, **({"lr": 0.05} | settings)).double()


def target(x):
    return torch.stack([x[..., 0].sin(), x[..., 1] * x[..., 2], x[..., 3].abs()], dim=-1)


def squared(y, x):
    return (y - target(x)).square().sum(1).mean()


def classes(y, x):
    return cross_entropy(y, target(x).argmax(1))


def fit(block, optimiser=None, *, steps=30, loss=squared, batch=8):
    """Train on a stream of batches that depends on nothing else; return the function on other inputs."""
    optimiser = block if optimiser is None else optimiser
    for step in range(steps):
        x = draw(batch, D, seed=1000 + step)
        optimiser.zero_grad()
        loss(block(x), x).backward()
        optimiser.step()
    with torch.no_grad():
        return block(draw(50, D))


class Reference:
    """Every step's gradient kept as a function for ever: m, M are sums over all (step, example), nothing is folded."""

    def __init__(self, name, lr, *, bias=False, activation="relu", eps=1e-8, **changes):
        self.options = {
            "betas": (0.9, 0.999), "weight_decay": 0.0, "sharing": "features", "adaptive": True,
            "accumulate": "average", "bias_correction": True,
        } | OPTIMISERS[name] | changes  # fmt: skip
        self.kernel = lambda x, z: feature_kernel(x, z, activation=activation, bias=bias)
        self.lr, self.eps, self.t, self.v = lr, eps, 0, torch.zeros(E, dtype=torch.float64)
        self.x = torch.zeros(0, D, dtype=torch.float64)
        self.m = self.c = torch.zeros(0, E, dtype=torch.float64)

    def __call__(self, x):
        return self.kernel(x, self.x) @ self.c

    def step(self, x, error):
        o, (beta1, beta2) = self.options, self.options["betas"]
        self.t += 1
        self.x = torch.cat([self.x, x])
        gradient = torch.cat([torch.zeros_like(self.m), error])
        self.m, self.c = (torch.cat([old, torch.zeros_like(error)]) for old in (self.m, self.c))
        self.m = beta1 * self.m + (1 - beta1) * gradient
        square = torch.einsum("ie,je,ij->e", error, error, self.kernel(x, x))
        if o["sharing"] == "layer":
            square[:] = square.mean()
        self.v = self.v + square if o["accumulate"] == "sum" else beta2 * self.v + (1 - beta2) * square
        corrected = 1 - beta1**self.t if o["bias_correction"] else 1
        v = self.v / (1 - beta2**self.t) if o["bias_correction"] and o["accumulate"] == "average" else self.v
        denominator = v.sqrt() + self.eps if o["adaptive"] else 1
        self.c = self.c * (1 - self.lr * o["weight_decay"]) - self.lr * self.m / corrected / denominator


class TestAgainstReference:
    @pytest.mark.parametrize(
        ("name", "changes"),
        [
            *[(name, {}) for name in SHARED],
            ("adam_star", {"betas": (0.5, 0.99), "weight_decay": 0.5, "eps": 1e-3}),
            ("momentum", {"weight_decay": 0.3}),
            ("adam_star", {"betas": (0.8, 0.9), "bias": True, "activation": "erf"}),
        ],
    )
    def test_equal_over_many_steps(self, name, changes):
        block, reference = dual(optimizer=name, **changes), Reference(name, 0.05, **changes)
        held_out = draw(6, D)
        steps = 380 if name in ("adam_star", "momentum") else 230  # with β1 = .9, 342 steps are in the window
        for step in range(steps):
            block.lr = reference.lr = 0.05 * (1 + 0.5 * np.sin(step))
            x = draw(1 + step % 2, D, seed=1000 + step)
            y = block(x)
            torch.testing.assert_close(y.detach(), reference(x), rtol=1e-10, atol=1e-11)
            error = (y.detach() - target(x)) / len(x)
            (y * error).sum().backward()
            block.step()
            reference.step(x, error)
        block.eval()
        torch.testing.assert_close(block(held_out), reference(held_out), rtol=1e-10, atol=1e-11)
        torch.testing.assert_close(block.inputs, reference.x)
        torch.testing.assert_close(block.coefficients, reference.c, rtol=1e-9, atol=1e-12)
        assert reference.c.norm() > 0.1
        beta1 = block.options["betas"][0]
        moving = next(age for age in range(400) if beta1 ** (age + 1) <= 2**-52)
        assert len(block._window) == min(moving, steps)

    def test_window_of_single_precision_is_150_steps(self):
        block = DualReadout(D, E, lr=0.1)
        for step in range(160):
            block(draw(1, D, seed=step, dtype=torch.float32)).sum().backward()
            block.step()
        assert len(block._window) == len(block._momentum) == 151

    @pytest.mark.parametrize(
        ("activation", "bias"), [("relu", False), ("relu", True), ("erf", True), ("linear", False)]
    )
    def test_gradient_to_the_inputs(self, activation, bias):
        block = dual(activation=activation, bias=bias)
        fit(block, steps=5)
        x = torch.cat([draw(3, D, seed=5), block.inputs[:2]]).requires_grad_()
        explicit = feature_kernel(x, block.inputs, activation=activation, bias=bias) @ block.coefficients
        weight = draw(5, E, seed=6)
        found, expected = (torch.autograd.grad(y, x, weight)[0] for y in (block(x), explicit))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
        assert torch.autograd.gradcheck(block, draw(3, D, seed=5).requires_grad_())


class TestLimit:
    @pytest.mark.parametrize("loss", [squared, classes])
    @pytest.mark.parametrize("name", ["sgd", "momentum", "adam_star"])
    def test_wide_blocks_approach_it(self, name, loss):
        limit = fit(dual(optimizer=name), loss=loss)
        distances = [self.distance(limit, name, width, loss) for width in (64, 4096)]
        slope = np.log(distances[1] / distances[0]) / np.log(64)
        assert -0.62 < slope < -0.38
        assert distances[1] < 0.08

    @pytest.mark.parametrize("loss", [squared, classes])
    def test_coordinate_wise_adam_does_not(self, loss):
        limit = fit(dual(), loss=loss)
        distances = [self.distance(limit, "adam", width, loss) for width in (64, 4096)]
        assert distances[1] > 3 * self.distance(limit, "adam_star", 4096, loss)
        assert distances[1] > 0.3 * distances[0]

    @staticmethod
    def distance(limit, name, width, loss, draws=6):
        """Of functions, relative, root mean square over draws of ω."""
        found = []
        for seed in range(draws):
            block = FrozenReadout(D, E, width=width, seed=seed).double()
            y = fit(block, make_optimiser(name, block.parameters(), lr=0.05), loss=loss)
            found.append(float((y - limit).norm() / limit.norm()))
        return np.sqrt(np.mean(np.square(found)))


class TestRecording:
    def test_starts_at_0_and_learns(self):
        block = dual()
        assert not block(draw(5, D)).any()
        x = draw(200, D)
        fit(block, steps=150)
        assert squared(block(x), x) < 0.5 * target(x).square().sum(1).mean()

    def test_several_forward_passes_are_one_step(self):
        x = draw(9, 2, D)
        together, apart, backward_apart = dual(), dual(), dual()
        for turn in range(3):
            batch = x[3 * turn : 3 * turn + 3]
            (together(batch) - 1).square().sum().backward()
            sum((apart(part) - 1).square().sum() for part in batch).backward()
            for part in batch:
                (backward_apart(part) - 1).square().sum().backward()
            for block in (together, apart, backward_apart):
                block.step()
        held_out = draw(7, D, seed=1)
        torch.testing.assert_close(apart(held_out), together(held_out))
        torch.testing.assert_close(backward_apart(held_out), together(held_out))
        assert together.steps == apart.steps == 3
        assert together(x).shape == (9, 2, E)

    def test_several_backward_passes_are_one_step(self):
        block, expected, x = dual(), dual(), draw(5, D)
        y = block(x)
        y.sum().backward(retain_graph=True)
        y[0].sum().backward()
        z = expected(x)
        (z.sum() + z[0].sum()).backward()
        for one in (block, expected):
            one.step()
        torch.testing.assert_close(block(x), expected(x))

    def test_only_what_was_trained_on_is_recorded(self):
        block = dual()
        x = draw(5, D).requires_grad_()
        with torch.no_grad():
            block(x)
        block.eval()
        block(x).sum().backward()
        block.train()
        torch.autograd.grad(block(x).sum(), x)  # asks for x's gradient alone
        lost = block(x)
        del lost
        block.step()
        assert (block.steps, len(block.inputs), block._received) == (0, 0, [])

    def test_errors_are_forgotten_on_demand_and_forward_passes_are_not(self):
        block, expected = dual(), dual()
        x = draw(5, D)
        block(draw(5, D, seed=1)).sum().backward()
        y = block(x)
        block.zero_grad()  # between forward and backward, as in language_training
        y.sum().backward()
        expected(x).sum().backward()
        for one in (block, expected):
            one.step()
            one.step()  # nothing new: nothing moves
        assert torch.equal(block.coefficients, expected.coefficients)
        assert torch.equal(block.inputs, x)

    def test_inputs_may_be_overwritten_after_backward(self):
        block, x = dual(), draw(5, D)
        kept = x.clone()
        block(x).sum().backward()
        x.zero_()
        block.step()
        assert torch.equal(block.inputs, kept)

    def test_a_graph_that_is_dropped_leaves_nothing(self):
        block = dual()
        y = block(draw(5, D))
        error = weakref.ref(y.grad_fn.next_functions[0][0].next_functions[1][0].variable)
        assert error() is not None
        del y
        gc.collect()
        assert error() is None

    def test_rate_0_moves_nothing_and_copies_are_apart(self):
        block = dual(lr=0)
        fit(block, steps=3)
        assert len(block.inputs) == 24
        assert not block.coefficients.any()
        block.lr = 0.05
        other = copy.deepcopy(block)
        fit(other, steps=1)
        assert len(block.inputs) == 24
        assert not block.coefficients.any()

    def test_memory_grows_with_room_to_spare_but_is_stored_without(self):
        block = dual()
        fit(block, steps=20)
        assert 160 <= len(block._inputs) < 260
        assert block.state_dict()["inputs"].untyped_storage().nbytes() == 160 * D * 8

    @pytest.mark.parametrize(
        ("changes", "match"),
        [
            ({"optimizer": "adam"}, "optimizer = 'adam': .*no kernel limit; expected .*'adam_star'"),
            ({"optimizer": "adagrad"}, "no kernel limit"),
            ({"optimizer": "adamstar"}, "optimiser = 'adamstar': .*did you mean 'adam_star'"),
            ({"activation": "rely"}, "activation = 'rely': .*did you mean 'relu'"),
            ({"lr": -0.1}, "lr = -0.1: expected a number ≥ 0"),
            ({"betas": (0.9, 1)}, r"betas\[1\] = 1: expected a number in \[0, 1\)"),
            ({"weight_decay": -1}, "weight_decay = -1"),
            ({"eps": None}, "eps = None"),
            ({"in_features": 0}, "in_features = 0"),
        ],
    )
    def test_bad_arguments(self, changes, match):
        with pytest.raises(InputError, match=match) as found:
            DualReadout(**({"in_features": D, "out_features": E, "lr": 0.1} | changes))
        assert "\n" not in str(found.value)

    def test_bad_inputs(self):
        with pytest.raises(InputError, match=r"x has 4 features of torch.float32: expected 4 of torch.float64"):
            dual()(torch.zeros(2, D))
        with pytest.raises(InputError, match=r"x has 5 features"):
            dual()(draw(2, 5))


class TestState:
    @pytest.mark.parametrize("name", ["adam_star", "adagrad_star", "sgd"])
    @pytest.mark.parametrize("stop", [0, 1, 60])
    def test_resumes_in_the_same_bits(self, name, stop):
        def run(stop=None):
            block = dual(optimizer=name, weight_decay=0.1, betas=(0.5 if name == "adam_star" else 0.0, 0.9))
            for step in range(70):
                if step == stop:
                    stored = io.BytesIO()
                    torch.save(block.state_dict(), stored)
                    stored.seek(0)
                    lr = block.lr
                    block = dual(optimizer=name, weight_decay=0.1, betas=block.options["betas"], lr=9.0)
                    fit(block, steps=2)  # what it held before is gone
                    block.load_state_dict(torch.load(stored, weights_only=True))
                    assert block.lr == lr
                x = draw(1 + step % 3, D, seed=step)
                squared(block(x), x).backward()
                block.step()
                block.lr *= 0.99
            return block

        whole, resumed = run().state_dict(), run(stop).state_dict()
        assert whole.keys() == resumed.keys()
        assert all(torch.equal(whole[key], resumed[key]) for key in whole)

    def test_state_is_a_copy(self):
        block = dual()
        fit(block, steps=2)
        kept = block.state_dict()
        before = kept["coefficients"].clone()
        other = dual()
        other.load_state_dict(kept)
        fit(block, steps=2)
        fit(other, steps=2)
        assert torch.equal(kept["coefficients"], before)

    def test_wrong_states(self):
        state = dual().state_dict()
        with pytest.raises(RuntimeError, match="4, 2"):
            DualReadout(D, 2, lr=0.1).load_state_dict(state)
        with pytest.raises(RuntimeError, match=r'Unexpected.*"other"'):
            dual().load_state_dict(state | {"other": torch.zeros(1)})
        del state["momentum"]
        with pytest.raises(RuntimeError, match=r'Missing.*"momentum"'):
            dual().load_state_dict(state)


def test_block_is_a_module_like_others():
    net = nn.Sequential(dual(), nn.Linear(E, 1).double())
    assert [name for name, _ in net.named_parameters()] == ["1.weight", "1.bias"]
    assert "optimizer='adam_star', lr=0.05, examples=0" in repr(net)
