"""The theory of data sets comes down to its average: an independent route to both, rows, refusals."""

import math

import numpy as np
import pytest

from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies.averaged import LEAST, run
from infwidth.studies.populations import population
from infwidth.theory import averaged, bayes

SMALL = {"dimensions": [10, 20], "data_sets": 4, "overlaps": [0.5], "elastic_couplings": [0, math.inf]}


def table(seed=0, **settings):
    return make_table({"experiment": "e", "seed": seed, **row} for row in run(seed=seed, **(SMALL | settings)))


def test_data_sets_come_down_to_the_average():
    found = table(dimensions=[10, 80], data_sets=300, full_until=40, elastic_couplings=[10], overlaps=[0.8])
    bias, scatter = (select(found, metric=metric).set_index("dimension") for metric in ("bias", "scatter"))
    assert bias["value"][10] > 5 * bias["stderr"][10]
    assert abs(bias["value"][80]) < 3 * bias["stderr"][80] + 0.03
    assert bias["value"][80] < bias["value"][10] / 3
    assert 1.7 < scatter["value"][10] / scatter["value"][80] < 5  # √8


def test_the_population_is_the_test_set():
    task = population(15, 0.5, (30, 8), seed=3)
    solution = bayes.solve(task, activation="linear", source_strength=0.8, target_strength=0.5, elastic_coupling=3.0,
                           inverse_temperature=20.0)  # fmt: skip
    assert np.square(task.y_test).sum() == pytest.approx(15)
    np.testing.assert_allclose(task.x_target @ task.y_test / math.sqrt(15), task.y_target, rtol=1e-12)  # one teacher
    assert solution.test_loss == pytest.approx(np.mean((solution.weights - task.y_test) ** 2))


def test_rows():
    found = table(source_ratio=1.26, target_ratio=0.33, target_richness=1.5)
    assert len(found) == 2 * 2 * 4
    assert set(found["status"]) == {"converged"}
    row = select(found, metric="averaged_test_loss", dimension=20, elastic_coupling=math.inf).iloc[0]
    assert (row["n_source"], row["n_target"]) == (25, 7)
    assert row["target_strength"] == pytest.approx(1.5 / math.sqrt(20))
    expected = averaged.solve(
        source_ratio=25 / 20,
        target_ratio=7 / 20,
        source_richness=3,
        target_richness=1.5,
        overlap=0.5,
        elastic_coupling=math.inf,
        inverse_temperature=20,
    )
    assert row["value"] == pytest.approx(expected.test_loss)
    mean = select(found, metric="test_loss", dimension=20, elastic_coupling=math.inf)["value"].item()
    bias = select(found, metric="bias", dimension=20, elastic_coupling=math.inf)["value"].item()
    assert bias == pytest.approx(mean / row["value"] - 1)


def test_seeds_draw_other_data_and_overlaps_share_them():
    first, other = (select(table(seed), metric="test_loss", elastic_coupling=0)["value"] for seed in (0, 1))
    assert not np.isclose(first, other).any()
    both = table(overlaps=[0.2, 0.5])
    np.testing.assert_allclose(select(both, overlap=0.5)["value"], table()["value"])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"dimensions": [1]}, r"dimensions\[0\] = 1: expected a whole number ≥ 2"),
        ({"data_sets": LEAST - 1}, "data_sets = 3"),
        ({"overlaps": [0.5, 1.5]}, r"overlaps\[1\] = 1.5"),
        ({"elastic_couplings": [-1]}, r"elastic_couplings\[0\] = -1"),
        ({"target_ratio": 0}, "target_ratio = 0"),
        ({"source_richness": -2}, "source_richness = -2"),
        ({"inverse_temperature": math.nan}, "inverse_temperature = nan"),
    ],
)
def test_bad_settings(changes, match):
    with pytest.raises(InputError, match=match):
        run(seed=0, **(SMALL | changes))
