import numpy as np
import pytest

from infwidth.numerics.status import Status
from infwidth.theory.linear.concave_dual import Potential, maximise
from infwidth.theory.linear.design import Design

D = 6


@pytest.fixture
def rng():
    return np.random.default_rng(1)


def potential(rng, coupling, scatters, decay=0.7):
    root = rng.standard_normal((D, D))
    return Potential.elastic(root @ root.T / D, coupling, 0.9, decay, scatters)


@pytest.mark.parametrize("scatters", [True, False])
@pytest.mark.parametrize("coupling", [0.0, 0.5, 20.0, np.inf])
def test_derivatives_match_finite_differences(rng, coupling, scatters):
    law = potential(rng, coupling, scatters)
    k, h = 0.2 * rng.standard_normal(D), 1e-5
    assert law.margin(k) > 0.1
    steps = h * np.eye(D)
    gradient = [(law.value(k + e) - law.value(k - e)) / (2 * h) for e in steps]
    hessian = [(law.gradient(k + e) - law.gradient(k - e)) / (2 * h) for e in steps]
    np.testing.assert_allclose(law.gradient(k), gradient, atol=1e-8)
    np.testing.assert_allclose(law.hessian(k), hessian, atol=1e-8)


@pytest.mark.parametrize("scatters", [True, False])
def test_convex_up_to_the_border(rng, scatters):
    law = potential(rng, 2.0, scatters)
    for size in (0.01, 0.5, 0.9, 0.999):
        k = rng.standard_normal(D)
        k *= size / np.linalg.norm(k) * np.sqrt(2.9 * 0.7)
        assert np.linalg.eigvalsh(law.hessian(k))[0] > 0


@pytest.mark.parametrize("scatters", [True, False])
def test_gradient_is_the_second_moment_on_k(rng, scatters):
    law = potential(rng, 2.0, scatters)
    k = 0.3 * rng.standard_normal(D)
    np.testing.assert_allclose(law.second_moment(k) @ k / 0.7, law.gradient(k), rtol=1e-12)


def test_sampled_log_moment(rng):
    # Λ = E_W̄ log E_W exp((k·W)²/(2λ_w)): the inner expectation by its own definition, W one-dimensional along k.
    law = potential(rng, 1.5, True)
    k = 0.25 * rng.standard_normal(D)
    stiffness, size = 2.4, np.linalg.norm(k)
    anchors = rng.multivariate_normal(np.zeros(D), law.anchor_moment, size=100_000) @ k / size
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    along = (1.5 / stiffness) * anchors[:, None] + nodes / np.sqrt(stiffness)
    inner = np.exp(size**2 * along**2 / (2 * 0.7)) @ weights / np.sqrt(2 * np.pi)
    samples = np.log(inner)
    assert abs(samples.mean() - law.value(k)) < 4 * samples.std() / np.sqrt(len(samples))


@pytest.mark.parametrize("samples", [4, 15])  # fewer and more than dimensions
@pytest.mark.parametrize("strength", [1e-4, 1.0, 30.0])
def test_newton_converges_fast_and_to_the_top(rng, samples, strength):
    design = Design.of(rng.standard_normal((samples, D)) / np.sqrt(D))
    labels = rng.standard_normal(samples)
    law = potential(rng, 3.0, True)
    top = maximise(design, labels, law, strength=strength, ridge=0.05)
    assert top.status is Status.CONVERGED
    assert top.iterations < 15
    fit = design.matrix @ top.weights
    np.testing.assert_allclose(fit + 0.05 * top.dual, labels, atol=1e-9)
    np.testing.assert_allclose(top.drive, strength * design.matrix.T @ top.dual, rtol=1e-6, atol=1e-9)

    def height(g):
        k = strength * design.matrix.T @ g
        if law.margin(k) <= 0:
            return -np.inf
        return strength**2 * (labels @ g - 0.05 * g @ g / 2) - law.value(k)

    assert height(top.dual) == pytest.approx(top.objective, rel=1e-6)
    for _ in range(10):
        assert height(top.dual + 0.01 * rng.standard_normal(samples)) < height(top.dual)


def test_running_out_of_steps_is_reported(rng):
    design = Design.of(rng.standard_normal((15, D)))
    result = maximise(
        design, rng.standard_normal(15), potential(rng, 3.0, True), strength=3.0, ridge=0.1, max_iterations=1
    )
    assert (result.status, result.iterations) == (Status.STALLED, 1)
    assert result.residual > 1e-6
    assert result.gap > 0
