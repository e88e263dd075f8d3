"""Inputs of power-law spectra: what is drawn, what stays as it was, and what is refused."""

import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.studies.populations import population
from infwidth.tasks import hermite, linear
from infwidth.tasks.spectra import Inputs, Spectrum, power_law

DATA = ("x_source", "y_source", "x_target", "y_target", "x_test", "y_test")
STEEP, TURNED = {"exponent": 1.2}, {"exponent": 0.7, "rotated": True}


def draw(family=linear, **changes):
    settings = {"dimension": 7, "overlap": 0.3, "n_source": 30, "n_target": 20, "n_test": 15, "seed": 5}
    degrees = {"source_degree": 2, "target_degree": 3} if family is hermite else {}
    return family(**settings | degrees | changes)


def covariances(spectrum, target, dimension=6, seed=2):
    sizes = {"n_source": 200_000, "n_target": 1, "n_test": 200_000}
    task = linear(dimension=dimension, overlap=0.5, seed=seed, spectrum=spectrum, target_spectrum=target, **sizes)
    return [x.T @ x / len(x) for x in (task.x_source, task.x_test)]


@pytest.mark.parametrize("family", [linear, hermite])
@pytest.mark.parametrize("flat", [{"exponent": 0}, {"exponent": 0.0, "rotated": True}])
def test_a_flat_spectrum_is_no_spectrum_bit_for_bit(family, flat):
    plain = draw(family)
    for given in ({"spectrum": flat}, {"target_spectrum": flat}, {"spectrum": flat, "target_spectrum": flat}):
        found = draw(family, **given)
        assert all(np.array_equal(getattr(found, name), getattr(plain, name)) for name in DATA)
        assert found.label == plain.label


def test_eigenvalues_have_mean_one_and_fall_as_a_power():
    variances = power_law(9, 1.5)
    assert variances.mean() == pytest.approx(1)
    assert np.allclose(variances / variances[0], np.arange(1, 10) ** -1.5)


def test_covariance_is_diagonal_and_the_target_has_the_sources():
    for found in covariances(STEEP, None):
        assert np.allclose(found, np.diag(power_law(6, 1.2)), atol=0.04)


def test_rotations_keep_eigenvalues_and_are_each_sides_own():
    source, target = covariances(TURNED, TURNED)
    for found in (source, target):
        assert np.allclose(np.sort(np.linalg.eigvalsh(found)), np.sort(power_law(6, 0.7)), atol=0.04)
        assert np.abs(found - np.diag(np.diagonal(found))).max() > 0.1
    assert np.abs(source - target).max() > 0.1
    same, shared = covariances(TURNED, None)
    assert np.allclose(same, source)
    assert np.allclose(same, shared, atol=0.05)
    assert np.abs(covariances(TURNED, None, seed=3)[0] - same).max() > 0.1


def test_rotations_are_from_the_haar_measure():
    """E Q_ij² = 1/D and E Q_ij⁴ = 3/(D(D+2)) of every entry, signs even."""
    drawn = np.array([Inputs.of(Spectrum(1.0, True), 4, seed, "r").axes for seed in range(4000)])
    assert np.allclose(drawn.mean(0), 0, atol=0.04)
    assert np.allclose((drawn**2).mean(0), 1 / 4, atol=0.02)
    assert np.allclose((drawn**4).mean(0), 3 / 24, atol=0.02)
    assert np.allclose(drawn[0] @ drawn[0].T, np.eye(4))


@pytest.mark.parametrize("spectra", [(STEEP, None), (STEEP, TURNED), (None, TURNED), (TURNED, {"exponent": 0})])
def test_teachers_and_white_inputs_are_those_of_flat_spectra(spectra):
    """The Euclidean overlap is exact whatever Σ, and the source knows nothing of the target's spectrum."""
    sizes = {"n_source": 40, "n_target": 40, "n_test": 40}
    found = draw(spectrum=spectra[0], target_spectrum=spectra[1], **sizes)
    source = np.linalg.lstsq(found.x_source, found.y_source * 7**0.5, rcond=None)[0]
    target = np.linalg.lstsq(found.x_target, found.y_target * 7**0.5, rcond=None)[0]
    assert source @ source == pytest.approx(7)
    assert target @ target == pytest.approx(7)
    assert source @ target / 7 == pytest.approx(0.3)
    other = draw(spectrum=spectra[0], target_spectrum={"exponent": 2}, **sizes)
    assert np.array_equal(found.x_source, other.x_source)
    assert np.array_equal(found.y_source, other.y_source)


