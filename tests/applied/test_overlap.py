"""Overlaps from samples alone, held against teachers whose overlap is known: means, and errors by their z-scores."""

import dataclasses

import numpy as np
import pytest

from infwidth.applied import task_overlap
from infwidth.applied.overlap import data_overlap
from infwidth.applied.overlap_products import by_least_squares, by_moments
from infwidth.numerics.checks import InputError
from infwidth.tasks import linear
from infwidth.tasks.own_data import OwnData

REPEATS = 100


def power_law(dimension, exponent=1.0, shuffled=None):
    spectrum = np.arange(1.0, dimension + 1) ** -exponent
    spectrum /= spectrum.mean()
    return spectrum if shuffled is None else np.random.default_rng(shuffled).permutation(spectrum)


def draw(random, overlap, sizes, noise, spectra, link=lambda u: u, outputs=None):
    """A task, and its true overlap in each inner product; teachers in general position to the spectra's axes."""
    shape = (len(spectra[0]), outputs or 1)
    source, other = random.standard_normal((2, *shape))
    source /= np.linalg.norm(source)
    other -= source * (source * other).sum()
    target = overlap * source + np.sqrt(1 - overlap**2) * other / np.linalg.norm(other)
    arrays = []
    for size, teacher, spectrum in zip(sizes, (source, target), spectra, strict=True):
        x = random.standard_normal((size, shape[0])) * np.sqrt(spectrum)
        y = link(x @ teacher) + noise * random.standard_normal((size, shape[1]))
        arrays += [x, y if outputs else y[:, 0]]
    roots = {"teachers": (1, 1), "functions": (np.sqrt(spectra[1]),) * 2, "covariances": spectra}
    truth = {}
    for name, (one, two) in roots.items():
        a, b = (np.multiply(teacher.T, scale) for teacher, scale in ((source, one), (target, two)))
        truth[name] = (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)
    return arrays, truth


def scores(seed, overlap, sizes, noise, spectra, draws=None, **settings):
    """Deviations from the truth, and those over their standard errors."""
    deviations, errors, inside = [], [], 0
    for index in range(REPEATS):
        arrays, truth = draw(np.random.default_rng([seed, index]), overlap, sizes, noise, spectra, **draws or {})
        found = task_overlap(*arrays, **settings)
        if not found.reason:
            deviations.append(found.value - truth[found.inner_product])
            errors.append(found.stderr)
            low, high = found.interval
            inside += low - 1e-9 <= truth[found.inner_product] <= high + 1e-9
    assert inside > 0.87 * len(deviations)
    assert len(deviations) > 0.9 * REPEATS
    return np.array(deviations), np.array(deviations) / np.array(errors)


ISOTROPIC, POWER = (np.ones(30),) * 2, (power_law(30),) * 2
SHIFTED = power_law(30), power_law(30, 0.6, shuffled=1)
WIDE = (np.ones(120),) * 2
MILD = power_law(30, 0.2), power_law(30, 0.3, shuffled=2)
KNOWN, KNOWN_MILD = ({"method": "moments", "input_covariance": spectra} for spectra in (SHIFTED, MILD))
CASES = {
    "least squares": ((120, 70), 0.4, ISOTROPIC, {}),
    "least squares, noisy": ((200, 160), 1.0, ISOTROPIC, {}),
    "anisotropic, functions": ((150, 80), 0.3, POWER, {}),
    "anisotropic, teachers": ((150, 80), 0.1, POWER, {"inner_product": "teachers"}),
    "shifted inputs": ((150, 80), 0.3, SHIFTED, {}),
    "covariances": ((150, 150), 0.3, SHIFTED, {"inner_product": "covariances"}),
    "known covariances, functions": ((250, 180), 0.3, SHIFTED, KNOWN),
    "known covariances, teachers": ((250, 180), 0.1, MILD, KNOWN_MILD | {"inner_product": "teachers"}),
    "fewer samples than inputs": ((140, 110), 0.2, WIDE, {}),
    "isotropic, known to be": ((140, 110), 0.2, WIDE, {"input_covariance": "isotropic"}),
}


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("case", CASES)
def test_known_overlaps_are_found_within_their_errors(case, overlap):
    sizes, noise, spectra, settings = CASES[case]
    seed = [*CASES].index(case)
    deviations, z = scores(seed, overlap, sizes, noise, spectra, **settings)
    assert abs(deviations.mean()) < 3.5 * deviations.std(ddof=1) / np.sqrt(len(deviations))  # one in 50 would pass 3
    assert 0.8 < z.std() < 1.3


