"""Readouts on frozen features of rich linear sources: closed forms, their average over data sets, where the best is."""

import math

import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.studies.source_richness import run
from infwidth.theory import averaged, fine_tuning

RICHNESS = np.array([0.5, 2.0, 8.0, 32.0])
SETTING = {"source_ratio": 0.75, "overlap": 0.9}
GRID = np.geomspace(0.5, 64, 8)


@pytest.mark.parametrize("noise", [0.0, 0.4])
@pytest.mark.parametrize("source_ratio", [0.5, 0.75, 1.5, 20.0])
def test_the_closed_form_is_the_end_of_the_flow(source_ratio, noise):
    settings = {"source_ratio": source_ratio, "target_ratio": 0.6, "overlap": 0.8, "source_noise": noise}
    settings |= {"target_noise": 0.3, "source_richness": RICHNESS}
    np.testing.assert_allclose(fine_tuning.interpolated(**settings), fine_tuning.solve(**settings).test_loss, rtol=1e-9)


def test_the_closed_forms_of_version_two():
    for nu, alpha in ((0.25, 0.9), (0.75, 0.5)):
        chi = math.sqrt(1 + 4.0**2) - 1
        known = (1 - nu) * (1 - alpha**2 + alpha**2 / (1 + chi * nu) ** 2)  # (22): P1 → ∞
        shared = {"target_ratio": nu, "source_richness": 4.0, "overlap": alpha}
        assert fine_tuning.interpolated(source_ratio=3.0, **shared) == pytest.approx(known)
        assert fine_tuning.interpolated(source_ratio=1e9, source_noise=0.5, **shared) == pytest.approx(known)
        chi, aligned = math.sqrt(1 + 0.5 * 4.0**2) - 1, 0.5 * alpha**2
        scarce = (1 - nu) * (1 - aligned + aligned / (1 + chi * nu) ** 2)  # (23): P1 = D/2
        assert fine_tuning.interpolated(source_ratio=0.5, **shared) == pytest.approx(scarce)
        assert isinstance(fine_tuning.interpolated(source_ratio=0.5, **shared), float)


def test_interpolating_posteriors_have_the_closed_form_with_their_own_spike():
    """(A16) with 1 + b for 1 + χ: the same frozen features from another source."""
    found = averaged.solve(
        source_ratio=0.5, target_ratio=0.4, source_richness=RICHNESS, target_richness=1.0, overlap=0.9,
        elastic_coupling=math.inf, inverse_temperature=math.inf,
    )  # fmt: skip
    aligned = 0.5 * 0.9**2
    np.testing.assert_allclose(found.test_loss, 0.6 * (1 - aligned + aligned / (1 + found.spike * 0.4) ** 2), rtol=1e-7)


@pytest.mark.parametrize("samples", [0.75, 1.5])
def test_data_sets_of_dimension_200_have_the_closed_forms_on_average(samples):
    """(22) and (23), within three standard errors of the theory of single data sets."""
    rows = run(seed=5, dimension=200, data_sets=60, source_ratio=samples, source_richness=RICHNESS.tolist())
    found = [row for row in rows if row["metric"] == "test_loss"]
    assert len(found) == 3 * len(RICHNESS)
    for row in found:
        closed = fine_tuning.interpolated(
            source_ratio=samples, target_ratio=row["n_target"] / 200, overlap=0.9,
            source_richness=row["source_strength"] * math.sqrt(200),
        )  # fmt: skip
        assert abs(row["value"] - closed) < 3 * row["stderr"]
        assert row["stderr"] < 0.03 * closed


@pytest.mark.parametrize(
    "training",
    [
        {"source_time": 1.0},
        {"source_time": 3.0, "source_decay": 0.2, "target_decay": 0.1},
        {"source_time": 1.0, "target_time": 1.0, "target_noise": 0.4},
        {"target_time": 2.0, "target_decay": 0.3},
    ],
)
def test_the_average_is_that_of_data_sets(training):
    rows = run(seed=1, dimension=150, data_sets=40, source_noise=0.5, source_richness=[1.0, 8.0], **training)
    losses = {(row["n_target"], row["source_strength"]): row for row in rows if row["metric"] == "test_loss"}
    for row in rows:
        if row["metric"] == "averaged_test_loss":
            own = losses[row["n_target"], row["source_strength"]]
            assert abs(own["value"] - row["value"]) < 3.5 * own["stderr"]
            assert own["stderr"] < 0.05 * row["value"]


