"""Kernels in closed form: against sampled features, and their hand-written gradients."""

import math

import pytest
import torch

from infwidth.adam_ntk import feature_kernels
from infwidth.adam_ntk.feature_kernels import feature_kernel, kernel_product
from infwidth.adam_ntk.random_features import draw_hidden, features
from infwidth.networks.transformer.model import TrainedReadout
from infwidth.numerics.checks import InputError

every_kernel = pytest.mark.parametrize(
    ("activation", "bias"), [(name, bias) for name in ("relu", "erf", "linear") for bias in (False, True)]
)


def inputs(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class TestValues:
    @every_kernel
    def test_is_the_mean_over_sampled_features(self, activation, bias):
        x, other = inputs(4, 6) * torch.tensor([[0.3], [1], [2], [5]]), inputs(3, 6, seed=1)
        hidden = draw_hidden(100_000, 6, bias=bias, seed=0).double()
        products = features(x, hidden, activation)[:, None] * features(other, hidden, activation)
        errors = products.std(-1) / math.sqrt(len(hidden))
        deviation = (feature_kernel(x, other, activation=activation, bias=bias) - products.mean(-1)) / errors
        assert deviation.abs().max() < 4
        assert errors.max() < 0.05

    @every_kernel
    def test_is_symmetric_and_positive(self, activation, bias):
        x = inputs(12, 4)
        kernel = feature_kernel(x, x, activation=activation, bias=bias)
        torch.testing.assert_close(kernel, kernel.T)
        assert torch.linalg.eigvalsh(kernel).min() > -1e-12

    def test_known_values(self):
        x = inputs(5, 3)
        square = x.square().sum(1) / 3
        one = feature_kernel(x, x, activation="relu").diagonal()
        torch.testing.assert_close(one, square)  # E 2 relu(h)² = E h²
        opposite = feature_kernel(x, -x, activation="relu").diagonal()
        torch.testing.assert_close(opposite, torch.zeros_like(square), atol=1e-15, rtol=0)
        far = feature_kernel(1e9 * x, x.roll(1, 0), activation="erf")
        assert far.abs().max() <= 1

    @every_kernel
    def test_an_input_of_norm_0(self, activation, bias):
        x, other = torch.zeros(1, 3, dtype=torch.float64), inputs(2, 3)
        kernel = feature_kernel(x, other, activation=activation, bias=bias)
        assert kernel.isfinite().all()
        assert bool(kernel.any()) == bias  # without one, every feature of it is 0


class TestGradients:
    @every_kernel
    def test_of_the_kernel_in_both_inputs(self, activation, bias):
        x, other = inputs(4, 3).requires_grad_(), inputs(5, 3, seed=1).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda *both: feature_kernel(*both, activation=activation, bias=bias), (x, other)
        )

    @every_kernel
    def test_of_the_product(self, activation, bias, monkeypatch):
        monkeypatch.setattr(feature_kernels, "CHUNK", 1)  # 64 columns at once
        x, other, c = inputs(3, 4).requires_grad_(), inputs(150, 4, seed=1), inputs(150, 2, seed=2)
        product = kernel_product(x, other, c, activation=activation, bias=bias)
        explicit = feature_kernel(x, other, activation=activation, bias=bias) @ c
        torch.testing.assert_close(product, explicit, rtol=1e-12, atol=1e-12)
        weight = inputs(3, 2, seed=3)
        found, expected = (torch.autograd.grad(y, x, weight)[0] for y in (product, explicit))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        assert torch.autograd.gradcheck(lambda x: kernel_product(x, other, c, activation=activation, bias=bias), x)

    @every_kernel
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_is_finite_and_right_at_identical_inputs(self, activation, bias, dtype):
        x = (inputs(4, 5) * torch.tensor([[0.01], [1], [30], [1000]])).to(dtype).requires_grad_()
        other = x.detach().clone()
        kernel = feature_kernel(x, other, activation=activation, bias=bias)
        (found,) = torch.autograd.grad(kernel.diagonal().sum(), x)
        # Θ(x, x') is symmetric: half the derivative of Θ(x, x) along the diagonal, which has none of the trouble
        square = x.detach().double().square().sum(1, keepdim=True) / 5 + bias
        along = {"relu": 1.0, "linear": 1.0, "erf": 4 / math.pi / ((1 + 2 * square) * (1 + 4 * square).sqrt())}
        rtol, atol = (1e-3, 1e-7) if dtype == torch.float32 else (1e-6, 1e-14)
        torch.testing.assert_close(found.double(), along[activation] * x.detach().double() / 5, rtol=rtol, atol=atol)

    def test_of_relu_at_an_input_of_norm_0(self):
        x, other = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True), inputs(1, 3)
        (found,) = torch.autograd.grad(feature_kernel(x, other, activation="relu").sum(), x)
        torch.testing.assert_close(found, other / 6)  # half of the line's other/d

    def test_what_needs_none_gets_none(self):
        x, other = inputs(2, 3).requires_grad_(), inputs(2, 3)
        feature_kernel(x, other, activation="relu").sum().backward()
        assert other.grad is None
        assert not kernel_product(other, other, other, activation="relu").requires_grad


class TestFeatures:
    @pytest.mark.parametrize("bias", [False, True])
    def test_same_draw_as_the_trained_block(self, bias):
        trained = TrainedReadout(5, 2, width=7, bias=bias, seed=3)
        assert torch.equal(draw_hidden(7, 5, bias=bias, seed=3), trained.hidden)

    def test_half_space(self):
        full, half = (draw_hidden(50, 4, bias=True, support=name, seed=0) for name in ("gaussian", "half_space"))
        assert (half[:, 0] >= 0).all()
        assert (full[:, 0] < 0).any()
        assert torch.equal(half[:, 1:], full[:, 1:])

    @pytest.mark.parametrize("d", [1, 4, 5])
    def test_rank_deficient(self, d):
        hidden = draw_hidden(20_000, d, bias=True, support="rank_deficient", seed=0)
        assert not hidden[:, d - d // 2 : d].any()
        assert hidden[:, :d].square().sum(1).mean() == pytest.approx(d, rel=0.05)
        assert hidden[:, d].square().mean() == pytest.approx(1, rel=0.05)

    def test_rank_deficient_kernel_is_that_of_projected_inputs(self):
        x = inputs(3, 6)
        g = features(x, draw_hidden(200_000, 6, support="rank_deficient", seed=0).double(), "relu")
        expected = feature_kernel(x[:, :3], x[:, :3], activation="relu")
        torch.testing.assert_close(g @ g.T / g.shape[1], expected, rtol=0.05, atol=0.02)

    def test_bad_arguments(self):
        x = inputs(2, 3)
        with pytest.raises(InputError, match=r"activation = 'rely': .*did you mean 'relu'"):
            feature_kernel(x, x, activation="rely")
        with pytest.raises(InputError, match=r"shapes \(2, 3\) and \(2, 2\): expected \(n, d\) and \(m, d\)"):
            kernel_product(x, x[:, :2], x, activation="relu")
        with pytest.raises(InputError, match=r"support = 'halfspace': .*did you mean 'half_space'"):
            draw_hidden(2, 3, support="halfspace", seed=0)
        with pytest.raises(InputError, match="x has 3 features: expected 5"):
            features(x, draw_hidden(2, 5, seed=0).double(), "relu")
