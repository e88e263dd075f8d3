"""Means of finite models: unbiased at fixed coefficients, biased as 1/H after training, but for Adam."""

import math

import numpy as np
import pytest
import torch

from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies.expectation import mean_bias, run

SMALL = {"samples": 40, "test_samples": 40, "batch": 20, "steps": 10, "widths": [16, 32], "draws": 32}


def table(**settings):
    return make_table({"experiment": "e", "seed": 0, **row} for row in run(seed=0, **(SMALL | settings)))


@pytest.fixture(scope="module")
def found():
    return table(samples=60, steps=20, widths=[32, 64, 128], draws=256)


def test_bias_after_training_falls_as_the_width_but_for_adam(found):
    trained = select(found, condition="trained", metric="squared_bias")
    for optimiser, rows in trained.groupby("optimiser"):
        slope = np.polyfit(np.log(rows["width"]), np.log(rows["value"]), 1)[0] / 2
        if optimiser == "adam":
            assert slope > -0.3
        else:
            assert slope == pytest.approx(-1, abs=0.3)
            assert rows["value"].iloc[0] > 5 * rows["stderr"].iloc[0]  # it is there, and resolved
    assert set(trained["optimiser"]) == {"sgd", "momentum", "adam_star", "adam"}
    roots = select(found, condition="trained", metric="bias")
    np.testing.assert_allclose(roots["value"], np.sqrt(trained["value"]))


def test_no_bias_at_fixed_coefficients(found):
    fixed = select(found, condition="fixed")
    assert set(fixed["optimiser"]) == {"sgd", "momentum", "adam_star"}
    squares = select(fixed, metric="squared_bias")
    assert (squares["value"].abs() < 4 * squares["stderr"]).all()
    ratios = select(fixed, metric="bias_in_stderr")["value"]
    assert ratios.between(0.2, 3).all()
    # far below what training does at the same width and draws
    trained = select(found, condition="trained", metric="squared_bias", optimiser="sgd", width=32)["value"].item()
    assert abs(select(squares, optimiser="sgd", width=32)["value"].item()) < 0.3 * trained


class TestMeanBias:
    def test_squared_bias_is_unbiased_and_its_error_right(self):
        random = torch.Generator().manual_seed(0)
        limit = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)
        offset = torch.tensor([0.0, 0.5, 0.5], dtype=torch.float64)  # |offset|² / |limit|² = 0.02
        found = [
            mean_bias(limit + offset + torch.randn(20, 3, generator=random, dtype=torch.float64), limit)
            for _ in range(400)
        ]
        squares = np.array([one.squared for one in found])
        assert squares.mean() == pytest.approx(0.02, abs=4 * squares.std() / 20)
        assert np.mean([one.squared_stderr for one in found]) == pytest.approx(squares.std(), rel=0.2)
        assert np.mean([one.noise_distance for one in found]) == pytest.approx(math.sqrt(3 / 20) / 5, rel=0.05)

    def test_against_the_sum_over_pairs(self):
        random = torch.Generator().manual_seed(1)
        draws, limit = torch.randn(5, 4, generator=random), torch.randn(4, generator=random)
        away = draws - limit
        pairs = [away[i] @ away[j] for i in range(5) for j in range(5) if i != j]
        found = mean_bias(draws, limit)
        assert found.squared == pytest.approx(float(sum(pairs) / 20 / limit.square().sum()), rel=1e-4)
        assert found.distance == pytest.approx(float(away.mean(0).norm() / limit.norm()), rel=1e-4)


def test_draws_do_not_depend_on_how_they_are_grouped(monkeypatch):
    whole = table(optimisers=["adam_star"])
    monkeypatch.setattr("infwidth.studies.expectation.CHUNK", 16 * 80 * 5)
    parts = table(optimisers=["adam_star"])
    np.testing.assert_allclose(parts["value"], whole["value"], rtol=1e-3, atol=1e-6)


def test_diverged_trainings_are_rows():
    found = table(optimisers=["sgd"], learning_rates={"sgd": 1e30}, steps=20)
    assert set(found["status"]) == {"diverged"}
    assert found["value"].isna().all()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"draws": 2}, "draws = 2: expected a whole number ≥ 3"),
        ({"widths": []}, r"widths = \[\]: expected a list"),
        ({"loss": "hinge"}, "loss = 'hinge'"),
        ({"optimisers": ["adamstar"]}, "did you mean 'adam_star'"),
        ({"samples": 2000}, "samples = 2000: expected ≤ 1442"),
    ],
)
def test_bad_settings(changes, match):
    with pytest.raises(InputError, match=match):
        run(seed=0, **(SMALL | changes))
