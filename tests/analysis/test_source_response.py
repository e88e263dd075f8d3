"""What networks owe to the draw of their sources: taken off where theory and networks tell it, and only there."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from infwidth.analysis.agreement import disagreement
from infwidth.analysis.claim_statistics import difference, relative_change, spread
from infwidth.analysis.source_response import (
    MOMENTS,
    RESPONSES,
    moment_arrays,
    response_arrays,
    responses_of,
    without_responses,
)
from infwidth.io.tables import make_table, select

WIDTH, D, SEEDS, COUPLINGS = 100.0, 3, 6, (0.0, 1.0, np.inf)


@pytest.fixture
def drawn():
    """Theory, its responses, and networks that are off it by what their sources' draw makes of them."""
    random, rows, found, moments = np.random.default_rng(0), [], [], []
    for seed in range(SEEDS):
        moment = np.eye(D) + 0.2 * random.standard_normal((D, D))
        moments.append(moment)
        for coupling in COUPLINGS:
            point = {"experiment": "x", "dataset": "d", "condition": "transfer", "elastic_coupling": coupling,
                     "seed": seed, "metric": "test_loss", "status": "converged", "stderr": 0.0}  # fmt: skip
            drive, probe = random.standard_normal((2, D)) * (coupling > 0)
            one = SimpleNamespace(drive=drive, probe=probe, limit=drive @ probe, shift=0.3 * (coupling > 0))
            found.append((point, one))
            owed = drive @ moment @ probe - one.limit - one.shift / WIDTH
            rows.append({**point, "kind": "theory", "width": np.inf, "value": 2.0})
            rows.append({**point, "kind": "network", "width": WIDTH, "value": 2.02 + owed})
    return make_table(rows), response_arrays(found), moment_arrays(range(SEEDS), np.array(moments))


def test_it_is_taken_off_where_it_is_known(drawn):
    table, theory, networks = drawn
    owed = responses_of(table, networks, [{}, theory])
    assert len(owed) == SEEDS * len(COUPLINGS)
    assert set(owed["metric"]) == {"test_loss_source_response"}
    assert set(owed["kind"]) == {"network"}
    assert (select(owed, elastic_coupling=0)["value"] == 0).all()
    found = disagreement(pd.concat([table, owed], ignore_index=True), "test_loss", {})
    assert found.interval() == pytest.approx((0.01, 0.01))
    assert "less what it owes to its sources' draw" in found.note
    lower, upper = disagreement(table, "test_loss", {}).interval()
    assert upper - lower > 0.02
    # of one point it is not known: then it is taken off none, as networks would be compared in two ways
    lacking = disagreement(pd.concat([table, owed.iloc[1:]], ignore_index=True), "test_loss", {})
    assert lacking.interval() == pytest.approx((lower, upper))
    assert "draw" not in lacking.note


def test_an_unconverged_point_keeps_no_other_from_it(drawn):
    table, theory, networks = drawn
    first = table.index[table["kind"] == "network"][0]
    table.loc[first, "status"] = "stalled"
    owed = responses_of(table.drop(first), networks, [theory])
    assert "draw" in disagreement(pd.concat([table, owed], ignore_index=True), "test_loss", {}).note


def test_nothing_where_either_side_says_nothing(drawn):
    table, theory, networks = drawn
    assert responses_of(table, {}, [theory]).empty
    assert responses_of(table, networks, [{}]).empty
    assert responses_of(table.assign(experiment="y"), networks, [theory]).empty
    told = without_responses({**theory, **networks, "kernel": np.zeros(2)})
    assert list(told) == ["kernel"]
    assert all(name.startswith((RESPONSES, MOMENTS)) for name in (*theory, *networks))


NETWORKS, THEORY = ({"kind": kind, "elastic_coupling": 1} for kind in ("network", "theory"))


def test_phenomena_are_freed_of_it_too(drawn):
    table, theory, networks = drawn
    freed = pd.concat([table, responses_of(table, networks, [theory])], ignore_index=True)
    found, plain = (relative_change(rows, "test_loss", NETWORKS, THEORY) for rows in (freed, table))
    assert found.interval() == pytest.approx((0.01, 0.01))
    assert "draw" in found.note
    assert np.ptp(plain.interval()) > 0.02
    assert not plain.note
    assert not relative_change(freed, "test_loss", THEORY, THEORY).note


def test_points_that_are_compared_are_freed_together_or_not_at_all(drawn):
    """The draw drops out of points that share a source: one freed alone would be further from the other."""
    table, theory, networks = drawn
    owed = responses_of(table, networks, [theory])
    lacking = pd.concat([table, owed[owed["elastic_coupling"] != 1]], ignore_index=True)
    between = {"at": {"kind": "network", "elastic_coupling": np.inf}, "versus": NETWORKS}
    found, plain = (difference(rows, "test_loss", **between) for rows in (lacking, table))
    assert (found.value, found.stderr, found.note) == (plain.value, plain.stderr, "")


def test_a_scatter_is_not_freed(drawn):
    """What its squares owe isn't known."""
    table, theory, networks = drawn
    freed = pd.concat([table, responses_of(table, networks, [theory])], ignore_index=True)
    found, plain = (spread(rows, "test_loss", {"kind": "network"}) for rows in (freed, table))
    assert found.interval() == plain.interval()
