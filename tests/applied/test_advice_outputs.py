"""Advice on several classes and several numbers a sample: beside one output, beside the truth, and what it refuses."""

import dataclasses
import math

import numpy as np
import pytest
from builders import several_teachers

from infwidth.applied import advise
from infwidth.numerics.checks import InputError
from infwidth.tasks import TransferTask, linear, one_hot
from infwidth.tasks.own_data import OwnData, own_data
from infwidth.theory import bayes

SETTINGS = {"activation": "linear", "source_strength": 0.6, "target_strength": 0.6, "couplings": [1.0, math.inf]}


def data_of(task):
    return OwnData(task.x_source, task.y_source, task.x_target, task.y_target, "")


def classes(count, size=60, seed=0, dimension=8):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((dimension, count))
    parts = []
    for n in (100, size, 2000):
        x = rng.standard_normal((n, dimension))
        parts += [x, one_hot(np.argmax(x @ w + 0.3 * rng.standard_normal((n, count)), 1), count)]
    return TransferTask(*parts)


@pytest.mark.parametrize("count", [3, 6])
def test_losses_and_error_rates_are_near_the_truth(count):
    task = classes(count)
    found = advise(data_of(task), **SETTINGS).table
    settings = {name: value for name, value in SETTINGS.items() if name != "couplings"}
    true = bayes.solve(task, elastic_coupling=found["elastic_coupling"].tolist(), inverse_temperature=10.0, **settings)
    assert (np.abs(found["loss"] - true.test_loss) < 3 * found["stderr"] + 0.02).all()
    assert (np.abs(found["error"] - true.test_error) < 3 * found["error_stderr"] + 0.02).all()
    assert (found["error_stderr"] < 0.15).all()


