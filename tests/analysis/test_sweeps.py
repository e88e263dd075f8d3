"""A rate chosen on the edge of its sweep leaves a claim untested; one inside, or no sweep, does not."""

import pandas as pd
import pytest

from infwidth.analysis.claim_file import Claim
from infwidth.analysis.claims import judge
from infwidth.io.tables import make_table

AT, VERSUS = ({"kind": "network", "optimiser": name} for name in ("sgd", "adam"))
CLAIM = Claim(
    "S1", "s", "e", "relative_change", {"metric": "test_loss", "at": AT, "versus": VERSUS}, {"above": 0}, paper="own"
)


def rows(optimiser, chosen, tried=(1.0, 3.0, 10.0), width=64.0, value=1.0):
    common = {"experiment": "e", "kind": "network", "dataset": "d", "condition": "mlp", "optimiser": optimiser}
    common |= {"width": width, "status": "converged", "stderr": 0.0}
    for seed, rate in enumerate(chosen):
        yield from (
            {**common, "seed": seed, "learning_rate": one, "metric": "sweep_loss", "value": abs(one - rate)}
            for one in tried
        )
        found = value + 0.001 * seed * (1 if optimiser == "sgd" else -1)
        yield {**common, "seed": seed, "learning_rate": rate, "metric": "test_loss", "value": found}


def verdict(*parts):
    return judge(CLAIM, make_table([row for part in parts for row in part]))


@pytest.mark.parametrize("edge", [1.0, 10.0])
@pytest.mark.parametrize("count", [2, 3])
def test_on_the_edge_at_most_data_sets_it_is_not_tested(edge, count):
    chosen = [edge] * count + [3.0] * (3 - count)
    found = verdict(rows("sgd", chosen, value=2), rows("adam", [3.0] * 3))
    assert found.verdict == "not tested"
    assert f"sgd (mlp, width 64) was trained at {edge:g}" in found.note
    assert f"at {count} of 3 seeds" in found.note


def test_inside_or_on_the_edge_once_it_is():
    assert verdict(rows("sgd", [3.0, 3.0, 10.0], value=2), rows("adam", [3.0] * 3)).verdict == "reproduced"


def test_only_what_the_claim_rests_on_counts():
    other = list(rows("momentum", [10.0] * 3))
    narrow = list(rows("sgd", [10.0] * 3, width=8.0))
    single = list(rows("adam", [3.0] * 3, tried=(3.0,)))
    assert verdict(rows("sgd", [3.0] * 3, value=2), single, other, narrow).verdict == "reproduced"


def test_along_the_width_every_width_counts():
    arguments = {"metric": "test_loss", "along": "width", "at": AT, "versus": VERSUS}
    claim = Claim("S2", "s", "e", "largest_change", arguments, {"below": 5})
    parts = (("sgd", 10.0, 8.0), ("sgd", 3.0, 64.0), ("adam", 3.0, 64.0), ("adam", 3.0, 8.0))
    table = make_table(row for name, rate, width in parts for row in rows(name, [rate] * 3, width=width))
    assert judge(claim, table).verdict == "not tested"
    assert judge(claim, table[(table["width"] == 64) | pd.isna(table["width"])]).verdict == "reproduced"
