"""Linear networks of finite width under gradient flow beside E_∞ + c/N, whatever the target starts from."""

import numpy as np
import pytest

from infwidth.networks import gradient_flow
from infwidth.tasks import linear
from infwidth.theory import flow

SETTINGS = {"activation": "linear", "source_strength": 1.2, "target_strength": 0.9, "weight_decay": 0.02}
SETTINGS |= {"source_time": 4.0, "target_times": [0.5, 5.0]}
ORIGINS = {
    "source": {},
    "continued": {"readout": "continued"},
    "scratch": {"start": "scratch"},
    "random": {"anchor": "random"},
    "random, continued": {"anchor": "random", "readout": "continued"},
}


FINE = 0.1
"""Steps of networks over their stability limit: their error would otherwise be that of many networks."""


@pytest.mark.parametrize("n_source", [12, 3])
@pytest.mark.parametrize("origin", ORIGINS)
def test_networks(origin, n_source):
    """With 3 + 2 inputs in 6 dimensions one direction is none of the training inputs'."""
    task = linear(dimension=6, overlap=0.5, n_source=n_source, n_target=4 if n_source > 6 else 2, n_test=80, seed=2)
    settings = SETTINGS | ORIGINS[origin] | {"elastic_coupling": [0.0, 2.0, np.inf]}
    width, seeds = 64, range(80)
    theory = flow.solve(task, **settings)
    networks = gradient_flow.run(task, width=width, seeds=seeds, safety=FINE, **settings)
    for loss, found in (("test_loss", theory.finite_width), ("train_loss", theory.train_finite_width)):
        limit, coefficient = getattr(theory, loss), found.total / width
        error = np.hypot(networks.stderr[loss], found.stderr["total"] / width)
        apart, seen = getattr(networks, loss) - limit, coefficient > 4 * error
        # three standard errors, and the next order in 1/N
        assert (np.abs(apart - coefficient) < 3 * error + 0.3 * np.abs(coefficient)).all()
        assert (apart[seen] > 2 * error[seen]).all()
    spread = networks.stderr["test_loss"] * np.sqrt(len(seeds))
    np.testing.assert_allclose(spread, theory.finite_width.spread / np.sqrt(width), rtol=0.35)