def test_matrices_of_several_outputs():
    for sizes, spectra in (((120, 70), ISOTROPIC), ((140, 110), WIDE)):
        deviations, z = scores(70, 0.7, sizes, 0.3, spectra, draws={"outputs": 3})
        assert abs(deviations.mean()) < 3 * deviations.std(ddof=1) / np.sqrt(len(deviations))
        assert 0.8 < z.std() < 1.3


@pytest.mark.parametrize("settings", [{}, {"inner_product": "covariances"}])
def test_of_nonlinear_teachers_the_linear_parts_count(settings):
    deviations, z = scores(80, 0.5, (300, 200), 0.2, (np.ones(15),) * 2, draws={"link": np.sign}, **settings)
    assert abs(deviations.mean()) < 3 * deviations.std(ddof=1) / np.sqrt(len(deviations))
    assert 0.8 < z.std() < 1.3
    arrays, _ = draw(np.random.default_rng(0), 1.0, (300, 200), 0.0, (np.ones(15),) * 2, link=lambda u: u**2 - 1)
    assert "linear part is not clear of its noise" in task_overlap(*arrays, **settings).reason


def test_squares_are_unbiased_where_noise_depends_on_the_input():
    random = np.random.default_rng(5)
    found = []
    for _ in range(400):
        x = random.standard_normal((40, 20))
        y = np.abs(x[:, :1]) * random.standard_normal((40, 1))  # noise alone
        x, y = x - x.mean(0), y - y.mean(0)
        fits = by_least_squares(x, y, x, y, on_target=False).values[1], by_moments(x, y, x, y).values[1]
        plain = np.square(np.linalg.lstsq(x, y, rcond=None)[0]).sum()
        found.append([*fits, plain])
    mean, error = np.mean(found, 0), np.std(found, 0) / np.sqrt(len(found))
    assert (np.abs(mean[:2]) < 3 * error[:2]).all()
    assert mean[2] > 10 * error[2]


def test_scales_shifts_and_rotations_change_nothing():
    random = np.random.default_rng(3)
    for sizes, spectra in (((90, 60), ISOTROPIC), ((90, 60), WIDE)):
        (x, y, x2, y2), _ = draw(random, 0.8, sizes, 0.1, spectra)
        found = task_overlap(x, y, x2, y2)
        rotation = np.linalg.qr(random.standard_normal((x.shape[1],) * 2))[0]
        other = task_overlap(1e50 * x @ rotation + 1e50, 1e-40 * y + 3e-40, 1e-60 * x2 @ rotation, 1e80 * y2)
        np.testing.assert_allclose(other.value, found.value, rtol=1e-6)
        np.testing.assert_allclose(other.stderr, found.stderr, rtol=1e-6)
        turned = task_overlap(x, -y, x2, y2)
        np.testing.assert_allclose(turned.value, -found.value)
        np.testing.assert_allclose(turned.interval, [-found.interval[1], -found.interval[0]], atol=1e-9)
        padded = [np.pad(one, ((0, 0), (0, 4))) for one in (x, x2)]
        np.testing.assert_allclose(task_overlap(padded[0], y, padded[1], y2).value, found.value)


def test_what_cannot_be_told_has_a_reason():
    random = np.random.default_rng(4)
    (x, y, x2, y2), _ = draw(random, 1.0, (60, 40), 0.1, ISOTROPIC)
    for arrays, part in (
        ((x, random.standard_normal(60), x2, y2), "source"),
        ((x, y, x2, random.standard_normal(40)), "target"),
        ((x, y, 0 * x2, y2), "target"),
        ((x, y, x2, 0.1 + 0 * y2), "target"),
    ):
        found = task_overlap(*arrays)
        assert np.isnan(found.value)
        assert np.isnan(found.stderr)
        assert found.interval == (-1, 1)
        assert found.reason.startswith(f"the {part}'s")
        assert "nan" not in found.sentence
        assert "can't tell" in found.sentence


