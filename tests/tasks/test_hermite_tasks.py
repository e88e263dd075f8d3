import math

import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.tasks.hermite_tasks import hermite
from infwidth.tasks.linear_tasks import linear


def draw(**changes):
    settings = {"dimension": 6, "source_degree": 1, "target_degree": 2, "n_source": 30, "n_target": 20, "n_test": 15}
    return hermite(**{**settings, "seed": 4, **changes})


def test_degree_one_is_the_linear_task():
    sizes = {"dimension": 6, "overlap": 0.4, "n_source": 30, "n_target": 20, "n_test": 15, "seed": 4}
    same, expected = hermite(source_degree=1, target_degree=1, **sizes), linear(**sizes)
    for name in ("x_source", "y_source", "x_target", "y_target", "x_test", "y_test"):
        assert np.array_equal(getattr(same, name), getattr(expected, name))


@pytest.mark.parametrize(
    ("degree", "polynomial"),
    [(2, lambda u: (u**2 - 1) / math.sqrt(2)), (3, lambda u: (u**3 - 3 * u) / math.sqrt(6)),
     (4, lambda u: (u**4 - 6 * u**2 + 3) / math.sqrt(24))],
)  # fmt: skip
def test_labels_are_normalised_hermite_polynomials_of_the_shared_direction(degree, polynomial):
    """Degree 1 at full overlap gives β·x itself."""
    u = draw(target_degree=1).y_test
    assert np.allclose(draw(target_degree=degree).y_test, polynomial(u))
    assert np.allclose(draw(source_degree=degree).y_source, polynomial(draw().y_source))


def test_degrees_are_uncorrelated_and_of_unit_variance():
    labels = [draw(target_degree=k, n_test=200_000).y_test for k in (1, 2, 3)]
    assert np.allclose(np.cov(labels), np.eye(3), atol=0.05)


def test_noise_and_overlap():
    quiet, noisy = draw(), draw(noise=0.5, n_test=15)
    assert np.array_equal(quiet.x_test, noisy.x_test)
    assert not np.array_equal(quiet.y_source, noisy.y_source)
    assert draw(overlap=0.0).label == "He1 → He2"
    assert np.array_equal(draw(overlap=0.0).y_source, quiet.y_source)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"target_degree": 0}, "target_degree = 0"), ({"source_degree": 1.5}, "source_degree = 1.5"),
     ({"overlap": 2}, "overlap = 2"), ({"noise": -1}, "noise = -1"), ({"n_test": 0}, "n_test = 0")],
)  # fmt: skip
def test_bad_input_is_named(changes, message):
    with pytest.raises(InputError, match=f"^{message}: expected"):
        draw(**changes)


@pytest.mark.parametrize("name", ["source_degree", "target_degree"])
@pytest.mark.parametrize("degree", [171, 10**6])
def test_degrees_whose_norm_no_float_holds_are_refused(name, degree):
    assert np.isfinite(draw(**{name: 170}).y_test).all()
    with pytest.raises(InputError, match=f"{name} = {degree}: expected a degree ≤ 170"):
        draw(**{name: degree})