def test_long_times_are_the_end():
    settings = SETTING | {"target_ratio": 0.5, "source_richness": [2.0, 8.0], "source_noise": 0.5}
    end = fine_tuning.solve(**settings, target_decay=0.2)
    late = fine_tuning.solve(**settings, target_decay=0.2, source_time=300.0, target_time=60.0)
    np.testing.assert_allclose(late.test_loss, end.test_loss, rtol=1e-5)
    start = fine_tuning.solve(**settings, target_time=0.0)
    np.testing.assert_allclose(start.test_loss, 1.0)


@pytest.mark.parametrize(
    ("setting", "present"),
    [
        ({}, False),
        ({"source_noise": 0.5}, False),
        ({"target_time": 1.0}, False),
        ({"target_decay": 0.1, "target_noise": 0.5}, False),
        ({"source_time": 1.0}, False),
        ({"source_noise": 0.5, "source_time": 1.0}, True),
        ({"source_noise": 0.5, "source_time": 5.0, "source_decay": 0.2}, True),
    ],
)
def test_a_best_richness_needs_a_source_that_learns_noise_as_it_grows_rich(setting, present):
    def best(ratio):
        def loss(richness):
            return fine_tuning.solve(source_richness=richness, target_ratio=ratio, **SETTING, **setting).test_loss

        return fine_tuning.best_richness(loss, GRID)[0]

    found = [best(ratio) for ratio in (0.25, 0.5, 0.75)]
    if not present:
        assert found == [math.inf] * 3
        return
    assert all(0.5 < one < 64 for one in found)
    assert found[0] > found[1] > found[2]  # it falls with the target's samples, (V12)


def test_posteriors_of_noisy_sources_have_a_best_richness():
    def best(noise):
        def loss(richness):
            return averaged.solve(
                source_richness=richness, target_ratio=0.5, target_richness=1.0, elastic_coupling=math.inf,
                inverse_temperature=20.0, source_inverse_temperature=1.0, source_noise=noise, **SETTING,
            ).test_loss  # fmt: skip

        return fine_tuning.best_richness(loss, np.geomspace(0.5, 512, 11))[0]

    assert best(0.0) == math.inf
    assert math.inf > best(0.3) > best(0.6) > best(1.0) > 0.5


def test_where_the_best_is():
    loss, at = fine_tuning.best_richness(lambda x: 1 + (np.log(x) - 1.2) ** 2, GRID), math.exp(1.2)
    assert loss == pytest.approx((at, 1.0), rel=1e-3)
    assert fine_tuning.best_richness(lambda x: x, GRID) == (0.5, 0.5)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"target_ratio": 1.0}, "target_ratio = 1"),
        ({"source_ratio": 1.0, "source_noise": 0.1}, "source_ratio = 1"),
        ({"source_richness": 0.0}, "source_richness = 0"),
        ({"overlap": 2.0}, "overlap = 2"),
    ],
)
def test_bad_settings_of_the_closed_form(changes, match):
    settings = SETTING | {"target_ratio": 0.5, "source_richness": 1.0} | changes
    with pytest.raises(InputError, match=match):
        fine_tuning.interpolated(**settings)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"source_decay": 0.1}, "source_time = inf"),
        ({"source_decay": -0.1}, "source_decay = -0.1"),
        ({"target_time": -1.0}, "target_time = -1"),
        ({"source_noise": -1.0}, "source_noise = -1"),
        ({"source_richness": [1.0, -1.0]}, r"source_richness\[1\] = -1"),
    ],
)
def test_bad_settings(changes, match):
    settings = SETTING | {"target_ratio": 0.5, "source_richness": 1.0} | changes
    with pytest.raises(InputError, match=match):
        fine_tuning.solve(**settings)
