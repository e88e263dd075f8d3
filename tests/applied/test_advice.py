"""Advice on δ: from arrays whose answer is known, and what is said where there is none."""

import dataclasses
import math

import numpy as np
import pytest

from infwidth.applied.advice import COUPLINGS, FARTHEST, Advice, advise, default_strength
from infwidth.applied.onset import onset
from infwidth.applied.verdict import conclude
from infwidth.numerics.checks import InputError
from infwidth.tasks import linear, one_hot
from infwidth.tasks.own_data import OwnData, own_data
from infwidth.theory import bayes


def data_of(overlap, size=40, dimension=20, seed=0):
    task = linear(dimension=dimension, overlap=overlap, n_source=100, n_target=size, n_test=400, seed=seed)
    return task, OwnData(task.x_source, task.y_source, task.x_target, task.y_target, "a → b")


def test_an_aligned_source_is_recommended_and_the_prediction_holds_on_a_test_set():
    task, data = data_of(overlap=0.95, size=32, dimension=40)
    found = advise(data, activation="linear", source_strength=1.0, target_strength=0.5)
    assert found.recommended > 0
    assert list(found.table["elastic_coupling"]) == list(COUPLINGS)
    assert f"δ = {found.recommended:g}".replace("inf", "∞") in found.sentence
    settings = {"activation": "linear", "source_strength": 1.0, "target_strength": 0.5, "inverse_temperature": 10.0}
    truth = bayes.solve(task, elastic_coupling=list(COUPLINGS), **settings).test_loss
    best = found.table.set_index("elastic_coupling").loc[found.recommended]
    assert truth[list(COUPLINGS).index(found.recommended)] < truth[0]
    assert (np.abs(found.table["loss"] - truth) < 4 * found.table["stderr"]).all()
    assert best["gain"] > 2 * best["gain_stderr"]
    assert list(found.smaller["n_target"]) == [8, 16]
    assert (found.smaller["gain"] > 0).all()


def test_a_source_of_another_direction_is_not_recommended():
    _, data = data_of(overlap=0.0, size=40)
    found = advise(data, activation="linear", source_strength=1.0, target_strength=1.0)
    assert not found.recommended
    assert found.smaller.empty


def test_nonlinear_advice_has_error_bars_of_the_particles():
    _, data = data_of(overlap=0.95, size=24)
    shown = []
    found = advise(data, couplings=[10, math.inf], particles=512, progress=shown.append)
    assert isinstance(found, Advice)
    assert list(found.table["elastic_coupling"]) == [0, 10, math.inf]
    assert (found.table["stderr"] > 0).all()
    assert shown == sorted(shown)
    assert shown[-1] == 1


@pytest.mark.parametrize(
    ("rows", "recommended", "words"),
    [
        ([(0, 1.0, 0, 0, "converged"), (1, 0.9, 0.1, 0.2, "converged")], None, "within the error bars"),
        ([(0, 1.0, 0, 0, "converged"), (1, 1.01, -0.01, 0.02, "converged")], None, "within the error bars"),
        ([(0, 1.0, 0, 0, "converged"), (1, 1.5, -0.5, 0.02, "converged")], 0.0, "the source hurts, by 50.0 ± 2.0 %"),
        ([(0, math.nan, 0, 0, "condensed"), (1, 1.5, -0.5, 0.1, "converged")], None, "from scratch (condensed: reduce"),
        ([(0, 1.0, 0, 0, "converged"), (math.inf, math.nan, 0, 0, "unmixed")], None, "unmixed at δ = ∞"),
        ([(0, 1.0, 0, 0, "converged"), (math.inf, 0.5, 0.5, 0.1, "converged")], math.inf, "50.0 ± 10.0 % below"),
        # what rounding leaves of equal losses, and losses beyond all others
        ([(0, 1.0, 0, 0, "converged"), (1, 1.0, 0.0, 0.0, "converged")], None, "within the error bars"),
        ([(0, 1.0, 0, 0, "converged"), (1, 1.0, -1e-16, 1e-18, "converged")], None, "within the error bars"),
        ([(0, 1.0, 0, 0, "converged"), (1, 1 - 1e-7, 1e-7, 1e-9, "converged")], None, "within the error bars"),
        ([(0, 1.0, 0, 0, "converged"), (1, 2e60, -2e60, 1e58, "converged")], 0.0, "hurts, by 2e+62 ± 1e+60 %"),
    ],
)
def test_the_sentence_says_what_the_table_can(rows, recommended, words):
    import pandas as pd

    columns = ["elastic_coupling", "loss", "gain", "gain_stderr", "status"]
    table = pd.DataFrame(rows, columns=columns).assign(stderr=0.1)
    found, sentence = conclude(table, 40)
    assert found == recommended
    assert words in sentence


