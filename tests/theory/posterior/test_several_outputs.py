"""Particles of several outputs: beside the closed form of linear networks, one output, and symmetries."""

import numpy as np
import pytest
import torch
from builders import changed, linear_teachers, several_teachers

from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status
from infwidth.tasks import TransferTask, one_hot
from infwidth.theory import bayes
from infwidth.theory.linear.several_outputs import MatrixPotential
from infwidth.theory.posterior.particles import Layer, Population, of_outputs, scored_features
from infwidth.theory.posterior.saddle import descend
from infwidth.theory.posterior.solve import solve_population
from infwidth.theory.problem import BayesProblem

COUPLINGS = [0.0, 2.0, 20.0, np.inf]
SETTINGS = {"source_strength": 0.8, "target_strength": 0.7, "inverse_temperature": 15.0}


def solve(task, activation="erf", elastic_coupling=2.0, **changes):
    changes = {"particles": 1024, "strict": False, "evidence": False, **changes}
    settings = {**SETTINGS, **changes}
    return bayes.solve(task, activation=activation, elastic_coupling=elastic_coupling, **settings)


def test_particles_of_linear_networks_are_the_closed_form():
    """Losses, leave-one-out error, evidence and predictions, within what the particles say of their error."""
    task = several_teachers()
    exact = bayes.solve(task, activation="linear", elastic_coupling=COUPLINGS, **SETTINGS)
    problem = BayesProblem(
        task=task, activation="linear", strengths=(0.8, 0.7), couplings=COUPLINGS, inverse_temperatures=(15.0, 15.0),
        prior_precision=1.0, max_iterations=300,
    )  # fmt: skip
    for i, found in enumerate(solve_population(problem, particles=4096, seed=0, device="cpu")):
        assert found.status is Status.CONVERGED
        assert found.prediction.shape == (50, 3)
        assert found.dual.shape == found.left_out_residual.shape == (10, 3)
        for name in ("test_loss", "train_loss", "leave_one_out", "log_evidence_density"):
            assert abs(getattr(found, name) - getattr(exact, name)[i]) < 4 * found.stderr[name] + 3e-3 * abs(
                getattr(exact, name)[i]
            )
        scores = (found.prediction - exact.prediction[i]) / found.stderr["prediction"]
        assert np.square(scores).mean() < 4
        assert found.domain_margin == pytest.approx(exact.domain_margin[i], abs=0.02)


def test_hessian_of_linear_particles():
    """H of one posterior, between all samples and outputs, is ∇²Λ of the closed form."""
    task = several_teachers()
    inputs, labels = task.x_source / np.sqrt(8), torch.tensor(task.y_source)
    layer = Layer(torch.tensor(inputs).float(), get_activation("linear"), 0.8**2, 1.0)
    generator = torch.Generator().manual_seed(0)
    population = Population.prior(torch.zeros(1, 8), 8192, 8192, 1.0, generator)
    saddle = descend(layer, population, labels, strength=0.8, inverse_temperature=15.0)
    assert saddle.dual.shape == (30, 3)
    potential = MatrixPotential.elastic(np.zeros((8, 8)), 0.0, 1.0, 1.0, True)
    seen = np.kron(inputs, np.eye(3))
    exact = seen @ potential.hessian(0.8 * inputs.T @ saddle.dual.numpy()) @ seen.T
    assert np.linalg.norm(saddle.hessian.numpy() - exact) < 0.05 * np.linalg.norm(exact)
    # What is not the kernel's is a tenth of it and more: without it, or with the outputs in another order, this fails.
    assert np.linalg.norm(of_outputs(population_kernel(layer, population), saddle.dual).numpy() - exact) > 0.1 * (
        np.linalg.norm(exact)
    )