def test_a_smaller_sample_begins_a_larger_one():
    small, large = (draw(spectrum=STEEP, target_spectrum=TURNED, n_target=n, n_test=n) for n in (3, 333))
    for name in DATA:
        count = len(getattr(small, name))
        assert np.array_equal(getattr(small, name), getattr(large, name)[:count])


@pytest.mark.parametrize("spectra", [(STEEP, None), (STEEP, TURNED), ({"exponent": 2, "rotated": True}, None)])
def test_hermite_labels_keep_unit_variance(spectra):
    found = draw(
        hermite, dimension=5, n_source=200_000, n_test=200_000, spectrum=spectra[0], target_spectrum=spectra[1]
    )
    for y in (found.y_source, found.y_test):
        assert y.mean() == pytest.approx(0, abs=0.02)
        assert y.var() == pytest.approx(1, abs=0.06)


def test_linear_labels_have_the_variance_that_inputs_give_them():
    found = draw(dimension=5, n_source=200_000, spectrum=STEEP)
    teacher = np.linalg.lstsq(found.x_source, found.y_source * 5**0.5, rcond=None)[0]
    assert found.y_source.var() == pytest.approx(teacher**2 @ power_law(5, 1.2) / 5, rel=0.02)


@pytest.mark.parametrize("spectra", [(None, None), (STEEP, None), (STEEP, TURNED)])
def test_population_is_the_mean_over_test_samples(spectra):
    """For any predictor v, the points' mean square is that of a large test set."""
    points = population(6, 0.4, (9, 8), 3, noises=(0.2, 0.3), spectra=spectra)
    given = {"spectrum": spectra[0], "target_spectrum": spectra[1], "source_noise": 0.2, "target_noise": 0.3}
    sampled = linear(dimension=6, overlap=0.4, n_source=9, n_target=8, n_test=300_000, seed=3, **given)
    for name in ("x_source", "y_source", "x_target", "y_target"):
        assert np.array_equal(getattr(points, name), getattr(sampled, name))
    v = np.random.default_rng(0).standard_normal(6)
    exact, mean = (np.mean((task.x_test @ v / 6**0.5 - task.y_test) ** 2) for task in (points, sampled))
    assert mean - 0.09 == pytest.approx(exact, rel=0.02)


def test_labels_say_what_shifts():
    assert draw(spectrum=STEEP).label == "linear teachers, spectrum k^−1.2"
    assert draw(target_spectrum=TURNED).label == "linear teachers, spectrum flat → k^−0.7 rotated"
    assert draw(hermite, spectrum=STEEP, target_spectrum={"exponent": 0}).label.endswith("spectrum k^−1.2 → flat")


@pytest.mark.parametrize("name", ["spectrum", "target_spectrum"])
@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"exponent": -1}, ".exponent = -1"),
        ({"exponent": 11}, ".exponent = 11"),
        ({"exponent": float("nan")}, ".exponent = nan"),
        ({"exponent": "1"}, ".exponent = '1'"),
        ({"exponent": 1, "rotated": 1}, ".rotated = 1"),
        ({"exponent": 1, "axes": 2}, " = "),
        ({"rotated": True}, " = "),
        (1.0, " = 1.0"),
        ([1.0, 2.0], " = [1.0"),
    ],
)
def test_what_is_no_spectrum_is_refused_in_one_line(name, given, found):
    for family in (linear, hermite):
        with pytest.raises(InputError, match="expected") as caught:
            draw(family, **{name: given})
        assert str(caught.value).startswith(f"{name}{found}")
        assert len(str(caught.value).splitlines()) == 1
