import os

import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.tasks.image_sources import LabelledImages
from infwidth.tasks.image_tasks import check_pool, image_task, images

PER_CLASS, TESTED = 30, 8
PARTS = ("source", "target", "test")


def make_pool(counts=(PER_CLASS,) * 4, **changes):
    """Four classes of random 3 × 4 colour images in shuffled order."""
    rng = np.random.default_rng(1)
    y_train = rng.permutation(np.repeat([0, 1, 2, 3], counts))
    y_test = rng.permutation(np.repeat([0, 1, 2, 3], TESTED))
    arrays = {
        "x_train": rng.integers(0, 256, (len(y_train), 3, 4, 3), dtype=np.uint8),
        "y_train": y_train,
        "x_test": rng.integers(0, 256, (len(y_test), 3, 4, 3), dtype=np.uint8),
        "y_test": y_test,
    }
    return LabelledImages(**arrays | changes, name="toy")


POOL = make_pool()
SETTINGS = {"source_classes": (0, 1), "target_classes": (2, 3), "n_source": 20, "n_target": 12}


def draw(pool=POOL, **changes):
    return image_task(pool, **SETTINGS | {"seed": 5} | changes)


def vectors(pictures):
    return pictures.reshape(len(pictures), -1) / 255


def rows_of(task, pool=POOL):
    """Rows of the pool that each part was drawn from: the nearest in direction, about the centre of the pool."""
    rows = {}
    for part in PARTS:
        stored = vectors(pool.x_test if part == "test" else pool.x_train) - vectors(pool.x_train).mean(axis=0)
        cosines = getattr(task, f"x_{part}") @ (stored / np.linalg.norm(stored, axis=1, keepdims=True)).T / 6
        second, nearest = np.sort(cosines, axis=1)[:, -2:].T
        assert np.all(nearest > second + 0.1)
        rows[part] = cosines.argmax(axis=1)
    return rows


def expected_inputs(rows, pool=POOL):
    """What the inputs must be, given the rows: flattened, centred by the source's mean, |x|² = D."""
    mean = vectors(pool.x_train[rows["source"]]).mean(axis=0)
    inputs = {}
    for part in PARTS:
        x = vectors((pool.x_test if part == "test" else pool.x_train)[rows[part]]) - mean
        inputs[part] = x * 6 / np.linalg.norm(x, axis=1, keepdims=True)
    return inputs


def test_inputs_labels_and_classes():
    task = draw()
    rows = rows_of(task)
    for part, x in expected_inputs(rows).items():
        np.testing.assert_allclose(getattr(task, f"x_{part}"), x, rtol=1e-10, atol=1e-12)
    for part, (first, second) in {"source": (0, 1), "target": (2, 3), "test": (2, 3)}.items():
        drawn = (POOL.y_test if part == "test" else POOL.y_train)[rows[part]]
        labels = getattr(task, f"y_{part}")
        assert np.array_equal(labels, np.where(drawn == second, 1, -1))
        assert set(drawn) == {first, second}
        assert labels.sum() == 0
    assert task.label == "toy 0,1 → 2,3"
    assert task.dimension == 36


def test_scaling_is_exact_and_source_is_centred_before_it():
    task = draw(n_source=21)
    for part in PARTS:
        np.testing.assert_allclose((getattr(task, f"x_{part}") ** 2).sum(axis=1), 36, rtol=1e-13)
    # a mean-free set times positive numbers near 1 has a small mean; the raw pixels have a large one
    assert np.linalg.norm(task.x_source.mean(axis=0)) < 0.1 * 6
    raw = vectors(POOL.x_train)
    assert np.linalg.norm(raw.mean(axis=0)) > 0.8 * np.linalg.norm(raw, axis=1).mean()


def test_float_images_are_not_divided_and_unit_does_not_matter():
    floats = make_pool(x_train=POOL.x_train / 3.0, x_test=POOL.x_test / 3.0)
    for part in PARTS:
        np.testing.assert_allclose(getattr(draw(floats), f"x_{part}"), getattr(draw(), f"x_{part}"), atol=1e-12)


def test_grey_images():
    grey = make_pool(x_train=POOL.x_train[..., 0], x_test=POOL.x_test[..., 0])
    assert draw(grey).dimension == 12


