"""Finite width of linear posteriors: references, derivatives, the exact integral (docs/finite_width.md)."""

import dataclasses

import numpy as np
import pytest

from infwidth.tasks import linear
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes
from infwidth.theory.linear.concave_dual import Potential
from infwidth.theory.linear.design import Design
from infwidth.theory.linear.exact_width import norm_law
from infwidth.theory.linear.finite_width import SaddlePoint, SourceScatter, bend, expand_posteriors
from infwidth.theory.linear.posterior import solve_posterior
from infwidth.theory.problem import BayesProblem, Designs
from infwidth.theory.solution import PARTS

BETA, STRENGTHS = 20.0, (1.0, 0.5)


def reference_task(overlap, dimension=40, n_source=120, n_target=20):
    """The reference draws, with the population as test points: the mean over them is |v − w|²/D."""
    rng = np.random.default_rng(0)
    first, other = rng.standard_normal((2, dimension))
    first *= np.sqrt(dimension) / np.linalg.norm(first)
    other -= first * (first @ other) / dimension
    other *= np.sqrt(dimension) / np.linalg.norm(other)
    x1, x2 = rng.standard_normal((n_source, dimension)), rng.standard_normal((n_target, dimension))
    teacher, root = overlap * first + np.sqrt(1 - overlap**2) * other, np.sqrt(dimension)
    return TransferTask(x1, x1 @ first / root, x2, x2 @ teacher / root, root * np.eye(dimension), teacher)


def posteriors(designs, task, coupling, precision=1.0):
    shared = {"inverse_temperature": BETA, "hidden_precision": precision, "readout_precision": precision}
    source = solve_posterior(designs.source, task.y_source, strength=STRENGTHS[0], **shared)
    tie = {"elastic_coupling": coupling, "anchor_moment": source.hidden_moment}
    return source, solve_posterior(designs.target, task.y_target, strength=STRENGTHS[1], **tie, **shared)


def full(task):
    """The inputs in their own coordinates, however few of them there are."""
    parts = (task.x_source, task.x_target, task.x_test)
    return Designs(*(x / np.sqrt(task.dimension) for x in parts), basis=None, dimension=task.dimension)


def solved(task, coupling, precision=1.0):
    return bayes.solve(
        task,
        activation="linear",
        source_strength=STRENGTHS[0],
        target_strength=STRENGTHS[1],
        elastic_coupling=coupling,
        inverse_temperature=BETA,
        prior_precision=precision,
    )


def widths(task, coupling, precision=1.0):
    return solved(task, coupling, precision).finite_width


@pytest.mark.parametrize(
    ("overlap", "coupling", "parts", "one_percent"),
    [
        (0.0, 1.0, (0.159, 4.082, 0.441), 748),
        (0.6, 10.0, (0.355, 2.803, 2.767), 1577),
        (0.9, 10.0, (-0.307, 2.571, 1.330), 3130),
    ],
)
def test_reference(overlap, coupling, parts, one_percent):
    found = widths(reference_task(overlap), coupling)
    np.testing.assert_allclose((found.mean, found.thermal, found.source), parts, atol=5.1e-4)
    assert found.total == pytest.approx(sum(parts), abs=1.5e-3)
    assert found.one_percent == pytest.approx(one_percent, abs=0.6)


def test_of_several_couplings():
    task = reference_task(0.6)
    several = widths(task, [0.0, 10.0, np.inf])
    for index, coupling in enumerate((0.0, 10.0, np.inf)):
        one = widths(task, coupling)
        for name in PARTS:
            assert getattr(several, name)[index] == getattr(one, name), name
            assert one.stderr[name] == 0
    assert several.source[0] == 0
    loss = solved(task, [0.0, 10.0, np.inf]).test_loss
    np.testing.assert_allclose(several.one_percent, 100 * np.abs(several.total) / loss)


def layers(coupling, precision=1.4):
    task = reference_task(0.6)
    designs = Designs.of(task)
    source, target = posteriors(designs, task, coupling, precision)
    fresh = Potential.elastic(np.zeros((40, 40)), 0.0, precision, precision, True)
    tied = Potential.elastic(source.hidden_moment, coupling, precision, precision, True)
    first = SaddlePoint.of(fresh, source.saddle.drive, designs.source, BETA, STRENGTHS[0])
    return first, SaddlePoint.of(tied, target.saddle.drive, designs.target, BETA, STRENGTHS[1])


def slope(function, k, step=1e-5):
    return np.array([(function(k + step * e) - function(k - step * e)) / (2 * step) for e in np.eye(len(k))])


@pytest.mark.parametrize("coupling", [0.0, 2.0, np.inf])
def test_derivatives(coupling):
    source, target = layers(coupling)
    weights = np.random.default_rng(0).standard_normal((40, 40))
    weights += weights.T
    potential, k = target.potential, target.drive
    expected = slope(lambda at: np.sum(weights * potential.hessian(at)), k)
    np.testing.assert_allclose(bend(potential, k, weights), expected, atol=1e-7 * max(np.abs(expected).max(), 1))
    scatter = SourceScatter.of(source)
    rate, factor = potential.compliance / potential.readout_decay, potential.pull**2 / potential.readout_decay

    def trace(at):
        q = potential.margin(at)
        tilt = factor / q * (np.eye(40) + rate / q * np.outer(at, at))
        return np.sum(weights * (tilt @ scatter.covariance(at) @ tilt.T))

    expected = slope(trace, k)
    found = scatter.trace_gradient(k, factor, rate, weights)
    np.testing.assert_allclose(found, expected, atol=1e-7 * max(np.abs(expected).max(), 1))


