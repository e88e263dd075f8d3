"""Explicit readouts approach their dual as H^−½, and coordinate-wise Adam does not."""

import math

import numpy as np
import pytest

from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies.limit import run

SMALL = {"samples": 64, "test_samples": 60, "batch": 16, "steps": 12, "widths": [16, 64], "feature_draws": 2}


def table(**settings):
    return make_table({"experiment": "e", "seed": 0, **row} for row in run(seed=0, **(SMALL | settings)))


def slope(rows):
    return np.polyfit(np.log(rows["width"]), np.log(rows["value"]), 1)[0]


def test_distance_falls_as_the_root_of_the_width_but_for_adam():
    found = table(samples=150, batch=32, steps=30, widths=[64, 512, 4096], feature_draws=3)
    distances = select(found, metric="distance_to_dual")
    for loss in ("squared", "cross_entropy"):
        for optimiser in ("sgd", "momentum", "adam_star"):
            rows = select(distances, condition=loss, optimiser=optimiser)
            assert slope(rows) == pytest.approx(-0.5, abs=0.05)
            assert (rows["stderr"] < 0.15 * rows["value"]).all()
        rows = select(distances, condition=loss, optimiser="adam")
        assert slope(rows) > -0.25
        assert rows["value"].iloc[-1] > 0.1
    # the widest network's loss is the dual's, on the scale of what training did
    for optimiser in ("sgd", "adam_star"):
        losses = select(found, metric="test_loss", condition="squared", optimiser=optimiser)
        limit = select(losses, kind="theory")
        assert limit["width"].tolist() == [math.inf]
        wide = select(losses, width=4096)["value"].item()
        assert wide == pytest.approx(limit["value"].item(), abs=0.02)
        assert limit["value"].item() < 0.8


def test_rows_and_repetition():
    fractions = []
    found = table(progress=fractions.append)
    assert fractions[-1] == pytest.approx(1)
    assert set(found["status"]) == {"converged"}
    assert set(found["time"]) == {12.0}
    networks = select(found, kind="network")
    assert len(networks) == 2 * 4 * 2 * 2  # losses, optimisers, widths, metrics
    assert len(select(found, kind="theory")) == 2 * 3  # Adam has no limit
    assert set(found["dataset"]) == {"digits"}
    again = table(optimisers=["adam_star"], widths=[64])  # what else is run changes nothing
    same = select(networks, optimiser="adam_star", width=64)
    assert select(again, kind="network")["value"].tolist() == same["value"].tolist()


def test_other_activations():
    found = select(table(activation="erf", optimisers=["sgd"], widths=[16, 1024]), metric="distance_to_dual")
    for _, rows in found.groupby("condition"):
        assert rows["value"].iloc[1] < 0.35 * rows["value"].iloc[0]


def test_diverged_trainings_are_rows():
    found = table(optimisers=["sgd", "adam_star"], learning_rates={"sgd": 1e200, "adam_star": 0.05}, steps=40)
    status = found.groupby("optimiser")["status"].agg(set)
    assert status["adam_star"] == {"converged"}
    squared = select(found, optimiser="sgd", condition="squared")
    assert set(squared["status"]) == {"diverged"}
    assert squared["value"].isna().all()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"widths": [64, 0]}, r"widths\[1\] = 0: expected a whole number"),
        ({"optimisers": ["adam_sta"]}, r"optimisers\[0\] = 'adam_sta': .*did you mean 'adam_star'"),
        ({"losses": ["hinge"]}, r"losses\[0\] = 'hinge'"),
        ({"samples": 10_000}, r"samples = 10000: expected ≤ 1442"),
        ({"batch": 65}, "batch = 65: expected ≤ 64"),
        ({"steps": 0}, "steps = 0"),
        ({"learning_rates": {"sgd": 1.0}}, "learning_rates has none for 'momentum'"),
        ({"activation": "tahn"}, "activation = 'tahn'"),
        ({"feature_draws": 0}, "feature_draws = 0"),
        ({"dataset": "digit"}, r"dataset = 'digit': .*did you mean 'digits'"),
    ],
)
def test_bad_settings(changes, match):
    with pytest.raises(InputError, match=match) as error:
        run(seed=0, **(SMALL | changes))
    assert "\n" not in str(error.value)
