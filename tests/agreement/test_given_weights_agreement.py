"""A target tied to given weights: theory of a source that is these neurons, beside sampled networks tied to them."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr, stdtrit

from infwidth.networks import langevin
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint
from infwidth.numerics.status import Status
from infwidth.tasks import linear
from infwidth.theory import bayes

TASK = linear(dimension=6, overlap=0.9, n_source=30, n_target=8, n_test=60, seed=4)
CHAINS, NEURONS, STRENGTH, BETA = 12, 100, 0.7, 15.0


def trained_weights():
    """A network's hidden weights after gradient descent on the source."""
    torch.manual_seed(0)
    x, y = torch.tensor(TASK.x_source) / 6**0.5, torch.tensor(TASK.y_source)
    hidden = torch.randn(NEURONS, 6, dtype=torch.float64, requires_grad=True)
    readout = torch.randn(NEURONS, dtype=torch.float64, requires_grad=True)
    descent = torch.optim.SGD([hidden, readout], lr=2.0)
    for _ in range(300):
        descent.zero_grad()
        (torch.erf(x @ hidden.T) @ readout / NEURONS - y).square().mean().backward()
        descent.step()
    return hidden.detach().numpy()


def mean_loss(weights, copies, coupling, activation):
    """Test loss of the mean predictor of chains whose source neurons are each repeated, and its standard error."""
    hidden = torch.tensor(np.tile(weights, (CHAINS, copies, 1)))
    found = langevin.sample_target(
        SourceNetworks(hidden, hidden[:, :, 0], (Status.CONVERGED,) * CHAINS, np.zeros(CHAINS, int)),
        TASK.x_target,
        TASK.y_target,
        TASK.x_test,
        points=[TargetPoint(coupling, STRENGTH)],
        activation=activation,
        inverse_temperature=BETA,
        sampling_time=100.0,
        seeds=range(CHAINS),
    ).prediction[:, 0]
    noise = found.var(0, ddof=1) / CHAINS
    left = found.mean(0) - TASK.y_test
    slopes = 2 * (found - found.mean(0)) @ left / len(left)
    return np.mean(left**2 - noise), slopes.std(ddof=1) / np.sqrt(CHAINS)


@pytest.mark.parametrize(("activation", "coupling"), [("erf", 3.0), ("relu", 3.0)])
def test_networks_tied_to_given_neurons_are_the_theory(activation, coupling):
    """Extrapolated from N = 200 and 400, which repeat the same 100 neurons, within 3 standard errors, Student's."""
    weights = trained_weights()
    settings = {"source_strength": STRENGTH, "target_strength": STRENGTH, "inverse_temperature": BETA}
    theory = bayes.solve(
        TASK,
        activation=activation,
        elastic_coupling=coupling,
        source_weights=weights,
        particles=6400,
        evidence=False,
        **settings,
    )
    (narrow, few), (wide, many) = (mean_loss(weights, copies, coupling, activation) for copies in (2, 4))
    error = np.linalg.norm([2 * many, few, theory.stderr["test_loss"]])
    assert abs(2 * wide - narrow - theory.test_loss) < stdtrit(CHAINS - 1, ndtr(3.0)) * error
    assert error < 0.04 * theory.test_loss
    scratch = bayes.solve(TASK, activation=activation, elastic_coupling=0.0, particles=2048, evidence=False, **settings)
    assert abs(scratch.test_loss - theory.test_loss) > 5 * error  # networks tell the weights from none
