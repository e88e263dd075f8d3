import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.tasks.linear_tasks import linear

DATA = [f"{axis}_{part}" for part in ("source", "target", "test") for axis in "xy"]


def draw(**changes):
    settings = {"dimension": 12, "overlap": 0.6, "n_source": 40, "n_target": 30, "n_test": 25, "seed": 3}
    return linear(**settings | changes)


def teacher(x, y):
    """The vector (D,) that noiseless labels y = w·x/√D come from."""
    return np.linalg.lstsq(x / np.sqrt(x.shape[1]), y, rcond=None)[0]


@pytest.mark.parametrize("dimension", [2, 3, 12])
@pytest.mark.parametrize("overlap", [-1, -0.3, 0, 0.6, 0.999999, 1])
def test_teachers_have_norm_and_overlap_exactly(dimension, overlap):
    for seed in range(5):
        task = draw(dimension=dimension, overlap=overlap, seed=seed)
        source, target, test = (
            teacher(getattr(task, f"x_{part}"), getattr(task, f"y_{part}")) for part in ("source", "target", "test")
        )
        np.testing.assert_allclose([source @ source, target @ target], dimension, rtol=1e-11)
        assert source @ target / dimension == pytest.approx(overlap, abs=1e-11)
        np.testing.assert_allclose(test, target, atol=1e-10)


def test_nearly_parallel_draws_are_orthogonalised_to_rounding():
    # this seed draws the two directions 5e-5 apart: orthogonalised once, their cosine would be 6e-12
    task = draw(dimension=2, overlap=0, seed=37739)
    source, target = teacher(task.x_source, task.y_source), teacher(task.x_target, task.y_target)
    assert abs(source @ target / 2) < 1e-14


def test_shapes_and_label():
    task = draw()
    assert [getattr(task, name).shape for name in DATA] == [(40, 12), (40,), (30, 12), (30,), (25, 12), (25,)]
    assert task.label == "linear teachers"


def test_overlap_changes_target_labels_only():
    one, other = draw(overlap=0.2, target_noise=0.5), draw(overlap=-0.8, target_noise=0.5)
    same = {name: np.array_equal(getattr(one, name), getattr(other, name)) for name in DATA}
    assert same == dict.fromkeys(DATA, True) | {"y_target": False, "y_test": False}


def test_perpendicular_direction_is_the_same_for_every_overlap():
    perpendicular = []
    for overlap in (0, 0.6, -0.9):
        task = draw(overlap=overlap)
        source, target = teacher(task.x_source, task.y_source), teacher(task.x_target, task.y_target)
        perpendicular.append((target - overlap * source) / np.sqrt(1 - overlap**2))
    np.testing.assert_allclose(perpendicular[1], perpendicular[0], atol=1e-10)
    np.testing.assert_allclose(perpendicular[2], perpendicular[0], atol=1e-10)


@pytest.mark.parametrize("changed", ["n_source", "n_target", "n_test"])
@pytest.mark.parametrize("fewer", [1, 7])
def test_smaller_sample_is_a_prefix_bit_for_bit(changed, fewer):
    noise = {"source_noise": 0.3, "target_noise": 0.7}
    large, small = draw(dimension=101, **noise), draw(dimension=101, **noise, **{changed: fewer})
    for name in DATA:
        expected = getattr(large, name)
        if name[2:] == changed[2:]:
            expected = expected[:fewer]
        assert np.array_equal(getattr(small, name), expected), name


def test_noise_has_the_set_standard_deviation_and_its_own_stream():
    many = {"n_source": 20000, "n_target": 20000, "n_test": 20000}
    clean = draw(**many)
    source_noisy, target_noisy = draw(**many, source_noise=0.4), draw(**many, target_noise=1.5)
    noise = {
        "source": source_noisy.y_source - clean.y_source,
        "target": target_noisy.y_target - clean.y_target,
        "test": target_noisy.y_test - clean.y_test,
    }
    for part, sigma in (("source", 0.4), ("target", 1.5), ("test", 1.5)):
        # standard errors: σ/√n of the mean, σ/√(2n) of the standard deviation
        assert abs(noise[part].mean()) < 4 * sigma / np.sqrt(20000)
        assert abs(noise[part].std() - sigma) < 4 * sigma / np.sqrt(40000)
    correlations = np.corrcoef(list(noise.values()))[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(20000)
    for name in DATA:
        assert np.array_equal(getattr(source_noisy, name), getattr(clean, name)) == (name != "y_source")
        assert np.array_equal(getattr(target_noisy, name), getattr(clean, name)) == (name not in ("y_target", "y_test"))


def test_inputs_are_standard_normal_and_labels_of_order_one():
    task = draw(dimension=50, n_source=4000, n_target=4000, n_test=4000)
    for part in ("source", "target", "test"):
        x, y = getattr(task, f"x_{part}"), getattr(task, f"y_{part}")
        assert abs(x.mean()) < 4 / np.sqrt(x.size)
        assert abs(x.var() - 1) < 4 * np.sqrt(2 / x.size)
        assert abs(y.var() - 1) < 4 * np.sqrt(2 / y.size)


def test_seed_changes_everything_and_repeats_exactly():
    one, again, other = draw(seed=3), draw(seed=np.int64(3)), draw(seed=4)
    for name in DATA:
        assert np.array_equal(getattr(one, name), getattr(again, name))
        assert not np.any(getattr(one, name) == getattr(other, name))


def test_inputs_of_the_parts_differ():
    task = draw(n_source=30, n_test=30)
    assert not np.any(task.x_source == task.x_target)
    assert not np.any(task.x_test == task.x_target)


@pytest.mark.parametrize(
    "changes",
    [
        {"dimension": 1},
        {"dimension": 12.0},
        {"overlap": 1.01},
        {"overlap": -2},
        {"overlap": float("nan")},
        {"overlap": "0.5"},
        {"n_source": 0},
        {"n_target": -1},
        {"n_test": 2.5},
        {"n_test": True},
        {"source_noise": -0.1},
        {"target_noise": float("inf")},
        {"seed": "a"},
        {"seed": -1},
    ],
)
def test_bad_arguments_are_named_in_one_line(changes):
    ((name, value),) = changes.items()
    with pytest.raises(InputError) as caught:
        draw(**changes)
    assert str(caught.value).startswith(f"{name} = {value!r}: expected")
    assert len(str(caught.value).splitlines()) == 1