def test_a_direction_that_one_sample_alone_has_is_left_to_moments():
    (x, y, x2, y2), _ = draw(np.random.default_rng(6), 0.9, (90, 60), 0.1, ISOTROPIC)
    lone = np.zeros((90, 1)), np.zeros((60, 1))
    lone[1][7] = 1.0
    found = task_overlap(np.hstack([x, lone[0]]), y, np.hstack([x2, lone[1]]), y2)
    assert found.method == "moments"
    assert np.isfinite(found.value)


X, Y = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x_target": X[:, :2]}, ["3 inputs", "2 and 1"]),
        ({"y_target": np.stack([Y, Y], 1)}, ["1 outputs", "3 and 2"]),
        ({"y_source": Y[:19]}, ["(20, 3)", "(19,)"]),
        ({"x_source": X[:7], "y_source": Y[:7]}, ["7 samples", "at least 8"]),
        ({"x_source": np.where(X > 1, np.nan, X)}, ["x_source holds nan"]),
        ({"y_target": Y + 1j}, ["y_target", "complex"]),
        ({"inner_product": "function"}, ["'functions'"]),
        ({"method": "momentum"}, ["did you mean 'moments'"]),
        ({"method": "least_squares", "inner_product": "covariances"}, ["take moments"]),
        ({"method": "moments", "inner_product": "teachers"}, ["input_covariance"]),
        ({"method": "least_squares", "x_target": X[:8], "y_target": Y[:8], "x_source": np.eye(20)[:, :8]}, ["8"]),
        ({"input_covariance": "diagonal"}, ["'isotropic'"]),
        ({"input_covariance": -np.eye(3)}, ["positive definite (3, 3)"]),
        ({"input_covariance": np.ones(2)}, ["(2,)", "3 variances"]),
        ({"input_covariance": (np.eye(3),) * 3}, ["a tuple of 3"]),
    ],
)
def test_bad_input_ends_in_one_line(change, words):
    arrays = {"x_source": X, "y_source": Y, "x_target": X, "y_target": Y} | change
    with pytest.raises(InputError) as caught:
        task_overlap(**arrays)
    assert "\n" not in str(caught.value)
    assert ";" in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def own(task):
    return OwnData(task.x_source, task.y_source, task.x_target, task.y_target, "a → b")


def test_own_data_have_an_overlap_or_a_reason():
    task = linear(dimension=15, overlap=0.8, n_source=80, n_target=40, n_test=1, target_noise=0.2, seed=4)
    data = own(task)
    found = data_overlap(data)
    assert abs(found.value - 0.8) < 3 * found.stderr
    assert found.stderr < 0.15
    assert f"{found.value:.2f} ± {found.stderr:.2f}" in found.sentence
    same = OwnData(data.x_target, data.y_target, data.x_target, data.y_target, "a → a")
    assert "8 samples" in data_overlap(same).reason
    given = dataclasses.replace(same, weights=np.ones((3, 15)))
    assert "weights" in data_overlap(given).reason
    columns = dataclasses.replace(data, y_source=np.ones((80, 2)), y_target=np.ones((40, 3)))
    assert "outputs" in data_overlap(columns).reason


def test_copies_and_target_samples_that_the_source_has_do_not_count():
    task = linear(dimension=10, overlap=0.5, n_source=60, n_target=60, n_test=1, target_noise=0.3, seed=7)
    plain = own(task)
    x, y = np.vstack([task.x_source, task.x_target[:20]]), np.append(task.y_source, task.y_target[:20])
    found = data_overlap(dataclasses.replace(plain, x_source=x, y_source=y))
    assert found == task_overlap(x, y, task.x_target[20:], task.y_target[20:])
    assert found != task_overlap(x, y, task.x_target, task.y_target)
    rows = np.arange(90) % 60
    copied = dataclasses.replace(plain, x_target=task.x_target[rows], y_target=task.y_target[rows])
    assert data_overlap(copied) == data_overlap(plain)
