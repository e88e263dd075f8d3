"""Theory of several outputs against sampled networks of as many readouts: classes, one-hot, and numbers."""

import numpy as np
import pytest
from scipy.special import ndtr, stdtrit

from infwidth.networks import langevin
from infwidth.tasks import TransferTask, one_hot
from infwidth.theory import bayes

COUPLINGS = (0.0, 3.0)
SEEDS = 8


def classes(count):
    """Source and target classes by the largest of so many linear functions, which overlap."""
    rng = np.random.default_rng(2)
    source = rng.standard_normal((5, count))
    target = 0.8 * source + 0.6 * rng.standard_normal((5, count))
    parts = []
    for n, teachers in ((40, source), (15, target), (300, target)):
        x = rng.standard_normal((n, 5))
        parts += [x, one_hot(np.argmax(x @ teachers, 1), count)]
    return TransferTask(*parts)


def numbers(count):
    """Regression of so many numbers a sample: odd functions of linear ones, noisy, correlated, standardised."""
    rng = np.random.default_rng(3)
    source = rng.standard_normal((5, count)) + rng.standard_normal((5, 1))
    target = 0.8 * source + 0.6 * rng.standard_normal((5, count))
    parts = []
    for n, teachers in ((40, source), (15, target), (300, target)):
        x = rng.standard_normal((n, 5))
        y = np.arctan(x @ teachers) + 0.2 * rng.standard_normal((n, count))
        parts += [x, y / y.std(0)]
    return TransferTask(*parts)


@pytest.mark.parametrize(
    ("draw", "activation", "count", "strength"),
    [
        (classes, "erf", 5, 0.5),
        (classes, "relu", 3, 0.1),  # richer ReLU networks condense
        (classes, "tanh", 4, 0.4),
        (numbers, "erf", 3, 0.5),
        (numbers, "relu", 2, 0.1),
    ],
)
def test_sampled_networks_of_several_outputs_are_the_theory(draw, activation, count, strength):
    """Test and train loss extrapolated from N = 200 and 400 within 3 standard errors; f and error rate near.

    Of eight networks these are Student's, as improbable as a normal variable's three.
    """
    far = stdtrit(SEEDS - 1, ndtr(3.0))
    task = draw(count)
    settings = {"activation": activation, "inverse_temperature": 15.0}
    settings |= {"source_strength": strength, "target_strength": strength}
    theory = bayes.solve(task, elastic_coupling=COUPLINGS, particles=3072, evidence=False, **settings)
    narrow, wide = (
        langevin.run(task, elastic_coupling=COUPLINGS, width=width, seeds=range(SEEDS), sampling_time=150.0, **settings)
        for width in (200, 400)
    )
    for name in ("test_loss", "train_loss"):
        limit = 2 * getattr(wide, name) - getattr(narrow, name)
        error = np.sqrt(4 * wide.stderr[name] ** 2 + narrow.stderr[name] ** 2 + theory.stderr[name] ** 2)
        assert (np.abs(limit - getattr(theory, name)) < far * error).all()
        assert (error < 0.05 * getattr(theory, name)).all()
    for i in range(2):
        size = np.linalg.norm(theory.prediction[i])
        assert np.linalg.norm(wide.prediction[i] - theory.prediction[i]) < 0.06 * size
        noise = np.linalg.norm(np.hypot(wide.stderr["kernel"][i], theory.stderr["kernel"][i]))
        apart = np.linalg.norm(wide.kernel[i] - theory.kernel[i])
        assert apart < 0.03 * np.linalg.norm(theory.kernel[i]) + 2 * noise
        if draw is numbers:
            continue
        wrong = np.mean(wide.prediction[i].argmax(-1) != task.y_test.argmax(-1))
        assert wrong == pytest.approx(theory.test_error[i], abs=0.03)
