"""The study of source richness: rows are the theory's, posteriors' too; where a curve is least; refusals."""

import math

import numpy as np
import pytest

from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies import source_richness
from infwidth.studies.populations import population
from infwidth.studies.source_richness import run
from infwidth.theory import averaged, bayes, flow

SMALL = {"dimension": 36, "data_sets": 2, "source_richness": [1, 6], "target_ratios": [0.25, 0.5]}


def table(seed=0, **settings):
    return make_table({"experiment": "e", "seed": seed, **row} for row in run(seed=seed, **(SMALL | settings)))


def test_rows():
    found = table(source_noise=0.5)
    assert len(found) == 2 * (2 * 3 + 3)
    assert set(found["status"]) == {"converged"}
    assert set(found["elastic_coupling"]) == {math.inf}
    assert set(select(found, dimension=36)["n_target"]) == {9, 18}
    assert set(select(found, metric="test_loss")["source_strength"]) == {1 / 6, 1}
    assert set(select(found, dimension=math.inf)["n_target"]) == {0.25, 0.5}
    assert "σ = 0.5 in source labels" in found["dataset"].iloc[0]


@pytest.mark.parametrize("training", ["flow", "bayes"])
def test_losses_are_those_of_the_doors(training):
    """What the study finds fast, door by door: flow and posteriors at δ = ∞ on the same data."""
    settings = {"source_noise": 0.3, "target_noise": 0.2, "engine": training}
    settings |= {"source_time": 1.0, "target_time": 2.0, "source_decay": 0.1, "target_decay": 0.2}
    found = table(seed=3, **settings)
    seeds = [source_richness.derive_seed(3, "source richness", index) for index in range(2)]
    tasks = [population(36, 0.9, (27, 18), seed, noises=(0.3, 0.2)) for seed in seeds]
    common = {"activation": "linear", "source_strength": 1.0, "target_strength": 0.2, "elastic_coupling": math.inf}
    if training == "bayes":
        losses = [
            bayes.solve(task, **common, inverse_temperature=20.0, source_inverse_temperature=1.0).test_loss
            for task in tasks
        ]
    else:
        times = {"source_time": 1.0, "target_times": [2.0], "weight_decay": 0.2, "source_weight_decay": 0.1}
        losses = [flow.solve(task, **common, **times).test_loss[-1] for task in tasks]
    row = select(found, metric="test_loss", n_target=18, source_strength=1.0)
    assert row["value"].item() == pytest.approx(np.mean(losses) + 0.2**2, rel=1e-5)
    assert row["stderr"].item() == pytest.approx(np.std(losses, ddof=1) / math.sqrt(2), rel=1e-4)


def test_posteriors_beside_their_average():
    found = table(engine="bayes", source_noise=0.5)
    row = select(found, metric="averaged_test_loss", n_target=9, source_strength=1.0)
    expected = averaged.solve(
        source_ratio=0.75, target_ratio=0.25, source_richness=6.0, target_richness=5.0, overlap=0.9, source_noise=0.5,
        elastic_coupling=math.inf, inverse_temperature=20.0, source_inverse_temperature=1.0,
    ).test_loss  # fmt: skip
    assert row["value"].item() == pytest.approx(expected)


def test_the_lowest_point_of_a_curve():
    richness = np.array([1.0, 2.0, 4.0, 8.0])
    at = math.log(3.0)
    assert source_richness._lowest(richness, (np.log(richness) - at) ** 2) == pytest.approx(3.0, rel=0.01)
    assert source_richness._lowest(richness, -richness) == math.inf
    assert source_richness._lowest(richness, richness) == 1.0


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"data_sets": 1}, "data_sets = 1"),
        ({"source_richness": [1, 0]}, r"source_richness\[1\] = 0"),
        ({"target_ratios": [-1]}, r"target_ratios\[0\] = -1"),
        ({"engine": "adam"}, "engine = 'adam'"),
        ({"source_decay": 0.1}, "source_time = inf"),
        ({"overlap": 3}, "overlap = 3"),
        ({"inverse_temperature": 0}, "inverse_temperature = 0"),
    ],
)
def test_bad_settings(changes, match):
    with pytest.raises(InputError, match=match):
        run(seed=0, **(SMALL | changes))
