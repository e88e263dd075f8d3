"""Tasks whose test points are the population."""

import numpy as np
import pytest

from infwidth.studies.populations import population
from infwidth.tasks.linear_tasks import linear

SPECTRA = [(None, None), ({"exponent": 1.0, "rotated": True}, {"exponent": 0.5, "rotated": True})]


@pytest.mark.parametrize("spectra", SPECTRA)
def test_the_population_is_that_of_the_task(spectra):
    """The data are those of the task of that seed, and its test loss is the mean over ever more test points."""
    settings = {"dimension": 12, "overlap": 0.4, "n_source": 9, "n_target": 7, "seed": 5}
    drawn = linear(**settings, n_test=200_000, source_noise=0.3, spectrum=spectra[0], target_spectrum=spectra[1])
    task = population(12, 0.4, (9, 7), 5, noises=(0.3, 0.0), spectra=spectra)
    for name in ("x_source", "y_source", "x_target", "y_target"):
        np.testing.assert_array_equal(getattr(task, name), getattr(drawn, name))
    weights = np.random.default_rng(0).standard_normal(12) / np.sqrt(12)
    squares = (drawn.x_test @ weights - drawn.y_test) ** 2
    error = squares.std() / np.sqrt(len(squares))
    assert np.mean((task.x_test @ weights - task.y_test) ** 2) == pytest.approx(squares.mean(), abs=3 * error)
    np.testing.assert_allclose(task.y_test, _labels(task, drawn), rtol=1e-9, atol=1e-12)


def _labels(task, drawn):
    """What the task's own teacher makes of the population's points."""
    teacher = np.linalg.lstsq(drawn.x_test[:50], drawn.y_test[:50], rcond=None)[0]
    return task.x_test @ teacher
