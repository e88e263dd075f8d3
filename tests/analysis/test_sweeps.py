"""A rate on the edge of its sweep leaves a claim untested; the choice of one inside is in the error."""

import numpy as np
import pandas as pd
import pytest

from infwidth.analysis.claim_file import Claim
from infwidth.analysis.claim_statistics import difference, mean_value
from infwidth.analysis.claims import judge
from infwidth.analysis.estimates import Foresight
from infwidth.analysis.sweeps import choice_error
from infwidth.io.tables import make_table, select

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


RATES = np.array([0.1, 0.3, 1.0, 3.0])


def swept(random, *, noise, curvature=0.1, best=0.5, seeds=4, own_sweeps=False, optimisers=("sgd", "frozen_adam")):
    """Trainings of which one seed's share a level; losses are parabolas over log10 of the rate, their least at 0."""

    def curve(rate):
        return curvature * np.log10(rate / best) ** 2

    rows, chosen = [], {}
    for optimiser in optimisers:
        tried = 2 + curve(RATES) + noise * random.standard_normal((seeds if own_sweeps else 1, len(RATES)))
        base = {"experiment": "e", "kind": "network", "condition": "transformer", "optimiser": optimiser,
                "dataset": "d", "width": 64.0, "status": "converged", "stderr": 0.0, "time": 9.0}  # fmt: skip
        for seed in range(seeds):
            losses = tried[seed % len(tried)]
            chosen[optimiser] = RATES[losses.argmin()]
            for rate, loss in zip(RATES, losses, strict=True):
                rows.append({**base, "seed": seed, "metric": "sweep_loss", "learning_rate": rate, "value": loss})
            final = 3 + curve(chosen[optimiser]) + noise * random.standard_normal() + 5 * seed
            test = {"seed": seed, "metric": "test_loss", "learning_rate": chosen[optimiser], "value": final}
            rows.append(base | test)
    return make_table(rows), {name: curve(rate) for name, rate in chosen.items()}


def test_the_error_of_the_choice_is_what_the_choice_costs():
    """Its mean square over sweeps is that of what a chosen rate loses against the best, to a factor of 2."""
    random = np.random.default_rng(0)
    for noise in (0.002, 0.02):
        claimed, costs = [], []
        for _ in range(40):
            table, lost = swept(random, noise=noise)
            rows = select(table, metric="test_loss", optimiser="sgd")
            claimed.append(choice_error(table, rows))
            costs.append(lost["sgd"])
        assert 0.5 < np.sqrt(np.mean(np.square(claimed)) / np.mean(np.square(costs))) < 2, noise


def test_it_widens_the_interval_and_more_seeds_do_not_narrow_it():
    table, _ = swept(np.random.default_rng(0), noise=0.02)
    rows = {"metric": "test_loss", "where": {"optimiser": "sgd"}}
    found = mean_value(table, **rows)
    alone = mean_value(table[table["metric"] != "sweep_loss"], **rows)
    assert found.shared == pytest.approx(choice_error(table, select(table, metric="test_loss", optimiser="sgd")))
    assert found.stderr == pytest.approx(np.hypot(alone.stderr, found.shared))
    assert found.sampling_shares()["choice"] == pytest.approx((found.shared / found.stderr) ** 2)
    paired = {"metric": "test_loss", "at": {"optimiser": "sgd"}, "versus": {"optimiser": "frozen_adam"}}
    change = difference(table, **paired)
    least = 1.96 * change.shared
    lower, upper = change.interval(foreseen=Foresight(1000))
    assert least < (upper - lower) / 2 < 1.1 * least
    lower, upper = change.interval()
    assert (upper - lower) / 2 > 1.2 * least


def test_it_is_nothing_where_each_data_set_chooses_or_nothing_was_chosen():
    table, _ = swept(np.random.default_rng(0), noise=0.02, own_sweeps=True)
    rows = select(table, metric="test_loss")
    assert choice_error(table, rows) == 0
    shared, _ = swept(np.random.default_rng(0), noise=0.02)
    assert choice_error(shared, select(shared, metric="test_loss").assign(metric="bias")) == 0
    assert choice_error(shared[shared["metric"] == "test_loss"], rows) == 0
    alone, _ = swept(np.random.default_rng(0), noise=0.02, optimisers=("sgd",))
    assert choice_error(alone, select(alone, metric="test_loss")) > 0  # by the scatter of its seeds


def test_a_sharp_curve_leaves_no_choice():
    table, _ = swept(np.random.default_rng(0), noise=1e-5, curvature=1.0, best=1.0)
    assert choice_error(table, select(table, metric="test_loss", optimiser="sgd")) < 1e-3
