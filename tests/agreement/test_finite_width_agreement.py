"""Linear networks of finite width beside E_∞ + c/N: sources drawn exactly, targets by Gibbs sampling."""

import dataclasses
import functools

import numpy as np
import pytest

from infwidth.networks import langevin
from infwidth.tasks import hermite, linear
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes
from infwidth.theory.linear.concave_dual import Potential
from infwidth.theory.linear.design import Design
from infwidth.theory.linear.exact_width import norm_law
from infwidth.theory.linear.finite_width import SaddlePoint, SourceScatter
from infwidth.theory.linear.posterior import solve_posterior
from infwidth.theory.problem import Designs

BETA, STRENGTHS, D = 20.0, (1.0, 0.5), 16
SCALES = {"source_strength": STRENGTHS[0], "target_strength": STRENGTHS[1], "inverse_temperature": BETA}


def make_task(overlap):
    """The test points are the population: the mean over them is |v − w|²/D."""
    rng = np.random.default_rng(0)
    first, other = rng.standard_normal((2, D))
    first *= np.sqrt(D) / np.linalg.norm(first)
    other -= first * (first @ other) / D
    other *= np.sqrt(D) / np.linalg.norm(other)
    x1, x2 = rng.standard_normal((48, D)), rng.standard_normal((8, D))
    teacher, root = overlap * first + np.sqrt(1 - overlap**2) * other, np.sqrt(D)
    return TransferTask(x1, x1 @ first / root, x2, x2 @ teacher / root, root * np.eye(D), teacher)


def posteriors(task, coupling):
    designs = Designs.of(task)
    source = solve_posterior(designs.source, task.y_source, strength=STRENGTHS[0], inverse_temperature=BETA)
    tie = {"elastic_coupling": coupling, "anchor_moment": source.hidden_moment}
    return source, solve_posterior(
        designs.target, task.y_target, strength=STRENGTHS[1], inverse_temperature=BETA, **tie
    )


def draw_sources(law, count, width, hidden_precision, rng):
    """W̄ of independent source networks (count, N, D): |w| from its law, u given it, the rest from the prior.

    ``law`` is the posterior's :class:`NormLaw`, whose basis must be square (P1 ≥ D).
    """
    node = rng.choice(len(law.probabilities), size=count, p=law.probabilities)
    dimension = len(law.basis)
    spread = np.sqrt(law.variances[node])
    along = law.means[node] + spread * rng.standard_normal((count, dimension))  # v = ru/(γN)
    direction = rng.standard_normal((count, width))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    free = rng.standard_normal((count, width, dimension)) / np.sqrt(hidden_precision)
    free -= direction[:, :, None] * np.einsum("bn,bnd->bd", direction, free)[:, None, :]
    # u = vγN/r, and √free is r/(γN√λ_W)
    u = along @ law.basis.T / np.sqrt(law.free[node] * hidden_precision)[:, None]
    return free + direction[:, :, None] * u[:, None, :]


def sampled_losses(inputs, labels, teacher, anchors, *, strength, beta, coupling, precision, sweeps, burn_in, rng):
    """Mean over sweeps of E[|v − w|²/D | readout], one a source (count,); inputs are X/√D (P, D), P ≤ D."""
    count, width, dimension = anchors.shape
    samples, stiffness = len(labels), precision + coupling
    gram = inputs @ inputs.T
    root = np.linalg.cholesky(gram)
    means = anchors * (coupling / stiffness)
    carried = np.einsum("pd,bnd->bpn", inputs, means)
    noise, data = width / beta, strength * width * labels
    field = carried + root @ rng.standard_normal((count, samples, width)) / np.sqrt(stiffness)
    found = np.zeros(count)
    for sweep in range(sweeps):
        prior = rng.standard_normal((count, width)) / np.sqrt(precision)
        error = rng.standard_normal((count, samples)) * np.sqrt(noise)
        covariance = field @ field.transpose(0, 2, 1) / precision + noise * np.eye(samples)
        gap = data - np.einsum("bpn,bn->bp", field, prior) - error
        solved = np.linalg.solve(covariance, gap[..., None])[..., 0]
        readout = prior + np.einsum("bpn,bp->bn", field, solved) / precision

        square = np.sum(readout**2, 1) / stiffness
        covariance = square[:, None, None] * gram + noise * np.eye(samples)
        field = carried + root @ rng.standard_normal((count, samples, width)) / np.sqrt(stiffness)
        gap = data - np.einsum("bpn,bn->bp", field, readout) - rng.standard_normal((count, samples)) * np.sqrt(noise)
        solved = np.linalg.solve(covariance, gap[..., None])[..., 0]
        field = field + (solved @ gram)[:, :, None] * readout[:, None, :] / stiffness
        if sweep < burn_in:
            continue
        drift = np.einsum("bnd,bn->bd", means, readout)
        inverse = np.linalg.inv(covariance)
        mean = drift + square[:, None] * np.einsum(
            "bp,pd->bd", np.einsum("bpq,bq->bp", inverse, data - drift @ inputs.T), inputs
        )
        thermal = dimension * square - square**2 * np.einsum("bpq,qp->b", inverse, gram)
        scale = strength * width
        found += (np.sum((mean / scale - teacher) ** 2, 1) + thermal / scale**2) / dimension
    return found / (sweeps - burn_in)