def population_kernel(layer, population):
    features = population.features(layer).double()
    return features.T @ features / len(features)


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_a_column_is_the_vector(activation):
    task = linear_teachers()
    one = solve(task, activation)
    column = solve(changed(task, source_labels=lambda y: y[:, None], target_labels=lambda y: y[:, None]), activation)
    np.testing.assert_allclose(column.prediction[:, 0], one.prediction, rtol=1e-6, atol=1e-8)
    assert column.test_loss == pytest.approx(one.test_loss, rel=1e-6)
    assert column.leave_one_out == pytest.approx(one.leave_one_out, rel=1e-6)


def test_a_nearly_silent_second_output_changes_nothing():
    """The code of several outputs beside that of one, on other draws."""
    task = linear_teachers(n_source=20)
    rng = np.random.default_rng(0)

    def spread(y):
        return np.stack([y, 1e-4 * rng.standard_normal(len(y))], 1)

    one = solve(task, particles=4096)
    two = solve(changed(task, source_labels=spread, target_labels=spread), particles=4096)
    error = np.hypot(one.stderr["prediction"], two.stderr["prediction"][:, 0])
    assert np.square((two.prediction[:, 0] - one.prediction) / error).mean() < 3
    assert np.abs(two.prediction[:, 1]).max() < 1e-3
    assert abs(2 * two.test_loss - one.test_loss) < 4 * np.hypot(2 * two.stderr["test_loss"], one.stderr["test_loss"])
    assert (
        abs(2 * two.leave_one_out - one.leave_one_out)
        < 4 * np.hypot(2 * two.stderr["leave_one_out"], one.stderr["leave_one_out"]) + 0.02 * one.leave_one_out
    )


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_classes(activation):
    """g and f sum to 0 over outputs, the error rate takes the largest output, and kept neurons say the same."""
    rng = np.random.default_rng(1)
    teachers = rng.standard_normal((6, 4))
    parts = []
    for n in (40, 20, 100):
        x = rng.standard_normal((n, 6))
        parts += [x, one_hot(np.argmax(x @ teachers, 1), 4)]
    task = TransferTask(*parts)
    strength = {"erf": 0.7, "relu": 0.1}[activation]  # richer ReLU networks condense
    s = solve(
        task, activation, [0.0, 3.0, np.inf], keep_neurons=True, source_strength=strength, target_strength=strength
    )
    np.testing.assert_allclose(s.dual.sum(-1), 0, atol=1e-9)
    np.testing.assert_allclose(s.prediction.sum(-1), 0, atol=1e-9)
    np.testing.assert_allclose(s.test_error, np.mean(s.prediction.argmax(-1) != task.y_test.argmax(-1), axis=1))
    assert s.status == (Status.CONVERGED,) * 3
    assert s.test_error[1] < 0.5
    for i in range(3):
        # Train residuals are g/β, and eq. (1) holds with the answer's own kernel to the particles' noise.
        left = (s.kernel[i] + np.eye(20) / 15) @ s.dual[i] - task.y_target
        assert np.linalg.norm(left) < 0.12 * np.linalg.norm(task.y_target)
        kept = s.neurons[i].predict(task.x_test)
        assert kept.shape == (100, 4)
        assert np.linalg.norm(kept - s.prediction[i]) < 0.1 * np.linalg.norm(s.prediction[i])


def test_scores_and_kernels_are_laid_out_alike():
    """Samples, then outputs: the two layouts that H is made of."""
    features, score = torch.randn(5, 3), torch.randn(5, 2)
    flat = scored_features(features, score).view(5, 3, 2)
    torch.testing.assert_close(flat, torch.einsum("sm,sc->smc", features, score))
    kernel = torch.randn(4, 3, 6)
    wide = of_outputs(kernel, torch.zeros(3, 2)).view(4, 3, 2, 6, 2)
    torch.testing.assert_close(wide, torch.einsum("bmn,cd->bmcnd", kernel, torch.eye(2)))


def test_finite_width_of_several_outputs_is_refused():
    point = solve(several_teachers(), particles=256)
    with pytest.raises(InputError, match=r"y_source has shape \(30, 3\): finite_width covers one output"):
        _ = point.finite_width
