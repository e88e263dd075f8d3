"""Phase diagrams: what rows say is what the averaged theory says, and its closed forms."""

import math

import numpy as np
import pytest

from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies.phases import run
from infwidth.theory import averaged

SMALL = {"overlaps": [0, 0.6, 1], "target_ratios": [0.3, 4], "target_richness": [1, 10], "target_noise": [0, 0.5]}


@pytest.fixture(scope="module")
def found():
    return make_table({"experiment": "e", "seed": 0, **row} for row in run(seed=0, **SMALL))


def test_rows_are_the_theory_at_their_settings(found):
    assert len(found) == 2 * 2 * (2 + 3 * 2 * 4)
    assert set(found["dimension"]) == {math.inf}
    losses = select(found, metric=["test_loss", "best_test_loss"])
    for _, row in losses.iterrows():
        loss = averaged.solve(
            source_ratio=row["n_source"], target_ratio=row["n_target"], source_richness=row["source_strength"],
            target_richness=row["target_strength"], overlap=row["overlap"], elastic_coupling=row["elastic_coupling"],
            target_noise=float(row["dataset"].split()[-1]), inverse_temperature=20.0,
        ).test_loss  # fmt: skip
        assert row["value"] == pytest.approx(loss, rel=1e-9)
    best = select(found, metric="best_test_loss")["value"].to_numpy()
    for end in (0, math.inf):
        assert (best <= select(found, metric="test_loss", elastic_coupling=end)["value"].to_numpy() + 1e-12).all()


def test_the_critical_overlap_divides_gain_from_harm(found):
    for _, row in select(found, metric="critical_overlap").iterrows():
        where = {name: row[name] for name in ("dataset", "target_strength", "n_target")}
        frozen, scratch = (select(found, metric="test_loss", elastic_coupling=end, **where) for end in (math.inf, 0))
        helps = frozen["value"].to_numpy() < scratch["value"].to_numpy()
        above = (frozen["overlap"].to_numpy() > row["value"]) | (row["value"] == 0)
        np.testing.assert_array_equal(helps, above)
    rich = {"dataset": "linear teachers, label noise 0", "n_target": 4, "metric": "critical_overlap"}
    assert select(found, target_strength=10, **rich)["value"].item() == math.inf  # richer than its source
    # closed form of ample clean data: m² > (1 − q2²)/(1 − q1²)
    own, source = (2 / (1 + math.sqrt(1 + 4 * gamma**2)) for gamma in (1, 3))
    expected = math.sqrt((1 - own**2) / (1 - source**2))
    assert select(found, target_strength=1, **rich)["value"].item() == pytest.approx(expected, abs=0.02)


def test_savings_vanish_where_no_tie_helps(found):
    savings = select(found, metric="sample_savings")
    ties = savings["elastic_coupling"] > 0
    assert ties.any()
    assert not ties.all()
    assert (savings.loc[ties, "value"] > 0).all()
    assert (savings.loc[~ties, "value"] == 0).all()


def test_interpolation_of_scarce_data_never_hurts():
    rows = run(seed=0, **(SMALL | {"target_ratios": [0.1, 0.5, 0.95]}), inverse_temperature=math.inf)
    found = make_table({"experiment": "e", "seed": 0, **row} for row in rows)
    best = select(found, metric="best_test_loss", overlap=[0.6, 1])
    assert (best["elastic_coupling"] == math.inf).all()
    assert (select(found, metric="critical_overlap")["value"] < 1e-6).all()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"overlaps": [2]}, r"overlaps\[0\] = 2"),
        ({"target_ratios": [0.5, 0]}, r"target_ratios\[1\] = 0"),
        ({"target_richness": [-1]}, r"target_richness\[0\] = -1"),
        ({"target_noise": [-0.1]}, r"target_noise\[0\] = -0.1"),
        ({"source_noise": -1}, "source_noise = -1"),
    ],
)
def test_bad_settings(changes, match):
    with pytest.raises(InputError, match=match):
        run(seed=0, **(SMALL | changes))