def test_two_classes_in_two_outputs_are_one_output():
    task = classes(2, size=30)
    two = advise(data_of(task), **SETTINGS).table
    signs = dataclasses.replace(
        data_of(task), y_source=np.sign(task.y_source[:, 1]), y_target=np.sign(task.y_target[:, 1])
    )
    one = advise(signs, **SETTINGS).table
    np.testing.assert_allclose(2 * two["loss"], one["loss"], rtol=1e-6)
    for name in ("gain", "gain_stderr", "error", "error_stderr"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_regression_of_several_numbers_and_a_source_of_any_other(outputs):
    task = several_teachers(n_target=40, source_outputs=outputs)
    found = advise(data_of(task), **SETTINGS).table
    assert np.isfinite(found["loss"]).all()
    assert "error" not in found


def test_rich_networks_of_several_classes():
    found = advise(
        data_of(classes(3, size=24)), **SETTINGS | {"activation": "erf", "couplings": [math.inf], "particles": 1024}
    )
    assert np.isfinite(found.table[["loss", "error"]].to_numpy()).all()
    assert (found.table["error"] < 0.6).all()


def test_copies_with_labels_of_several_classes_are_averaged():
    task = classes(3, size=30)
    data = data_of(task)
    twice = dataclasses.replace(
        data,
        x_target=np.concatenate([data.x_target, data.x_target[:5]]),
        y_target=np.concatenate([data.y_target, data.y_target[:5]]),
    )
    found = advise(twice, **SETTINGS)
    assert found.n_target == 30
    np.testing.assert_allclose(found.table["loss"], advise(data, **SETTINGS).table["loss"])


def test_a_class_of_one_sample_is_refused_by_its_name():
    data = data_of(classes(4, size=40))
    y = data.y_target.copy()
    index = y.argmax(1)
    index[index == 2] = 1
    index[7] = 2
    data = dataclasses.replace(data, y_target=one_hot(index, 4), classes=("ant", "bee", "cat", "dog"))
    with pytest.raises(
        InputError, match=r"target: class cat has 1 different sample; expected at least 2 .*; add some"
    ) as e:
        advise(data, **SETTINGS)
    assert len(str(e.value).splitlines()) == 1


def write(path, y, size=60, dimension=4):
    x = np.random.default_rng(len(str(path))).standard_normal((size, dimension))
    np.savez(path, x=x, y=y)
    return path


@pytest.mark.parametrize("form", ["words", "one-hot", "numbers"])
def test_files_of_several_classes(tmp_path, form):
    index = np.arange(60) % 4
    y = {"words": np.array(list("abcd"))[index], "one-hot": np.eye(4)[index], "numbers": index}[form]
    source = write(tmp_path / "a.npz", np.array(list("xyz"))[np.arange(60) % 3])
    data = own_data(source, write(tmp_path / "b.npz", y), labels="classes" if form == "numbers" else "auto")
    assert data.y_source.shape == (60, 3)
    np.testing.assert_allclose(data.y_target, one_hot(index, 4))
    assert data.classes == tuple("abcd" if form == "words" else "0123")
    assert "4 classes" in data.notes[1]


def test_files_of_several_numbers(tmp_path):
    y = np.random.default_rng(0).standard_normal((60, 3)) * [1, 100, 1e-8] + [0, 5, 1]
    y[:, 1] = 7  # says nothing
    data = own_data(write(tmp_path / "a.npz", y[:, 0]), write(tmp_path / "b.npz", y))
    np.testing.assert_allclose(data.y_target.mean(0), 0, atol=1e-7)
    np.testing.assert_allclose(data.y_target.std(0), [1, 0, 1])
    assert "3 numbers each" in data.notes[1]


@pytest.mark.parametrize(
    ("y", "labels", "words"),
    [
        (np.arange(60) % 21, "classes", "21 classes; expected at most 20"),
        (np.arange(60) % 21, "words", "21 classes; expected at most 20"),
        (np.arange(60) % 3, "auto", "3 classes; expected to be told whether they are classes"),
        (np.zeros((60, 3)), "auto", "all labels are equal"),
        (np.ones((60, 2, 2)), "auto", "has shape (60, 2, 2)"),
        (np.random.default_rng(0).random((60, 21)), "auto", "21 numbers a sample; expected at most 20"),
        (np.random.default_rng(0).random((60, 3)), "classes", "expected classes (n,) or one-hot"),
        (np.random.default_rng(0).random((59, 3)), "auto", "has shape (59, 3)"),
    ],
)
def test_labels_of_several_outputs_that_are_refused(tmp_path, y, labels, words):
    if labels == "words":
        y, labels = np.array([f"class {i}" for i in y]), "auto"
    source = write(tmp_path / "good.npz", np.arange(60) % 2)
    with pytest.raises(InputError) as caught:
        own_data(source, write(tmp_path / "bad.npz", y), labels=labels)
    assert "bad.npz" in str(caught.value)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_too_many_labels_are_found_before_the_work(tmp_path):
    y = np.array([f"class {i % 11}" for i in range(300)])
    with pytest.raises(
        InputError, match="300 samples with labels of 10 independent numbers each; expected at most 200"
    ):
        own_data(write(tmp_path / "a.npz", np.arange(60) % 2), write(tmp_path / "b.npz", y, 300))


@pytest.mark.parametrize("size", [10, 16, 19, 24])
def test_the_prediction_is_of_all_samples_not_of_all_but_one(size):
    """Where the loss rises with every sample, below as many as dimensions, one left out alone predicts too little."""
    predicted, alone, true = [], [], []
    for seed in range(80):
        task = linear(
            dimension=size, overlap=0.5, n_source=100, n_target=size - 1, n_test=400, target_noise=0.6, seed=seed
        )
        found = advise(data_of(task), activation="linear", couplings=[math.inf]).table
        settings = {"activation": "linear", "source_strength": 1.0, "target_strength": 1.0, "inverse_temperature": 10.0}
        there = bayes.solve(task, elastic_coupling=0.0, folds=np.arange(size - 1), **settings)
        predicted.append(found["loss"].iloc[0])
        alone.append(np.square(there.folds_left_out.residuals).mean())
        true.append(there.test_loss)
    assert np.mean(predicted) > np.mean(alone)
    assert np.mean(predicted) == pytest.approx(np.mean(true), rel=0.2)