def test_no_sample_twice_and_shared_classes_disjoint():
    for seed in range(5):
        # all 30 images of class 0, and of class 1, are used: 20 + 10
        rows = rows_of(draw(target_classes=(1, 0), n_source=40, n_target=20, seed=seed))
        assert len(set(rows["source"])) == 40
        assert len(set(rows["target"])) == 20
        assert not set(rows["source"]) & set(rows["target"])
        assert len(set(rows["test"])) == 2 * TESTED


def test_all_test_images_are_taken_without_n_test():
    rows = rows_of(draw(n_test=None))
    assert set(rows["test"]) == set(np.flatnonzero(np.isin(POOL.y_test, (2, 3))))


def test_unbalanced_test_set_is_taken_whole():
    pool = make_pool(x_test=POOL.x_test[:20], y_test=np.array([2] * 15 + [3] * 5))
    task = draw(pool)
    assert len(task.y_test) == 20
    assert (task.y_test == -1).sum() == 15


@pytest.mark.parametrize("key", ["n_source", "n_target", "n_test"])
def test_smaller_sample_is_a_prefix_and_leaves_the_others_alone(key):
    large = rows_of(draw(n_test=15, target_classes=(1, 2)))
    small = rows_of(draw(**{"n_test": 15, "target_classes": (1, 2), key: 11}))
    for part in PARTS:
        n = 11 if part == key[2:] else len(large[part])
        assert np.array_equal(small[part], large[part][:n])


def test_test_subset_is_the_beginning_of_all_test_images():
    assert np.array_equal(draw(n_test=7).x_test, draw().x_test[:7])


@pytest.mark.parametrize(("n", "first", "second"), [(2, 1, 1), (3, 2, 1), (7, 4, 3)])
def test_first_class_has_one_more_where_odd(n, first, second):
    task = draw(n_source=n, n_target=n, n_test=n)
    for part in PARTS:
        labels = getattr(task, f"y_{part}")
        assert [(labels == -1).sum(), (labels == 1).sum()] == [first, second]
        assert np.array_equal(labels, (-1.0) ** np.arange(1, n + 1))


def test_source_does_not_depend_on_the_target():
    one, other = draw(), draw(target_classes=(1, 0), n_target=4, n_test=2)
    assert np.array_equal(one.x_source, other.x_source)
    assert np.array_equal(one.y_source, other.y_source)


def test_order_of_classes_is_the_sign():
    one, other = draw(), draw(source_classes=(1, 0))
    assert set(rows_of(one)["source"]) == set(rows_of(other)["source"])
    np.testing.assert_allclose(one.x_source[0::2], other.x_source[1::2], atol=1e-12)  # the mean's sum is reordered
    assert np.array_equal(one.y_source[0::2], -other.y_source[1::2])


def test_a_pool_without_the_other_classes_gives_the_same_task():
    keep, tested = np.isin(POOL.y_train, (0, 2, 3)), np.isin(POOL.y_test, (2, 3))
    small = LabelledImages(POOL.x_train[keep], POOL.y_train[keep], POOL.x_test[tested], POOL.y_test[tested], name="toy")
    settings = {"source_classes": (0, 3), "target_classes": (2, 3)}
    for part in PARTS:
        assert np.array_equal(getattr(draw(small, **settings), f"x_{part}"), getattr(draw(**settings), f"x_{part}"))


def test_seed_chooses_the_images():
    again = draw(seed=np.int64(5), source_classes=np.array([0, 1]), target_classes=[2, 3])
    assert np.array_equal(draw().x_source, again.x_source)
    one, other = rows_of(draw(n_test=4)), rows_of(draw(n_test=4, seed=6))
    for part in PARTS:
        assert set(one[part]) != set(other[part])


