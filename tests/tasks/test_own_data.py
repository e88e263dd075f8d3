"""How a user's labels are read, and said to be."""

import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.tasks.own_data import own_data
from infwidth.tasks.own_labels import label_units

NUMBERS = np.random.default_rng(0).standard_normal(30)


def read_labels(name, y, labels="auto"):
    units = label_units(name, y, labels)
    return units(name, y), units.note


@pytest.mark.parametrize(
    ("y", "labels", "words"),
    [
        (np.arange(30) % 2, "auto", "two classes, 0 → −1 (15 samples), 1 → +1 (15 samples)"),
        (np.array(["cat", "dog"])[np.arange(30) % 2], "regression", "two classes, cat → −1"),
        (np.arange(30) % 2 + 0.5, "regression", "a regression, standardised"),
        (np.arange(30), "auto", "30 different ones: a regression"),
        (np.arange(30) % 5, "regression", "5 different ones: a regression"),
        (NUMBERS, "auto", "a regression, standardised"),
    ],
)
def test_labels_are_read_and_it_is_said_how(y, labels, words):
    found, note = read_labels("y", y, labels)
    assert words in note
    assert found.dtype == np.float64
    if "classes" in note:
        assert set(found) == {-1.0, 1.0}
    else:
        np.testing.assert_allclose([found.mean(), found.std()], [0, 1], atol=1e-12)
        assert np.array_equal(np.argsort(found, kind="stable"), np.argsort(y, kind="stable"))


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e200, 1e300])
def test_the_scale_of_numbers_makes_no_difference(scale):
    np.testing.assert_allclose(read_labels("y", scale * NUMBERS)[0], read_labels("y", NUMBERS)[0], atol=1e-4)


@pytest.mark.parametrize(
    ("y", "labels", "words"),
    [
        (np.arange(30) % 3, "auto", ["3 classes", "--regression"]),
        (np.arange(30) % 3 + 0.0, "auto", ["3 classes", "--regression"]),
        (np.arange(30), "classes", ["30 classes", "at most 20", "keep fewer"]),
        (NUMBERS, "classes", ["30 classes"]),
        (np.array(["a", "b", "c"]), "regression", ["dtype <U1", "numbers"]),
        (np.zeros(30), "auto", ["every label is 0"]),
        (np.full(30, 7), "regression", ["every label is 7"]),
        (1e9 + 1e-7 * np.arange(3), "regression", ["rounding alone"]),
        (np.arange(3) * 1j, "auto", ["complex numbers"]),
        (np.arange(3).astype("M8[D]"), "auto", ["dates"]),
        (np.arange(2).astype("m8[s]"), "auto", ["time spans"]),
        (np.zeros(3, "f4,f4"), "auto", ["records"]),
        (np.array([1, np.nan, 2]), "auto", ["NaN"]),
    ],
)
def test_unclear_or_impossible_labels_are_refused_in_one_line(y, labels, words):
    with pytest.raises(InputError) as caught:
        read_labels("f.npz, y", y, labels)
    assert len(str(caught.value).splitlines()) == 1
    for word in ["f.npz, y", *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize("form", ["column", "one-hot", "truth one-hot"])
def test_columns_and_one_hot_labels(tmp_path, form):
    rng = np.random.default_rng(0)
    x, index = rng.standard_normal((20, 3)), np.arange(20) % 2
    y = {"column": index[:, None], "one-hot": np.eye(2)[index], "truth one-hot": np.eye(2, dtype=bool)[index]}[form]
    np.savez(tmp_path / "plain.npz", x=x, y=index)
    np.savez(tmp_path / "other.npz", x=x, y=y)
    data = own_data(tmp_path / "plain.npz", tmp_path / "other.npz")
    assert np.array_equal(data.y_source, data.y_target)
    assert "labels of shape (20, " in data.notes[1]
    assert "two classes" in data.notes[0]


def test_labels_that_only_look_like_the_others_classes_are_told_by_their_kind():
    units = label_units("target", np.array([0, 1, 2, 1]), "classes")
    with pytest.raises(InputError, match=r"^test: holds label 0 of dtype <U1, others of int64; expected classes 0 and"):
        units("test", np.array(["0", "1", "2"]))
