"""Lazy kernels against 40-digit recursions, networks of finite width, and their own symmetries."""

import math

import mpmath
import numpy as np
import pytest
import torch

from infwidth.numerics.activations import Activation
from infwidth.numerics.checks import InputError
from infwidth.theory import kernels

TANH = Activation.of("tanh", torch.tanh, lambda h: 1 - torch.tanh(h) ** 2, homogeneity=None, growth=0)


def exact(x, other, activation, layers, weight, bias):
    """NNGP and NTK of two inputs by the recursion in 40 digits; the angle of relu from its cosine."""
    with mpmath.workdps(40):
        x, other = [mpmath.mpf(float(v)) for v in x], [mpmath.mpf(float(v)) for v in other]
        weight, bias, dimension = mpmath.mpf(weight), mpmath.mpf(bias), len(x)
        product = lambda p, q: weight * mpmath.fsum(u * v for u, v in zip(p, q, strict=True)) / dimension + bias  # noqa: E731
        a, b, k = product(x, x), product(other, other), product(x, other)
        tangent = k
        for _ in range(layers):
            means = {"linear": _linear, "relu": _relu, "erf": _erf}[activation]
            (mean, slope), (aa, _), (bb, _) = means(a, b, k), means(a, a, a), means(b, b, b)
            a, b, k = weight * aa + bias, weight * bb + bias, weight * mean + bias
            tangent = k + weight * tangent * slope
        return float(k), float(tangent)


def _linear(a, b, k):
    return k, mpmath.mpf(1)


def _relu(a, b, k):
    angle = mpmath.acos(min(max(k / mpmath.sqrt(a * b), -1), 1))
    size = mpmath.sqrt(a * b)
    return size * (mpmath.sin(angle) + (mpmath.pi - angle) * mpmath.cos(angle)) / (2 * mpmath.pi), (
        mpmath.pi - angle
    ) / (2 * mpmath.pi)


def _erf(a, b, k):
    root = mpmath.sqrt((1 + 2 * a) * (1 + 2 * b) - 4 * k**2)
    return 2 / mpmath.pi * mpmath.atan(2 * k / root), 4 / mpmath.pi / root


def inputs(seed, n=5, dimension=7, near=()):
    x = np.random.default_rng(seed).standard_normal((n, dimension))
    return np.concatenate([x, *(x[:1] * (1 + step) + step * x[1:2] for step in near)])


@pytest.mark.parametrize("activation", ["linear", "relu", "erf"])
@pytest.mark.parametrize(("layers", "weight", "bias"), [(1, 1.0, 0.0), (2, 1.7, 0.3), (5, 2.0, 0.0), (4, 0.6, 1.1)])
def test_every_entry_to_twelve_digits_also_where_inputs_nearly_coincide(activation, layers, weight, bias):
    x = inputs(layers, near=(0.0, 1e-12, 1e-9, 1e-6, 1e-3, 0.1))
    x = np.concatenate([x, -x[:1], 30 * x[:1]])
    found = kernels.solve(x, activation=activation, layers=layers, weight_variance=weight, bias_variance=bias)
    want = np.array([[exact(p, q, activation, layers, weight, bias) for q in x] for p in x])
    for value, reference in ((found.nngp, want[..., 0]), (found.ntk, want[..., 1])):
        scale = np.sqrt(np.outer(np.diag(reference), np.diag(reference)))
        assert np.abs(value - reference).max() <= 1e-12 * scale.max()
        assert np.abs((value - reference) / scale).max() <= 1e-12
        assert np.linalg.eigvalsh(value).min() > -1e-12 * value.max()


@pytest.mark.parametrize("layers", [1, 3])
def test_series_of_a_smooth_activation_agrees_with_the_closed_form(layers):
    """Erf under another name, so that it goes the way of any φ."""
    erf = Activation.of(
        "another", torch.erf, lambda h: 2 / math.sqrt(math.pi) * torch.exp(-h * h), homogeneity=None, growth=0
    )
    x, other = inputs(0), inputs(1, n=4)
    options = {"layers": layers, "weight_variance": 1.4, "bias_variance": 0.2}
    found = kernels.solve(x, other, activation=erf, **options)
    closed = kernels.solve(x, other, activation="erf", **options)
    np.testing.assert_allclose(found.nngp, closed.nngp, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.ntk, closed.ntk, rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "erf", TANH])
def test_networks_of_finite_width_have_these_kernels_on_average(activation):
    """Two hidden layers, N = 256, 200 draws: the mean tangent kernel within 4 standard errors and O(1/N)."""
    width, draws, weight, bias = 256, 200, 1.3, 0.2
    x = torch.from_numpy(inputs(3, n=4, dimension=5))
    named = activation if isinstance(activation, Activation) else None
    phi = named.value if named else {"relu": torch.relu, "erf": torch.erf}[activation]
    random = torch.Generator().manual_seed(0)
    outputs, tangents = [], []
    for _ in range(draws):
        sizes = [(5, width), (width, width), (width, 1)]
        weights = [torch.randn(s, generator=random, dtype=torch.float64).requires_grad_() for s in sizes]
        offsets = [torch.randn(s[1], generator=random, dtype=torch.float64).requires_grad_() for s in sizes]
        h = x
        for layer, (w, b) in enumerate(zip(weights, offsets, strict=True)):
            h = (phi(h) if layer else h) @ w * math.sqrt(weight / len(w)) + math.sqrt(bias) * b
        rows = [torch.cat([g.ravel() for g in torch.autograd.grad(f, weights + offsets, retain_graph=True)]) for f in h]
        jacobian = torch.stack(rows)
        tangents.append(jacobian @ jacobian.T)
        outputs.append(h.detach() @ h.detach().T)
    found = kernels.solve(x.numpy(), activation=activation, layers=2, weight_variance=weight, bias_variance=bias)
    for sample, theory in ((outputs, found.nngp), (tangents, found.ntk)):
        sample = torch.stack(sample).numpy()
        error = sample.std(0, ddof=1) / math.sqrt(draws)
        assert (np.abs(sample.mean(0) - theory) < 4 * error + 4 / width * np.abs(theory).max()).all()


