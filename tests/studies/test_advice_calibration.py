"""Advice beside the truth: what rows say, and that the calibration would catch errors that are too small."""

import math

import numpy as np
import pytest

from infwidth.applied.advice import advise, default_strength
from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies import advice_calibration
from infwidth.studies.advice_calibration import TEACHERS, run
from infwidth.theory import kernels


@pytest.fixture(scope="module")
def found():
    rows = [
        {"experiment": "e", "seed": seed, **row} for seed in range(150) for row in run(seed=seed, test_samples=1000)
    ]
    return make_table(rows)


def test_predictions_are_right_on_average_and_so_are_their_errors(found):
    for coupling in (0, math.inf):
        predicted, true = (
            select(found, metric=name, elastic_coupling=coupling)["value"].to_numpy()
            for name in ("predicted_loss", "test_loss")
        )
        ratio = predicted.mean() / true.mean()
        error = (predicted - ratio * true).std() / math.sqrt(len(true)) / true.mean()
        assert abs(ratio - 1) < 0.05 + 3 * error
    deviations = select(found, metric="gain_deviation")["value"]
    assert 0.7 < deviations.std() < 1.4  # 450 of them, correlated
    assert select(found, metric="wrong")["value"].mean() <= 0.05
    assert (select(found, metric="regret")["value"] >= 0).all()


def test_the_luck_of_the_samples_is_of_mean_0(found):
    luck = select(found, metric="held_out_luck")["value"]
    assert len(luck) == 150
    assert abs(luck.mean()) < 3 * luck.std() / math.sqrt(len(luck))
    assert np.corrcoef(luck, _errors(found, math.inf))[0, 1] > 0.6  # what predictions owe to it


def _errors(found, coupling):
    """Predicted less true loss of each task."""
    rows = select(found, elastic_coupling=coupling).pivot_table("value", "seed", "metric")
    return rows["predicted_loss"] - rows["test_loss"]


@pytest.mark.parametrize("activation", ["linear", "erf"])
def test_the_luck_is_that_of_regressions_without_each_sample(activation):
    task = TEACHERS["sign"][1](5, 0.3, overlap=0.6, dimension=8, n_source=20, n_target=12, n_test=40)
    gaps = []
    for i in range(12):
        kept = np.delete(np.arange(12), i)
        x, y = task.x_target[kept], task.y_target[kept]
        within = kernels.nngp(x, activation=activation) + np.eye(11) / 7.0

        def predicted(z, x=x, y=y, within=within):
            return kernels.nngp(z, x, activation=activation) @ np.linalg.solve(within, y)

        held_out = (task.y_target[i] - predicted(task.x_target[[i]])[0]) ** 2
        gaps.append(held_out - np.mean((task.y_test - predicted(task.x_test)) ** 2))
    assert advice_calibration._held_out_luck(task, activation, 7.0) == pytest.approx(np.mean(gaps), rel=1e-9)


def test_tasks_differ_in_all_that_is_drawn(found):
    assert found["n_target"].min() >= 10
    assert found["n_target"].max() <= 120
    assert found["n_target"].nunique() > 30
    assert {name.split(",")[0] for name in found["dataset"]} == {name for name, _ in TEACHERS.values()}
    assert set(found["overlap"]) == {0, 0.3, 0.6, 0.9, 1}


@pytest.mark.parametrize("teacher", TEACHERS)
def test_sources_are_the_same_for_every_overlap_and_targets_are_not(teacher):
    settings = {"dimension": 12, "n_source": 40, "n_target": 30, "n_test": 20}
    one, other = (TEACHERS[teacher][1](3, 0.3, overlap=overlap, **settings) for overlap in (0.2, 1.0))
    np.testing.assert_array_equal(one.y_source, other.y_source)
    assert not np.array_equal(np.c_[one.x_target, one.y_target], np.c_[other.x_target, other.y_target])


def test_an_overconfident_advice_is_caught(monkeypatch):
    """A negative control: standard errors halved scatter the deviations twice as far."""

    def boastful(*arguments, **settings):
        answer = advise(*arguments, **settings)
        answer.table["gain_stderr"] /= 2
        return answer

    def deviations():
        rows = [row for seed in range(20) for row in run(seed=seed, test_samples=500)]
        return np.array([row["value"] for row in rows if row["metric"] == "gain_deviation"])

    honest = deviations()
    monkeypatch.setattr(advice_calibration, "advise", boastful)
    np.testing.assert_allclose(deviations(), 2 * honest)


def test_couplings_without_an_answer_are_named():
    rows = run(seed=0, activation="relu", teachers=["sign"], noises=[0], particles=128, overlaps=[1],
               elastic_couplings=[0, 1], least_target_samples=60, most_target_samples=60, test_samples=50)  # fmt: skip
    lost = [row for row in rows if row["status"] != "converged"]
    assert all(row["metric"] == "predicted_loss" and math.isnan(row["value"]) for row in lost)
    assert {row["metric"] for row in rows} <= {
        "predicted_loss",
        "test_loss",
        "gain_deviation",
        "regret",
        "definite",
        "wrong",
        "held_out_luck",
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"elastic_couplings": [1, 10]}, "expected 0 and another"),
        ({"elastic_couplings": [0]}, "expected 0 and another"),
        ({"teachers": ["cubic"]}, "teachers = \\['cubic'\\]"),
        ({"least_target_samples": 30, "most_target_samples": 20}, "most_target_samples = 20"),
    ],
)
def test_settings_that_say_nothing_end_in_one_line(change, words):
    with pytest.raises(InputError, match=words):
        run(seed=0, **change)


def test_default_strength_is_what_is_written(found):
    assert found["target_strength"].max() == pytest.approx(default_strength(20))