def test_nothing_is_solved_that_has_nothing_to_be_compared_with(monkeypatch):
    """Where training from scratch has no answer no other δ costs time; its status is theirs."""
    _, data = data_of(overlap=0.5, size=24)
    solved = []

    def counted(task, *, elastic_coupling, **settings):
        solved.extend(elastic_coupling)
        return bayes.solve(task, elastic_coupling=elastic_coupling, **settings)

    monkeypatch.setattr("infwidth.applied.advice.solve", counted)
    rich = {"activation": "relu", "target_strength": 3.0, "particles": 512}
    found = advise(data, couplings=[1, math.inf], **rich)
    assert solved == [0.0]
    assert list(found.table["status"]) == ["condensed"] * 3
    assert found.table["loss"].isna().all()
    assert found.sentence.startswith(
        "Can't tell: the theory has no answer for training from scratch (condensed: reduce"
    )
    advise(data, couplings=[1, math.inf], **rich | {"target_strength": 0.05})
    assert solved == [0.0, 0.0, 1.0, math.inf]


def test_there_has_to_be_a_coupling_to_compare():
    _, data = data_of(overlap=0.5, size=24)
    for couplings in ([], [0], [-0.0, 0.0]):
        with pytest.raises(InputError, match=r"couplings = \[0\]: expected a δ > 0"):
            advise(data, activation="linear", couplings=couplings)


def write(path, **arrays):
    np.savez(path, **arrays)
    return path


X, Y = np.random.default_rng(0).standard_normal((10, 2, 3)), np.arange(10) % 2


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": X}, ["no y"]),
        ({"x": X, "y": np.ones(10)}, ["every label is 1"]),
        ({"x": X, "y": np.arange(10)}, ["10 classes"]),
        ({"x": X, "y": Y[:9]}, ["(9,)", "(10,)"]),
        ({"x": X[:, 0, 0], "y": Y}, ["shape (10,)"]),
        ({"x": np.where(X > 1, np.nan, X), "y": Y}, ["NaN"]),
        ({"x": X, "y": np.where(Y == 1, np.nan, 0.0)}, ["y", "NaN"]),
        ({"x": X.astype(object), "y": Y}, ["pickled"]),
        ({"x": X.astype(str), "y": Y}, ["dtype"]),
        ({"x": np.zeros((3000, 2)), "y": np.arange(3000) % 2}, ["3000", "2000"]),
        ({"x": X[:2], "y": Y[:2]}, ["at least 4"]),
        ({"x": X[:, :, :2], "y": Y}, ["6 numbers", "4"]),
        ({"x": np.full_like(X, 0.1), "y": Y}, ["all samples are equal"]),
        ({"x": 255 * X, "y": Y}, ["3e+02 times", "good.npz", "same units"]),
        ({"x": X / 255, "y": Y}, ["0.004 times", "same units"]),
        ({"x": X + 100, "y": Y}, ["1e+02 times", "same units"]),
        ({"x": 1e200 * X, "y": Y}, ["e+200"]),
        ({"x": X[:0], "y": Y[:0]}, ["shape (0, 2, 3)"]),
    ],
)
def test_bad_files_end_in_one_line(tmp_path, arrays, words):
    good, bad = write(tmp_path / "good.npz", x=X, y=Y), write(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError) as caught:
        own_data(good, bad)
    message = str(caught.value)
    assert "\n" not in message
    assert "bad.npz" in message
    assert ";" in message
    for word in words:
        assert word in message


def test_files_that_are_no_archives(tmp_path):
    good = write(tmp_path / "good.npz", x=X, y=Y)
    text = tmp_path / "text.npz"
    text.write_text("no zip")
    for path, word in ((text, "can't be read"), (tmp_path / "none.npz", "no such file"), (tmp_path / "a.csv", ".npz")):
        with pytest.raises(InputError, match=word):
            own_data(good, path)