def test_one_hidden_layer_is_the_start_of_the_mean_field_network():
    """Φ_0 and Φ_0 + E[w²φ'φ'ᵀ]∘C by Monte Carlo over neurons."""
    x = inputs(5, n=3, dimension=4)
    random = np.random.default_rng(0)
    hidden, readout = random.standard_normal((400_000, 4)), random.standard_normal(400_000)
    h = hidden @ x.T / 2
    features, gates = np.maximum(h, 0), readout[:, None] * (h > 0)
    phi = features.T @ features / len(h)
    found = kernels.solve(x, activation="relu")
    np.testing.assert_allclose(found.nngp, phi, atol=0.01)
    np.testing.assert_allclose(found.ntk, phi + gates.T @ gates / len(h) * (x @ x.T / 4), atol=0.02)


@pytest.mark.parametrize("activation", ["linear", "relu", "erf", TANH])
@pytest.mark.parametrize("bias", [0.0, 0.4])
def test_gradients_agree_with_differences_and_are_finite_at_identical_inputs(activation, bias):
    x = torch.from_numpy(inputs(2, n=3, dimension=4)).requires_grad_()
    other = torch.from_numpy(inputs(4, n=2, dimension=4)).requires_grad_()
    options = {"activation": activation, "layers": 2, "bias_variance": bias}

    def both(p, q):
        found = kernels.solve(p, q, **options)
        return found.nngp, found.ntk

    assert torch.autograd.gradcheck(both, (x, other))
    alike = kernels.solve(x, x, **options)
    (gradient,) = torch.autograd.grad((alike.nngp + alike.ntk).sum(), x)
    assert torch.isfinite(gradient).all()
    # the diagonal's derivative, of K(x, x) as a function of x alone
    (found,) = torch.autograd.grad(kernels.nngp(x, x, **options).diagonal().sum(), x)
    step = 1e-6 * torch.ones_like(x[0])
    up, down = (kernels.nngp(x.detach() + s, **options).diagonal() for s in (step, -step))
    np.testing.assert_allclose((found @ step * 2).numpy(), (up - down).numpy(), rtol=1e-5)


def test_blocks_kinds_and_zero_inputs(monkeypatch):
    x = inputs(6, n=9)
    whole = kernels.solve(x, activation="relu", layers=3)
    monkeypatch.setattr(kernels, "BLOCK", 10)
    parts = kernels.solve(x, activation="relu", layers=3)
    np.testing.assert_allclose(whole.ntk, parts.ntk, rtol=1e-14)
    single = kernels.ntk(torch.from_numpy(x.astype(np.float32)), activation="relu", layers=3)
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), whole.ntk, rtol=1e-5)
    x[0] = 0
    for activation in ("linear", "relu", "erf", TANH):
        found = kernels.solve(x, activation=activation, layers=2, bias_variance=0.0)
        assert np.allclose(found.nngp[0], 0, atol=1e-14)
        assert np.isfinite(found.ntk).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": np.ones(3)}, "x is (3,)"),
        ({"x": np.ones((2, 3), dtype=int)}, "int64"),
        ({"x": np.array([[np.nan, 1.0]])}, "x holds NaN"),
        ({"other": np.ones((2, 4))}, "(n, D) and (m, D)"),
        ({"layers": 0}, "layers = 0"),
        ({"weight_variance": 0.0}, "weight_variance = 0.0"),
        ({"bias_variance": -1.0}, "bias_variance = -1.0"),
        ({"activation": "rleu"}, "did you mean 'relu'"),
        (
            {
                "activation": Activation.of(
                    "steps", lambda h: torch.sign(h) * (h.abs() > 0.3), lambda h: 0 * h, homogeneity=None, growth=0
                )
            },
            "expected a smooth one",
        ),
    ],
)
def test_bad_input_is_one_line(change, words):
    arguments = {"x": np.ones((2, 3)), "activation": "relu"} | change
    with pytest.raises(InputError) as caught:
        kernels.solve(arguments.pop("x"), **arguments)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("size", "weight", "bias"), [(1, 1e280, 0), (1e245, 1, 0), (1, 1, 1e300)])
@pytest.mark.parametrize("activation", ["linear", "relu", "erf"])
def test_kernels_out_of_range_are_no_numbers(activation, size, weight, bias):
    x = size * np.random.default_rng(0).standard_normal((4, 3))
    settings = {"activation": activation, "layers": 3, "weight_variance": weight, "bias_variance": bias}
    try:
        found = kernels.solve(x, **settings)
    except InputError as error:
        assert "rescale to order 1" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(found.nngp).all()
        assert np.isfinite(found.ntk).all()