def test_few_neurons():
    """Six neurons without a tie: the sampler and the integral over |w| are both exact."""
    task = make_task(0.0)
    losses = sampled_losses(
        task.x_target / 4,
        task.y_target,
        task.y_test,
        np.zeros((300, 6, D)),
        strength=STRENGTHS[1],
        beta=BETA,
        coupling=0.0,
        precision=1.0,
        sweeps=250,
        burn_in=50,
        rng=np.random.default_rng(1),
    )
    design = Design.of(task.x_target / 4)
    law = norm_law(design, task.y_target, strength=STRENGTHS[1], inverse_temperature=BETA, width=6)
    exact = law.loss(np.eye(D), np.ones(D), task.y_test)
    assert abs(losses.mean() - exact) < 3 * losses.std(ddof=1) / np.sqrt(300)


WIDTH = 200


@functools.cache
def drawn_sources(width):
    """Source networks, 600 of 200 neurons and as many neurons of other widths; every overlap has the same source."""
    task = make_task(0.0)
    design = Design.of(task.x_source / 4)
    law = norm_law(design, task.y_source, strength=STRENGTHS[0], inverse_temperature=BETA, width=width)
    return draw_sources(law, 600 * WIDTH // width, width, 1.0, np.random.default_rng(7))


@pytest.fixture(scope="module")
def sources():
    return drawn_sources(WIDTH)


class TestSampledNetworks:
    def test_source_moments(self, sources):
        """E S̄ = A1 + a1/N and N Cov(S̄k) = K1, for S̄ = W̄ᵀW̄/N."""
        task = make_task(0.0)
        source, _ = posteriors(task, 0.0)
        fresh = Potential.elastic(np.zeros((16, 16)), 0.0, 1.0, 1.0, True)
        scatter = SourceScatter.of(SaddlePoint.of(fresh, source.saddle.drive, task.x_source / 4, BETA, STRENGTHS[0]))
        moments = np.einsum("bni,bnj->bij", sources, sources) / WIDTH
        ahead = source.saddle.drive / np.linalg.norm(source.saddle.drive)
        excess = WIDTH * (moments - scatter.anchor_moment)
        for probe in (np.outer(ahead, ahead), np.eye(16)):
            samples = np.sum(excess * probe, (1, 2))
            expected = np.sum(scatter.moment_shift * probe)
            # the next order is 1/N smaller
            assert abs(samples.mean() - expected) < 3 * samples.std() / np.sqrt(600) + 0.05 * abs(expected)
        along = moments @ ahead * np.sqrt(WIDTH)
        covariance = np.cov(along.T)
        expected = scatter.covariance(ahead)
        assert ahead @ covariance @ ahead == pytest.approx(ahead @ expected @ ahead, rel=0.2)
        assert np.trace(covariance) == pytest.approx(np.trace(expected), rel=0.1)

    @pytest.mark.parametrize("overlap", [0.0, 0.6, 0.9])
    @pytest.mark.parametrize(
        ("width", "coupling"), [(200, 0.0), (200, 1.0), (200, 10.0), (200, 100.0), (800, 0.0), (800, 100.0)]
    )
    def test_loss(self, width, overlap, coupling):
        task, sources = make_task(overlap), drawn_sources(width)
        _, target = posteriors(task, coupling)
        limit = np.mean((target.saddle.weights - task.y_test) ** 2)
        losses = sampled_losses(
            task.x_target / np.sqrt(D),
            task.y_target,
            task.y_test,
            sources,
            strength=STRENGTHS[1],
            beta=BETA,
            coupling=coupling,
            precision=1.0,
            sweeps=30,
            burn_in=8,
            rng=np.random.default_rng(8),
        )
        error = losses.std(ddof=1) / np.sqrt(len(losses))
        found = bayes.solve(task, activation="linear", elastic_coupling=coupling, **SCALES).finite_width
        if coupling == 0:  # no source scatters, and the sampler's error is far below the next order in 1/N
            design = Design.of(task.x_target / 4)
            scale = {"strength": STRENGTHS[1], "inverse_temperature": BETA}
            law = norm_law(design, task.y_target, width=width, **scale)
            exact = law.loss(np.eye(D), np.ones(D), task.y_test)
            assert abs(losses.mean() - exact) < 3 * error
            assert abs(exact - limit - found.total / width) < (found.total / width) ** 2 / limit
        else:
            assert abs(losses.mean() - limit - found.total / width) < 3 * error
        assert losses.mean() - limit > (4 if width == WIDTH else 1) * error


TEACHERS = linear(dimension=8, overlap=0.6, n_source=16, n_target=6, n_test=60, seed=3)
SAMPLED = {
    "erf": {"width": 100, "seeds": range(40), "burn_in_time": 24},
    "relu": {"width": 200, "seeds": range(80), "burn_in_time": 96},
}
"""ReLU networks without a tie are slow to forget where they began, and at 100 neurons show what is beyond c/N."""
CUBIC = hermite(dimension=6, source_degree=1, target_degree=3, n_source=24, n_target=8, n_test=60, seed=3)


def together(found):
    """Mean and standard error of independent numbers, each with its error."""
    numbers, errors = np.moveaxis(found, 1, 0)
    return numbers.mean(0), np.linalg.norm(errors, axis=0) / len(found)


@pytest.mark.parametrize(
    ("activation", "task"),
    [("erf", TEACHERS), ("relu", TEACHERS), ("erf", CUBIC)],
    ids=["erf", "relu", "erf, He1 → He3"],
)
def test_other_activations(activation, task):
    """Networks sampled by Hamiltonian Monte Carlo; without a tie c/N is many standard errors."""
    settings = {"activation": activation, "source_strength": 0.8, "target_strength": 0.6, "inverse_temperature": 10.0}
    settings["elastic_coupling"] = [0.0, 5.0]
    theories = [bayes.solve(task, evidence=False, seed=seed, **settings) for seed in range(3)]
    networks = langevin.run(task, sampling_time=30, strict=False, **SAMPLED[activation], **settings)
    limit, limit_error = together([(one.test_loss, one.stderr["test_loss"]) for one in theories])
    finite, finite_error = together([(one.finite_width.total, one.finite_width.stderr["total"]) for one in theories])
    width = SAMPLED[activation]["width"]
    error = np.linalg.norm([networks.stderr["sampled_test_loss"], limit_error, finite_error / width], axis=0)
    assert (np.abs(networks.sampled_test_loss - (limit + finite / width)) < 3 * error).all()
    assert networks.sampled_test_loss[0] - limit[0] > 3 * error[0]


@pytest.mark.parametrize("activation", ["linear", "erf"])
def test_the_training_loss_of_mean_predictors(activation):
    """Without a tie all networks of a width have one mean predictor; it fits the training points as the theory says.

    Mean predictors of single chains carry noise that adds to their loss; that of all chains together hardly does.
    """
    task = linear(dimension=8, overlap=0.6, n_source=16, n_target=6, n_test=1, seed=3)
    task = dataclasses.replace(task, x_test=task.x_target, y_test=task.y_target)
    settings = {"activation": activation, "source_strength": 0.8, "target_strength": 1.5, "inverse_temperature": 3.0}
    settings["elastic_coupling"] = 0.0
    theory = bayes.solve(task, evidence=False, **settings)
    networks = langevin.run(
        task, width=40, seeds=range(60), strict=False, burn_in_time=24, sampling_time=60, **settings
    )
    noise, residual = networks.stderr["prediction"], networks.prediction - task.y_test
    found = np.mean(residual**2 - noise**2) - theory.train_loss
    predicted = theory.train_finite_width
    error = np.linalg.norm(2 * residual * noise) / len(noise)
    error = np.linalg.norm([error, np.max(theory.stderr["train_loss"]), predicted.stderr["mean"] / 40])
    assert abs(found - predicted.mean / 40) < 3 * error + 0.1 * abs(found)  # and the next order in 1/N
    assert abs(found) > 3 * error