def test_own_data_is_scaled_by_the_source(tmp_path):
    source = write(tmp_path / "a.npz", x=5 + 2 * X, y=np.array(["cat", "dog"])[Y])
    target = write(tmp_path / "b.npz", x=5 + 2 * X[:8], y=np.linspace(0, 1, 8))
    data = own_data(source, target)
    assert data.x_source.shape == (10, 6)
    np.testing.assert_allclose(np.square(data.x_source).mean(), 1)
    np.testing.assert_allclose(data.x_target, data.x_source[:8])
    assert set(data.y_source) == {-1.0, 1.0}
    np.testing.assert_allclose([data.y_target.mean(), data.y_target.std()], [0, 1], atol=1e-12)
    assert data.label == "a → b"


def noisy(overlap=0.9, size=30, seed=0):
    """A target too small and too noisy to be learnt well, whose true loss is near 1."""
    task = linear(dimension=25, overlap=overlap, n_source=100, n_target=size, n_test=2, target_noise=1.0, seed=seed)
    return OwnData(task.x_source, task.y_source, task.x_target, task.y_target, "a → b")


def repeat(data, part, index, noise=0.0, labels=None):
    x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
    more = x[index] + noise * np.random.default_rng(1).standard_normal((len(index), x.shape[1]))
    arrays = {f"x_{part}": np.concatenate([x, more])}
    return dataclasses.replace(
        data, **arrays | {f"y_{part}": np.concatenate([y, y[index] if labels is None else labels])}
    )


SETTINGS = {"activation": "linear", "couplings": [math.inf]}


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-2])
@pytest.mark.parametrize("part", ["source", "target"])
def test_copies_count_as_one_sample(noise, part):
    data = noisy()
    expected = advise(data, **SETTINGS)
    found = advise(repeat(data, part, np.repeat(np.arange(20), 3), noise), **SETTINGS)
    np.testing.assert_allclose(found.table["loss"], expected.table["loss"], rtol=1e-6)
    assert found.sentence == expected.sentence
    assert found.n_target == 30
    assert f"{part}: 60 of " in found.notes[0]
    assert not expected.notes


def test_labels_of_copies_are_averaged():
    data = noisy()
    other = repeat(data, "target", np.arange(3), labels=-data.y_target[:3])
    zeroed = dataclasses.replace(data, y_target=np.where(np.arange(30) < 3, 0.0, data.y_target))
    np.testing.assert_allclose(advise(other, **SETTINGS).table["loss"], advise(zeroed, **SETTINGS).table["loss"])