@pytest.mark.parametrize("drawn", [True, False])
@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"source_classes": (0, 7)}, ["source_classes = (0, 7)", "no class 7", "training", "0, 1, 2, 3"]),
        ({"target_classes": (-1, 2)}, ["target_classes = (-1, 2)", "no class -1"]),
        ({"source_classes": (1, 1)}, ["source_classes = (1, 1)", "two different"]),
        ({"target_classes": (1,)}, ["target_classes = (1,)", "two different"]),
        ({"target_classes": "01"}, ["target_classes = '01'", "two different"]),
        ({"target_classes": 3}, ["target_classes = 3", "two different"]),
        ({"target_classes": (2.0, 3.0)}, ["target_classes = (2.0, 3.0)", "two different"]),
        ({"n_source": 62}, ["31 training images of class 0", "31 for the source + 0 for the target", "has 30"]),
        ({"n_source": 61}, ["31 training images of class 0", "reduce n_source or n_target"]),
        (
            {"target_classes": (1, 3), "n_source": 40, "n_target": 22},
            ["n_source = 40, n_target = 22", "31 training images of class 1", "20 for the source + 11 for"],
        ),
        ({"n_test": 17}, ["n_test = 17", "9 test images of class 2", "has 8", "reduce n_test"]),
        ({"n_source": 1}, ["n_source = 1", "≥ 2"]),
        ({"n_target": 0}, ["n_target = 0", "≥ 2"]),
        ({"n_test": 1}, ["n_test = 1", "≥ 2"]),
        ({"n_target": 4.0}, ["n_target = 4.0", "whole number"]),
    ],
)
def test_bad_arguments_are_named_in_one_line(changes, parts, drawn):
    call = draw if drawn else lambda **given: check_pool(POOL, **SETTINGS | {"n_test": None} | given)
    with pytest.raises(InputError) as caught:
        call(**changes)
    assert len(str(caught.value).splitlines()) == 1
    for part in parts:
        assert part in str(caught.value)


def test_pools_that_just_suffice():
    check_pool(POOL, **SETTINGS | {"target_classes": (1, 3), "n_source": 40, "n_target": 20, "n_test": 16})
    # 15 images of class 1 do for an odd 31 where it comes second, not where it comes first
    small = make_pool(counts=(PER_CLASS, 15, PER_CLASS, PER_CLASS))
    check_pool(small, **SETTINGS | {"n_source": 31, "n_test": None})
    with pytest.raises(InputError, match="16 training images of class 1"):
        check_pool(small, **SETTINGS | {"source_classes": (1, 0), "n_source": 31, "n_test": None})


def test_target_class_without_test_images():
    tested = POOL.y_test != 3
    pool = make_pool(x_test=POOL.x_test[tested], y_test=POOL.y_test[tested])
    with pytest.raises(InputError, match="no class 3 among the test images of toy; expected two of 0, 1, 2"):
        draw(pool)
    assert draw(pool, source_classes=(0, 3), target_classes=(1, 2)).x_source.shape == (20, 36)


@pytest.mark.parametrize("seed", ["a", -1, 0.5])
def test_bad_seed(seed):
    with pytest.raises(InputError, match="seed"):
        draw(seed=seed)


def test_an_image_equal_to_the_mean_is_named():
    # classes 0 and 1 are 0.1 and 0.3 throughout, so their mean is class 3's 0.2 but for rounding
    level = np.array([0.1, 0.3, 0.7, 0.2])
    pool = make_pool(
        x_train=np.ones((120, 3, 4, 3)) * level[POOL.y_train][:, None, None, None],
        x_test=np.ones((32, 3, 4, 3)) * level[POOL.y_test][:, None, None, None],
    )
    with pytest.raises(InputError, match=r"toy, x_train\[\d+\] equals the mean of the source images") as caught:
        draw(pool)
    row = int(str(caught.value).split("[")[1].split("]")[0])
    assert POOL.y_train[row] == 3
    assert len(str(caught.value).splitlines()) == 1


def test_images_reads_a_file(tmp_path):
    arrays = {key: getattr(POOL, key) for key in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(tmp_path / "a.npz", **arrays, name="birds")
    task = images(path=tmp_path / "a.npz", **SETTINGS, n_test=6, seed=5)
    assert task.label == "birds 0,1 → 2,3"
    assert np.array_equal(task.x_target, draw().x_target)
    assert np.array_equal(task.x_test, draw(n_test=6).x_test)


def test_images_of_digits_with_the_papers_classes():
    task = images(dataset="digits", n_source=40, n_target=10, seed=0)
    assert task.label == "digits 0,1 → 8,9"
    assert task.dimension == 64
    assert len(task.x_test) == 70


@pytest.mark.skipif("INFWIDTH_TEST_IMAGES" not in os.environ, reason="INFWIDTH_TEST_IMAGES names no .npz")
def test_real_images():
    path = os.environ["INFWIDTH_TEST_IMAGES"]
    task = images(path=path, dataset="cifar10", n_source=100, n_target=50, seed=0)
    assert task.label == "CIFAR-10 0,1 → 8,9"
    for part in PARTS:
        np.testing.assert_allclose((getattr(task, f"x_{part}") ** 2).mean(axis=1), 1, rtol=1e-12)
