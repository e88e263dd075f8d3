"""Single precision against the reference, double, and where it must give way to it."""

import numpy as np
import pytest
import torch

from infwidth.numerics.activations import get_activation
from infwidth.numerics.status import Status
from infwidth.tasks import hermite
from infwidth.theory.dynamics import precision
from infwidth.theory.dynamics.solve import average_loss
from infwidth.theory.dynamics.transfer import Draws, Limits, starting_weights, train_source, train_target

COUPLINGS = (0.0, 10.0, 1000.0)


@pytest.fixture
def chosen(monkeypatch):
    """The turns that integrations took: "single", and "double" again."""
    turns, narrow, widen = [], precision.Precision.narrow, precision.Precision.widen

    def narrowed(self, point):
        taken = narrow(self, point)
        turns.extend(["single"] * taken)
        return taken

    def widened(self):
        turns.append("double")
        widen(self)

    monkeypatch.setattr(precision.Precision, "narrow", narrowed)
    monkeypatch.setattr(precision.Precision, "widen", widened)
    return turns


def courses(activation, how, *, scale=1.0, strength=0.3, decay=0.05, particles=512, times=(0.0, 1.0, 10.0), rtol=1e-2):
    task = hermite(dimension=15, source_degree=1, target_degree=3, n_source=40, n_target=40, n_test=100, seed=3)
    x = [inputs / np.sqrt(task.dimension) for inputs in (task.x_source, task.x_target, task.x_test)]
    draws, limits = Draws(particles, 2), Limits(rtol=rtol, precision=how)
    settings = {"strength": strength, "weight_decay": decay, "activation": get_activation(activation)}
    settings |= {"sampling": draws, "limits": limits}
    source = train_source(x[0], scale * task.y_source, dimension=15, time=5.0, **settings)
    anchor = starting_weights(source, 15, "source", draws, torch.from_numpy(x[1]))
    y = scale * task.y_target
    found = train_target(anchor, x[1], y, x[2], couplings=COUPLINGS, times=np.array(times), **settings)
    losses = [average_loss(found.prediction[:, g], scale * task.y_test) for g in range(len(COUPLINGS))]
    return found, np.array([loss for loss, _ in losses]), np.array([error for _, error in losses])


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
def test_single_precision_agrees_with_double(activation, chosen):
    single, losses, _ = courses(activation, "auto")
    assert chosen == ["single"] * 6  # two replicas of three couplings, none of which had to turn back
    double, exact, errors = courses(activation, "double")
    assert chosen == ["single"] * 6
    np.testing.assert_array_equal(single.evaluations, double.evaluations)
    np.testing.assert_allclose(single.residual, double.residual, rtol=1e-2)
    assert single.status == double.status
    assert (np.abs(losses - exact)[:, 1:] < 1e-2 * errors[:, 1:]).all()
    np.testing.assert_allclose(losses, exact, rtol=1e-4)
    assert np.abs(single.prediction[:, :, 0]).max() < 1e-14  # f(0) = 0 is exact


def test_small_populations_stay_in_double(chosen):
    courses("relu", "auto", particles=64)
    assert not chosen


@pytest.mark.parametrize(
    "changes",
    [{"scale": 1e-9}, {"scale": 1e30}, {"strength": 1e-9}, {"rtol": 1e-6, "times": (0.1,)}],
    ids=["tiny labels", "huge labels", "lazy beyond single precision", "tolerance"],
)
def test_scales_beyond_single_precision_are_in_double(changes, chosen):
    found = courses("erf", "auto", **changes)[0]
    assert not chosen
    np.testing.assert_array_equal(found.prediction, courses("erf", "double", **changes)[0].prediction)


def test_what_is_left_of_the_labels_is_no_rounding(chosen):
    # Without decay y − f dies out: a loss of single precision's rounding squared would be noise.
    times = (0.0, 10.0, 60.0)
    found, exact = (courses("erf", how, decay=0.0, times=times)[0] for how in ("auto", "double"))
    assert "double" in chosen
    assert found.status == exact.status == ((Status.CONVERGED,) * 3,) * 2
    np.testing.assert_allclose(found.train_prediction, exact.train_prediction, atol=1e-5)
