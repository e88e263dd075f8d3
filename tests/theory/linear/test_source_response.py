"""What a loss owes to its source's draw: the derivative by the source, and a control variate without bias."""

import numpy as np
import pytest

from infwidth.tasks import linear
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import bayes
from infwidth.theory.linear.design import Design
from infwidth.theory.linear.exact_width import norm_law
from infwidth.theory.linear.posterior import solve_posterior

SETTINGS = {"activation": "linear", "source_strength": 1.0, "target_strength": 0.5, "inverse_temperature": 20.0}
PRECISION = 1.3
LOSS = {False: "test_loss", True: "train_loss"}


def solved(task, coupling, **options):
    return bayes.solve(task, **SETTINGS, elastic_coupling=coupling, prior_precision=PRECISION, **options)


def at_source(task, coupling, moment):
    """The infinitely wide target tied to a source of this W̄ᵀW̄/N."""
    root = np.linalg.cholesky(moment).T * np.sqrt(len(moment))
    return solved(task, coupling, source_weights=root)


def anchor_moment(task):
    root = np.sqrt(task.dimension)
    shared = {"strength": SETTINGS["source_strength"], "inverse_temperature": SETTINGS["inverse_temperature"]}
    precisions = dict.fromkeys(("readout_precision", "hidden_precision"), PRECISION)
    return solve_posterior(task.x_source / root, task.y_source, **shared, **precisions).hidden_moment


@pytest.mark.parametrize("on_training", [False, True])
@pytest.mark.parametrize("coupling", [0.7, 10.0, np.inf])
@pytest.mark.parametrize("n_source", [60, 8])
def test_it_is_the_derivative_of_the_loss(n_source, coupling, on_training):
    """Also where training inputs span a part of the space alone, and the source moves the target off it."""
    task = linear(dimension=20, overlap=0.4, n_source=n_source, n_target=7, n_test=60, target_noise=0.2, seed=1)
    moment = anchor_moment(task)
    push = np.random.default_rng(0).standard_normal((20, 20))
    push, step = (push + push.T) / 20, 1e-5
    response = solved(task, coupling).respond(on_training=on_training)
    ahead, back = (
        getattr(at_source(task, coupling, moment + sign * step * push), LOSS[on_training]) for sign in (1, -1)
    )
    moved = response.of(moment + push, np.inf)
    assert moved == pytest.approx((ahead - back) / (2 * step), rel=1e-4)  # of a difference of two nearly equal losses
    assert response.of(moment, np.inf) == pytest.approx(0, abs=1e-9 * abs(moved))


def test_without_a_tie_no_source_moves_it():
    task = linear(dimension=10, overlap=0.4, n_source=20, n_target=7, n_test=60, seed=1)
    found = solved(task, [0.0, 1.0]).respond
    assert found[0]().of(np.random.default_rng(0).standard_normal((10, 10)), 5) == 0
    assert found[1]().of(2 * anchor_moment(task), 5) != 0
    assert solved(task, 1.0, source_weights=np.eye(20)[:, :10]).respond is None


def source_law(task, width):
    return norm_law(
        Design.of(task.x_source / np.sqrt(task.dimension)),
        task.y_source,
        strength=SETTINGS["source_strength"],
        inverse_temperature=SETTINGS["inverse_temperature"],
        readout_precision=PRECISION,
        hidden_precision=PRECISION,
        width=width,
    )


def source_moments(task, width, count, rng):
    """W̄ᵀW̄/N of networks from the source's posterior at this width: ūūᵀ and a Wishart of the other rows."""
    law = source_law(task, width)
    for node in rng.choice(len(law.norms), size=count, p=law.probabilities):
        # of v = ru/(γN) given r
        v = law.means[node] + np.sqrt(law.variances[node]) * rng.standard_normal(law.basis.shape[1])
        u = law.basis @ v * SETTINGS["source_strength"] * width / law.norms[node]
        rows = rng.standard_normal((width - 1, task.dimension)) / np.sqrt(PRECISION)
        yield (np.outer(u, u) + rows.T @ rows) / width


def test_taken_off_it_leaves_the_mean_and_little_of_the_scatter():
    """At α = 0 and large δ, where the source's draw is what carries the scatter."""
    task, width, coupling = linear(dimension=20, overlap=0, n_source=60, n_target=10, n_test=200, seed=2), 400, 100.0
    response = solved(task, coupling).respond()
    moments = list(source_moments(task, width, 300, np.random.default_rng(0)))
    losses = np.array([at_source(task, coupling, moment).test_loss for moment in moments])
    owed = np.array([response.of(moment, width) for moment in moments])
    assert np.std(losses) > 0.02 * np.mean(losses)
    assert abs(owed.mean()) < 3 * owed.std() / np.sqrt(len(owed))
    assert np.var(losses - owed) < 0.1 * np.var(losses)


def test_its_mean_is_known_to_the_order_of_the_inverse_width():
    """Narrow sources: without the 1/N of E S̄ the mean would be off by many standard errors, found by k and b apart."""
    task, width = linear(dimension=6, overlap=0.5, n_source=20, n_target=5, n_test=50, source_noise=0.5, seed=3), 30
    response = solved(task, 10.0).respond()
    # the mean of S̄ by the integral over r instead of draws: E ūūᵀ, and of the other rows their variance
    law = source_law(task, width)
    scale = SETTINGS["source_strength"] * width / law.norms[:, None]
    means, variances = scale * law.means, scale**2 * law.variances
    inner = (law.probabilities[:, None] * means).T @ means + np.diag(law.probabilities @ variances)
    outside = np.eye(6) - law.basis @ law.basis.T
    moment = law.basis @ inner @ law.basis.T + outside / PRECISION + (width - 1) / PRECISION * np.eye(6)
    left = response.of(moment / width, width)
    assert abs(left) < 0.2 * abs(response.shift) / width


def test_several_outputs_have_none():
    task = linear(dimension=6, overlap=0.5, n_source=20, n_target=5, n_test=9, seed=3)
    several = TransferTask(
        *(task.x_source, np.stack([task.y_source] * 2, 1), task.x_target, np.stack([task.y_target] * 2, 1)),
        *(task.x_test, np.stack([task.y_test] * 2, 1)),
    )
    assert solved(several, 1.0).respond is None
