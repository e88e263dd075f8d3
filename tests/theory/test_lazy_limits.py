"""Lazy limits beside the theories they are limits of, at feature learning that shows nowhere."""

import numpy as np
import pytest
from builders import linear_teachers

from infwidth.numerics.checks import InputError
from infwidth.theory import bayes, flow, lazy_limits

COUPLINGS = [0.0, 3.0, np.inf]
LAZY = {"source_strength": 1e-5, "target_strength": 1e-5}
POSTERIOR = {"inverse_temperature": 15.0, "prior_precision": 1.3}


@pytest.mark.parametrize("dimension", [12, 60])
def test_posterior_of_linear_networks(dimension):
    task = linear_teachers(dimension=dimension)
    found = lazy_limits.posterior(task, activation="linear", elastic_coupling=COUPLINGS, **POSTERIOR)
    theory = bayes.solve(task, activation="linear", elastic_coupling=COUPLINGS, **POSTERIOR, **LAZY)
    for name in ("prediction", "train_loss", "test_loss"):
        np.testing.assert_allclose(getattr(found, name), getattr(theory, name), atol=1e-6)
    one = lazy_limits.posterior(task, activation="linear", elastic_coupling=3.0, **POSTERIOR)
    np.testing.assert_array_equal(one.prediction, found.prediction[1])


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_posterior_of_particles(activation):
    task = linear_teachers(n_source=12, n_target=8)
    found = lazy_limits.posterior(task, activation=activation, elastic_coupling=COUPLINGS, **POSTERIOR)
    theory = bayes.solve(
        task, activation=activation, elastic_coupling=COUPLINGS, particles=2048, evidence=False, **POSTERIOR, **LAZY
    )
    off = (theory.prediction - found.prediction) / theory.stderr["prediction"]
    assert (np.sqrt(np.mean(off**2, 1)) < 2).all()
    assert np.linalg.norm(theory.prediction - found.prediction) < 0.1 * np.linalg.norm(found.prediction)


@pytest.mark.parametrize("decays", [(0.0, 0.0), (0.05, 0.2)])
@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_course(activation, decays):
    task = linear_teachers(n_source=12, n_target=8)
    settings = {"activation": activation, "weight_decay": decays[0], "source_weight_decay": decays[1]}
    settings |= {"source_time": 3.0, "target_times": [0.0, 1.0, 4.0]}
    found = lazy_limits.course(task, **settings)
    theory = flow.solve(task, elastic_coupling=0.0, particles=1024, rtol=None, **settings, **LAZY)
    errors = theory.stderr["test_loss"][1:] if activation == "relu" else 0.0
    allowed = 4 * errors + (2e-3 if activation == "relu" else 1e-6)
    assert (np.abs(found.test_loss - theory.test_loss)[1:] < allowed).all()
    np.testing.assert_array_equal(found.prediction[0], 0)


def test_a_course_needs_a_homogeneous_activation_and_finite_times():
    settings = {"weight_decay": 0.1, "source_time": 1.0}
    with pytest.raises(InputError, match="'erf': expected a 1-homogeneous one, of \\['linear', 'relu'\\]"):
        lazy_limits.course(linear_teachers(), activation="erf", target_times=[1.0], **settings)
    with pytest.raises(InputError, match="target_times"):
        lazy_limits.course(linear_teachers(), activation="relu", target_times=[1.0, np.inf], **settings)
