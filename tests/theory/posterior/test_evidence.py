import numpy as np
import pytest

from infwidth.tasks.hermite_tasks import hermite
from infwidth.theory import bayes
from infwidth.theory.posterior import evidence

TASK = hermite(dimension=10, source_degree=1, target_degree=3, n_source=50, n_target=30, n_test=50, seed=0)
SETTINGS = {"activation": "erf", "source_strength": 1.0, "target_strength": 1.0, "inverse_temperature": 20.0}


@pytest.mark.parametrize("seed", [0, 1])
def test_particles_keep_up_with_the_tilt(seed, monkeypatch):
    """Rich neurons far out find back to the prior slowly: that many moves a node tell no other evidence."""
    settings = {"elastic_coupling": [0.0], "particles": 2048, "seed": seed, **SETTINGS}
    quick = bayes.solve(TASK, **settings)
    monkeypatch.setattr(evidence, "SETTLING", 60)
    slow = bayes.solve(TASK, **settings)
    found = quick.log_evidence_density - slow.log_evidence_density
    error = np.hypot(quick.stderr["log_evidence_density"], slow.stderr["log_evidence_density"])
    assert (np.abs(found) < 3 * error).all()
    assert (error < 0.04).all()