@pytest.mark.parametrize("part", ["source", "target"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_copies_whose_labels_cancel_leave_nothing_to_learn(part, sign):
    data = noisy()
    labels = getattr(data, f"y_{part}")
    with pytest.raises(InputError, match=f"{part}: every sample has copies, and the mean of their labels is .*; check"):
        advise(repeat(data, part, np.arange(len(labels)), labels=sign - labels), **SETTINGS)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_samples_that_the_source_has_seen_do_not_judge_it(noise):
    data = noisy(overlap=0.0)
    x = data.x_target + noise * np.random.default_rng(2).standard_normal(data.x_target.shape)
    seen = dataclasses.replace(
        data, x_source=np.concatenate([data.x_source, x[:12]]), y_source=np.append(data.y_source, data.y_target[:12])
    )
    found = advise(seen, source_strength=3.0, **SETTINGS)
    assert "Warning: 12 of 30 target samples are the source's, too" in found.sentence
    # what it is judged by are the others alone, whatever the labels of those seen were
    assert found.table["loss"].iloc[-1] > 1
    for strength in (0.5, 3.0):
        same = dataclasses.replace(data, x_source=x, y_source=data.y_target)
        found = advise(same, source_strength=strength, **SETTINGS)
        assert found.recommended is None
        assert found.sentence.startswith("Can't tell: 30 of 30 target samples are the source's")


def test_labels_that_say_nothing_end_in_words():
    data = noisy()
    found = advise(dataclasses.replace(data, y_target=0 * data.y_target), **SETTINGS)
    assert found.recommended is None
    assert "nan" not in found.sentence
    for value in (1e200, math.inf, math.nan):
        with pytest.raises(InputError, match=r"y_target holds .*; expected labels of order 1"):
            advise(dataclasses.replace(data, y_target=np.append(data.y_target[1:], value)), **SETTINGS)


def test_too_few_different_samples():
    data = noisy()
    with pytest.raises(InputError, match="target: 3 different samples; expected at least 4"):
        advise(dataclasses.replace(data, x_target=data.x_target[np.arange(30) % 3]), **SETTINGS)


def test_few_samples_give_no_verdict():
    data = noisy(size=8)
    found = advise(data, **SETTINGS)
    assert found.recommended is None
    assert "8 target samples are too few" in found.sentence
    assert np.isfinite(found.table["loss"]).all()


def test_a_default_strength_without_an_answer_is_lowered_and_said_so(monkeypatch):
    """Rich ReLU networks condense: who names a strength is told so, who does not is advised at a lower one."""
    monkeypatch.setattr("infwidth.applied.advice.RICHNESS", 20.0)
    monkeypatch.setattr("infwidth.applied.advice.RICHEST", 4.0)
    _, data = data_of(overlap=0.9, size=24)
    settings = {"activation": "relu", "couplings": [math.inf], "particles": 512}
    given = advise(data, **settings, source_strength=4.0, target_strength=4.0)
    assert set(given.table["status"]) == {"condensed"}
    assert given.notes == ()
    found = advise(data, **settings)
    assert set(found.table["status"]) == {"converged"}
    assert found.strengths[0] == found.strengths[1] < 4.0
    assert found.strengths[0] in (2.0, 1.0, 0.5)
    assert f"γ = {found.strengths[1]:.3g}: the default, 4 and 4, is too rich for these samples" in found.notes[0]
    again = advise(data, **settings, source_strength=found.strengths[0], target_strength=found.strengths[1])
    assert again.table.equals(found.table)


def test_a_default_strength_with_an_answer_stays():
    _, data = data_of(overlap=0.9, size=24)
    found = advise(data, activation="linear", couplings=[1.0])
    assert found.strengths == (1.0, 1.0)
    assert found.notes == ()


@pytest.mark.parametrize("activation", ["erf", "relu"])
def test_of_many_samples_and_classes_no_hopeless_strength_is_tried(monkeypatch, activation):
    """Each try would take as long as an answer; the first or second strength that is tried has one."""
    rng = np.random.default_rng(0)
    teacher = rng.standard_normal((20, 3))
    parts = []
    for size in (80, 140):
        x = rng.standard_normal((size, 20)) * np.arange(1, 21) ** -0.8
        parts += [x * np.sqrt(20 / np.square(x).sum(1).mean()), one_hot(np.argmax(x @ teacher, 1), 3)]
    tried = []

    def noted(task, *, elastic_coupling, target_strength, **settings):
        tried.append(target_strength)
        return bayes.solve(task, elastic_coupling=elastic_coupling, target_strength=target_strength, **settings)

    monkeypatch.setattr("infwidth.applied.advice.solve", noted)
    found = advise(OwnData(*parts, "many"), activation=activation, couplings=[math.inf], particles=1024)
    assert set(found.table["status"]) == {"converged"}
    assert len(set(tried)) <= 2
    known = onset(*parts[2:], activation=activation, inverse_temperature=10.0)
    assert max(tried) <= FARTHEST * known < default_strength(20)
    assert "is too rich for these samples" in found.notes[-1]


def test_the_onset_of_condensation_of_a_linear_function_is_known():
    """s(W) = a·W/√D of a linear φ: the tilt balances the prior at γ|a| = √D."""
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((50, 10)), rng.standard_normal((50, 2))
    dual = np.linalg.solve(x @ x.T / 10 + np.eye(50) / 5, y)
    known = np.sqrt(10) / np.linalg.norm(x.T @ dual, 2)
    assert onset(x, y, activation="linear", inverse_temperature=5.0) == pytest.approx(known, rel=1e-3)
    assert onset(x, 3 * y, activation="erf", inverse_temperature=5.0) == pytest.approx(
        onset(x, y, activation="erf", inverse_temperature=5.0) / 3, rel=1e-5
    )


@pytest.mark.parametrize(
    ("size", "outputs", "couplings"),
    [
        (40, 1, [0, 1, 10, 100, math.inf]),
        (100, 3, [0, 1, 10, math.inf]),
        (300, 1, [0, 1, 10, math.inf]),
        (200, 4, [0, 10, math.inf]),
    ],
)
def test_of_many_samples_times_outputs_fewer_couplings_are_compared(size, outputs, couplings):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, size, 12))
    y = x @ rng.standard_normal((12, outputs)) / np.sqrt(12) + 0.3 * rng.standard_normal((2, size, outputs))
    data = OwnData(x[0], y[0].squeeze(), x[1], y[1].squeeze(), "many")
    assert advise(data, activation="linear").table["elastic_coupling"].tolist() == couplings