def test_inputs_that_do_not_span_the_space():
    """A basis of the training inputs and one number for the rest give what all coordinates give."""
    task = linear(dimension=60, overlap=0.5, n_source=25, n_target=12, n_test=200, source_noise=0.3, seed=3)
    for coupling in (0.0, 3.0, np.inf):
        designs, compact = full(task), widths(task, coupling, 0.7)
        problem = BayesProblem(task, "linear", STRENGTHS, [coupling], (BETA, BETA), 0.7, 100)
        whole = expand_posteriors(problem, designs, *posteriors(designs, task, coupling, 0.7), coupling)
        for name in PARTS:
            assert getattr(compact, name) == pytest.approx(getattr(whole, name), rel=1e-8, abs=1e-12), name


def test_rotated_inputs_change_nothing():
    task = linear(dimension=20, overlap=0.5, n_source=45, n_target=12, n_test=50, seed=4)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((20, 20)))[0]
    inputs = (task.x_source @ turn, task.x_target @ turn, task.x_test @ turn)
    turned = TransferTask(inputs[0], task.y_source, inputs[1], task.y_target, inputs[2], task.y_test)
    assert widths(turned, 2.0).total == pytest.approx(widths(task, 2.0).total, rel=1e-9)


class TestExactWidth:
    def law(self, task, width, precision=1.0):
        return norm_law(
            Design.of(task.x_target / np.sqrt(task.dimension)),
            task.y_target,
            strength=STRENGTHS[1],
            inverse_temperature=BETA,
            hidden_precision=precision,
            readout_precision=precision,
            width=width,
        )

    @pytest.mark.parametrize(("overlap", "precision"), [(0.0, 1.0), (0.6, 1.0), (0.9, 2.5)])
    def test_expansion(self, overlap, precision):
        task = reference_task(overlap)
        designs = Designs.of(task)
        _, target = posteriors(designs, task, 0.0, precision)
        limit = np.mean((designs.test @ target.saddle.weights - task.y_test) ** 2)
        coefficient = widths(task, 0.0, precision).total

        def loss(width):
            return self.law(task, width, precision).loss(designs.test, np.mean(task.x_test**2, -1), task.y_test)

        assert (loss(100_000) - limit) * 100_000 == pytest.approx(coefficient, rel=1e-3)
        errors = [abs(loss(width) - limit - coefficient / width) for width in (500, 1000, 2000)]
        assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
        assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)

    def test_mean_predictor(self):
        task = reference_task(0.6)
        _, target = posteriors(Designs.of(task), task, 0.0)
        found = self.law(task, 10**6).mean
        np.testing.assert_allclose(found, target.saddle.weights, atol=1e-4)


class TestCriticalWidth:
    """Laws of the width at which the loss is 1 % off, averaged over data as D → ∞ (docs/finite_width.md)."""

    dimension = 100

    def found(self, ratio, strength, coupling):
        for seed in range(6):
            sizes = {"n_source": 10, "n_target": int(ratio * self.dimension), "n_test": 1000}
            task = linear(dimension=self.dimension, overlap=0.5, seed=seed, **sizes)
            strengths = {"source_strength": 1e-3, "target_strength": strength}
            tie = {"elastic_coupling": coupling, "inverse_temperature": 1e5}
            yield bayes.solve(task, activation="linear", **strengths, **tie)

    @pytest.mark.parametrize(("ratio", "richness"), [(0.3, 0.3), (0.5, 2.0), (0.5, 20.0)])
    def test_without_a_tie(self, ratio, richness):
        solutions = self.found(ratio, richness / np.sqrt(self.dimension), 0.0)
        found = np.mean([solution.finite_width.one_percent for solution in solutions])
        law = 100 * self.dimension / richness**2 * (1 + np.sqrt(1 + 4 * richness**2 * ratio)) / 2
        assert found == pytest.approx(law, rel=0.25)

    def test_frozen_features_of_an_untrained_source(self):
        """What scatters is the draw of the features, as many as target samples make them fit by chance."""
        solutions = [(one.finite_width.source, one.test_loss) for one in self.found(0.3, 0.3, np.inf)]
        assert np.mean([100 * source / loss for source, loss in solutions]) == pytest.approx(100 * 30, rel=0.25)


@pytest.mark.parametrize("activation", ["linear", "erf"])
def test_on_the_training_points_it_is_that_of_test_points_there(activation):
    task = linear(dimension=6, overlap=0.6, n_source=12, n_target=5, n_test=7, seed=1)
    there = dataclasses.replace(task, x_test=task.x_target, y_test=task.y_target)
    settings = {"activation": activation, "source_strength": 0.8, "target_strength": 0.6, "inverse_temperature": 10.0}
    settings["elastic_coupling"] = [0.0, 5.0, np.inf]
    found = bayes.solve(task, **settings).train_finite_width
    expected = bayes.solve(there, **settings).finite_width
    for name in ("mean", "thermal", "source"):
        error = np.hypot(found.stderr[name], expected.stderr[name])
        difference = np.abs(getattr(found, name) - getattr(expected, name))
        assert (difference <= 3 * error + 1e-9 * np.abs(getattr(expected, name))).all(), name
