"""Statistics, jackknife, verdicts."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from claim_builders import claim, table

from infwidth.analysis.claim_statistics import (
    STATISTICS,
    effect_ratio,
    largest_change,
    largest_step,
    power_law,
    relative_change,
    trend_of_change,
)
from infwidth.analysis.claim_table import as_markdown, as_text
from infwidth.analysis.claims import Verdict, judge, together
from infwidth.analysis.seeds import jackknife, mean_over_seeds, relative_difference
from infwidth.io.tables import make_table
from infwidth.numerics.checks import InputError


def both(network, theory, **options):
    return pd.concat([table(network, **options), table(theory, kind="theory")], ignore_index=True)


def test_averages_over_data_sets_have_nothing_left_to_scatter():
    """At dimension ∞ one row decides; a data set alone, or one point of several that scatters, does not."""
    rising, falling = claim(), claim(expect={"above": 0})
    exact = table([1.0, 0.5, 0.4], seeds=1, kind="theory", dimension=np.inf)
    assert [judge(one, exact, licence="T1").verdict for one in (rising, falling)] == ["reproduced", "not reproduced"]
    found = judge(rising, exact, licence="T1")
    assert (found.lower, found.upper, found.stderr) == (found.value, found.value, 0.0)
    json.dumps(found.as_dict(), allow_nan=False)
    for dimension in (100.0, np.nan):
        alone = table([1.0, 0.5, 0.4], seeds=1, kind="theory", dimension=dimension)
        assert judge(rising, alone, licence="T1").verdict == "inconclusive"
    mixed = exact.assign(dimension=[np.inf, np.inf, 100.0])
    assert judge(rising, mixed, licence="T1").verdict == "inconclusive"


def test_statistics_on_known_curves():
    falling = table([1.0, 0.5, 0.4])
    assert largest_step(falling, "test_loss", "elastic_coupling", {}).value == pytest.approx(-0.1)
    assert relative_change(
        falling, "test_loss", {"elastic_coupling": 2}, {"elastic_coupling": 0}
    ).value == pytest.approx(-0.6)
    flat = pd.concat([falling, table([1.0, 1.06, 1.0], overlap=0.0)])
    assert effect_ratio(flat, "test_loss", "elastic_coupling", {"overlap": 0}, {"overlap": 0.5}).value == pytest.approx(
        0.1
    )


def test_last_time_counts():
    rows = pd.concat([table([9.0, 9.0], time=0.0), table([1.0, 0.5], time=3.0)])
    assert largest_step(rows, "test_loss", "elastic_coupling", {}).value == pytest.approx(-0.5)


def test_jackknife_of_a_mean_is_its_standard_error():
    rows = table([1.0], noise=0.3, seeds=7)
    value, stderr, seeds = jackknife(lambda t: t["value"].mean(), rows)
    assert seeds == 7
    assert value == pytest.approx(rows["value"].mean())
    assert stderr == pytest.approx(rows["value"].sem())


@pytest.mark.parametrize(
    ("curve", "noise", "verdict"),
    [
        ([1, 0.8, 0.6], 0.01, "reproduced"),
        ([1, 0.8, 0.9], 0.01, "not reproduced"),
        ([1, 0.8, 0.79], 0.2, "inconclusive"),
    ],
)
def test_the_interval_decides(curve, noise, verdict):
    assert judge(claim(), table(curve, noise=noise)).verdict == verdict


def test_one_seed_decides_nothing():
    found = judge(claim(), table([1, 0.5], seeds=1))
    assert found.verdict == "inconclusive"
    assert "one seed" in found.note


def test_missing_rows_are_not_tested():
    where = {"metric": "test_loss", "along": "elastic_coupling", "where": {"overlap": 0.7}}
    found = judge(claim(arguments=where), table([1, 0.5]))
    assert found.verdict == "not tested"
    assert "overlap = 0.7" in found.note


def test_a_seed_with_an_unconverged_row_is_left_out_of_every_point():
    rows = table([1.0, 0.5, 0.4])
    rows.loc[rows["seed"] == 2, "value"] += [5.0, 0.0, 9.0]  # would dominate every mean
    rows.loc[(rows["seed"] == 2) & (rows["elastic_coupling"] == 1), "status"] = "diverged"
    found = judge(claim(), rows)
    assert found.value == pytest.approx(-0.1)
    assert found.seeds == 5
    assert "seeds [2] left out" in found.note


def test_a_bad_claim_cannot_be_made():
    with pytest.raises(InputError, match="did you mean 'largest_step'"):
        claim(statistic="largest_stp")
    with pytest.raises(InputError, match="expected above and/or below"):
        claim(expect={"equals": 1})


@pytest.mark.parametrize(
    ("about", "found", "note"),
    [
        ("CIFAR-10", "digits (fallback for CIFAR-10) 0,1 → 8,9", "digits stand in for CIFAR-10"),
        ("CIFAR-10", "digits 3,4 → 5,6", "digits stand in for CIFAR-10"),
        ("CIFAR-10", "CIFAR-100 0,1 → 8,9", "CIFAR-100 stands in for CIFAR-10"),
        ("C4", "CPython's documentation (fallback for C4)", "CPython's documentation stands in for C4"),
        ("C4", "C4you", "C4you stands in for C4"),
        ("CIFAR-10", "CIFAR-10 1,5 → 9,3", None),
        ("CIFAR-10", "cifar10_part 0,1 → 8,9", None),
        ("C4", "c4-train.00000-of-01024", None),
        ("digits", "digits 0,1 → 8,9", None),
        (None, "anything", None),
    ],
)
def test_on_a_stand_in_a_claim_is_not_tested(about, found, note):
    verdict = judge(claim(dataset=about), table([1, 0.8, 0.6], noise=0.01, dataset=found))
    assert verdict.verdict == ("not tested" if note else "reproduced")
    assert verdict.note == (note or "")


def test_tables_of_verdicts():
    verdicts = [judge(claim(id=name), table([1, 0.5, 0.3], noise=0.01)) for name in ("T10", "T9")]
    text = as_text(verdicts)
    assert text.index("T9") < text.index("T10")
    assert "2 reproduced" in text
    markdown = as_markdown([Verdict(**verdict.as_dict()) for verdict in verdicts])
    assert markdown.count("**reproduced**") == 2


def test_means_mark_unconverged_points():
    rows = table([1.0, 2.0], noise=0.1)
    rows.loc[0, "status"] = "stalled"
    means = mean_over_seeds(rows)
    assert list(means["converged"]) == [False, True]
    assert list(means["seeds"]) == [6, 6]
    assert means["stderr"].iloc[1] == pytest.approx(rows.loc[rows["elastic_coupling"] == 1, "value"].sem())


def test_relative_difference_is_paired():
    """Scatter that theory and networks share drops out of the error."""
    network, theory = table([1.0], noise=0.3), table([1.0], noise=0.3, kind="theory", width=np.inf)
    network["value"] = network["value"] * 1.0 + 0.05
    (found,) = relative_difference(pd.concat([network, theory])).itertuples()
    assert found.mean == pytest.approx(0.05 / theory["value"].mean())
    assert found.stderr == pytest.approx(0.0, abs=1e-12)


def test_power_laws_and_largest_changes_over_an_axis():
    rows = pd.concat([table([3 * width**-0.5], width=float(width), optimiser="sgd") for width in (64, 256, 1024)])
    where = {"optimiser": "sgd"}
    assert power_law(rows, "test_loss", "width", where).value == pytest.approx(-0.5)
    with pytest.raises(InputError, match="expected positive values at two or more of width"):
        power_law(rows[rows["width"] == 64], "test_loss", "width", where)
    others = rows.assign(optimiser="adam", value=rows["value"] * (1 + (rows["width"] == 256) * 0.2))
    both_ways = pd.concat([rows, others])
    found = largest_change(both_ways, "test_loss", "width", {"optimiser": "adam"}, {"optimiser": "sgd"})
    assert found.value == pytest.approx(0.2)
    others = rows.assign(optimiser="adam", value=rows["value"] * (1 + 0.1 * np.log10(rows["width"])))
    both_ways = pd.concat([rows, others])
    found = trend_of_change(both_ways, "test_loss", "width", {"optimiser": "adam"}, {"optimiser": "sgd"})
    assert found.value == pytest.approx(0.1)
    with pytest.raises(InputError, match="share 0 width"):
        largest_change(both_ways, "test_loss", "width", {"optimiser": "adam", "width": 64}, {**where, "width": 256})


def test_no_converged_seed_is_not_tested():
    found = judge(claim(), table([1.0, 0.5]).assign(status="unmixed"))
    assert found.verdict == "not tested"
    assert "no data set whose solvers all converged" in found.note


def test_a_rate_that_diverged_in_a_sweep_fails_no_seed():
    rows = table([1.0, 0.5, 0.4])
    sweep = rows.assign(metric="sweep_loss", value=np.inf, status="diverged")
    assert judge(claim(), pd.concat([rows, sweep])).note == ""


def test_a_failed_solver_leaves_claims_of_other_points_alone():
    rows = table([1.0, 0.5, 0.4])
    bad = (rows["seed"] == 2) & (rows["elastic_coupling"] == 2)
    rows.loc[bad, ["value", "status"]] = 99.0, "stalled"
    change = {"metric": "test_loss", "at": {"elastic_coupling": 1}, "versus": {"elastic_coupling": 0}}
    found = judge(claim(statistic="relative_change", arguments=change), rows)
    assert (found.seeds, found.note) == (6, "")
    touched = judge(claim(statistic="relative_change", arguments=change | {"at": {"elastic_coupling": 2}}), rows)
    assert touched.seeds == 5
    assert "seeds [2] left out" in touched.note


def test_an_inconclusive_verdict_has_its_reason_and_its_price():
    rows = table([1, 0.97, 0.94], noise=0.06, seeds=5)
    rows["stderr"] = 0.03
    found = judge(claim(), rows, seconds={"networks": 90, "theory": 1})
    assert found.verdict == "inconclusive"
    side = found.networks
    assert sum(side["budget"].values()) == pytest.approx(1, abs=0.01)
    assert side["budget"]["networks a data set"] > 0.05
    assert side["needed"] > 5
    assert side["minutes"] == pytest.approx((side["needed"] - 5) * 1.5)
    assert f"{side['needed']} data sets in all ({side['minutes']:g} min more on a core)" in found.note


def test_so_many_data_sets_do_decide():
    """The price is no guess: drawn so many, the claim is decided more often than not."""
    scatter = np.array([-1.2, -0.4, 0.4, 1.2])  # of unit variance
    base = table([1, 0.95], seeds=4)
    base.loc[base["elastic_coupling"] == 1, "value"] += 0.05 * np.sqrt(2 / 1.6 * 3 / 4) * scatter
    needed = judge(claim(), base).networks["needed"]
    assert needed > 4
    decided = []
    for start in range(40):
        rows = table([1, 0.95], seeds=2 * needed)
        rows["value"] += 0.05 * np.random.default_rng(start).standard_normal(len(rows))
        decided.append(judge(claim(), rows).verdict == "reproduced")
    assert np.mean(decided) > 0.6


def test_a_value_on_its_bound_is_said_to_be():
    rows = table([1.0, 1.0], noise=0.0)
    rows["value"] += np.where(rows["seed"] % 2, 0.05, -0.05) * rows["elastic_coupling"]
    found = judge(claim(), rows)
    assert found.verdict == "inconclusive"
    assert "the value lies on the bound" in found.note
    assert found.networks["needed"] is None


def test_many_data_sets_are_no_reason_to_say_that_more_would_not_tell():
    values = np.random.default_rng(5).standard_normal((1500, 1))
    values += 0.045 - values.mean()
    arguments = {"metric": "regret", "where": {"kind": "theory"}}
    one = claim(statistic="mean_value", arguments=arguments, expect={"above": 0})
    found = judge(one, deviations(values, "regret"))
    assert found.verdict == "inconclusive"
    assert 1500 < found.theory["needed"] < 6000
    values += 0.002 - values.mean()
    found = judge(one, deviations(values, "regret"))
    assert "on the bound: 6000 data sets would not decide it" in found.note


def test_together_verdicts_have_to_be_surer():
    """Holm: the k-th surest of m against 5 %/(m − k)."""
    base = judge(claim(), table([1, 0.8, 0.6], noise=0.01))
    ps = [0.04, 0.001, 0.02, 0.012]
    verdicts = [dataclasses.replace(base, id=f"T{i}", p=p) for i, p in enumerate(ps)]
    other = dataclasses.replace(base, id="S1", paper="S", p=0.04)
    unsure = dataclasses.replace(base, id="T9", verdict="inconclusive", p=None)
    assert [v.stands for v in together([*verdicts, other])] == [True, True, True, True, True]
    found = [v.stands for v in together([*verdicts, unsure, other])]
    assert found == [False, True, False, True, None, True]
    text = as_text([*verdicts, unsure, other])
    assert "of 5 intervals at 95 % about 0.2 miss by chance; of 4 definite verdicts 2 stand together" in text
    assert "†" in as_markdown([*verdicts, unsure])


def test_p_is_the_level_at_which_the_verdict_ends():
    rows = table([1, 0.96], noise=0.03, seeds=8)
    found = judge(claim(), rows)
    assert found.verdict == "reproduced"
    estimate = largest_step(rows, "test_loss", "elastic_coupling", {})
    assert estimate.interval(1 - found.p)[1] == pytest.approx(0, abs=1e-6)


def test_committed_default_and_study_do_not_contradict_each_other(root):
    verdicts = {}
    for preset in ("default", "study"):
        entries = json.loads((root / f"results/reference/{preset}/claims.json").read_text(encoding="utf-8"))
        verdicts[preset] = {entry["id"]: entry["verdict"] for entry in entries}
    both = set(verdicts["default"]) & set(verdicts["study"])
    definite = {"reproduced", "not reproduced"}
    assert not [name for name in both if {verdicts[preset][name] for preset in verdicts} == definite]


def deviations(values, metric="gain_deviation"):
    return make_table(
        {"experiment": "e", "kind": "theory", "condition": "transfer", "seed": seed, "elastic_coupling": place,
         "metric": metric, "value": value, "stderr": 0.0, "status": "converged"}
        for seed, row in enumerate(values) for place, value in enumerate(row)
    )  # fmt: skip


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_spread_is_the_standard_deviation_over_all_rows(scale):
    values = scale * np.random.default_rng(0).standard_normal((300, 3)) + 0.3
    found = STATISTICS["spread"](deviations(values), metric="gain_deviation", where={"kind": "theory"})
    assert found.value == pytest.approx(values.std())
    low, high = found.interval()
    assert low < scale < high
    assert high - low < 0.2 * scale


def test_a_share_is_of_zeros_and_ones_alone():
    wrong = np.array([[0], [1], [0], [0]], float)
    found = STATISTICS["share"](deviations(wrong, "wrong"), metric="wrong", where={})
    assert (found.hits, found.seeds) == (1, 4)
    with pytest.raises(InputError, match="expected 0 or 1"):
        STATISTICS["share"](deviations(wrong / 2, "wrong"), metric="wrong", where={})


def test_a_difference_is_paired():
    values = np.random.default_rng(1).uniform(size=(20, 1)) + np.array([0.0, 0.1])
    where = {"at": {"elastic_coupling": 1}, "versus": {"elastic_coupling": 0}}
    found = STATISTICS["difference"](deviations(values, "regret"), metric="regret", **where)
    assert found.value == pytest.approx(0.1)
    assert found.interval() == pytest.approx((0.1, 0.1))
    mean = STATISTICS["mean_value"](deviations(values, "regret"), metric="regret", where={"elastic_coupling": 0})
    assert mean.value == pytest.approx(values[:, 0].mean())


def controlled(draws, luck=1.0):
    """A metric off by 2 % and by what another metric of mean 0 says, at two points of an axis, over data sets."""
    truth, noise = draws.uniform(0.5, 1.5, (60, 1)), draws.standard_normal((60, 3))
    owed = 0.5 * noise[:, :1]
    found = 1.02 * truth + luck * owed + 0.02 * noise[:, 1:]
    parts = [deviations(found, "predicted_loss"), deviations(np.repeat(truth, 2, 1), "test_loss")]
    return pd.concat([*parts, deviations(owed, "held_out_luck").assign(elastic_coupling=np.nan)], ignore_index=True)


PREDICTED = {"metric": "test_loss", "along": "elastic_coupling", "at": {"metric": "predicted_loss"},
             "versus": {"metric": "test_loss"}}  # fmt: skip


def test_a_control_variate_takes_off_what_a_change_owes_to_it():
    rows = controlled(np.random.default_rng(2))
    plain, found = (largest_change(rows, **PREDICTED, **more) for more in ({}, {"control": "held_out_luck"}))
    assert found.value == pytest.approx(0.02, abs=0.006)
    assert np.ptp(found.interval()) < np.ptp(plain.interval()) / 8
    few = rows[rows["seed"] < 10]
    assert largest_change(few, **PREDICTED, control="held_out_luck").value == largest_change(few, **PREDICTED).value


@pytest.mark.parametrize("luck", [1.0, 0.0])
def test_intervals_with_a_control_variate_hold_the_truth(luck):
    """Whether changes owe anything to it or not."""
    draws = np.random.default_rng(3)
    tables = (controlled(draws, luck) for _ in range(150))
    ends = np.array([largest_change(rows, **PREDICTED, control="held_out_luck").interval() for rows in tables])
    assert ((ends[:, 0] < 0.02) & (ends[:, 1] > 0.02)).mean() > 0.91  # 3 standard errors below 95 %


def test_what_a_prediction_says_of_its_own_error_is_no_sampling_error():
    rows = controlled(np.random.default_rng(4))
    rows.loc[rows["metric"] == "predicted_loss", "stderr"] = 0.5
    one = claim(statistic="largest_change", arguments={**PREDICTED, "at": {"kind": "theory", **PREDICTED["at"]}},
                expect={"below": 0.021})  # fmt: skip
    assert judge(one, rows).theory["budget"] == {"data sets": 1.0}


def test_what_is_missing_is_priced_in_data_sets_to_draw():
    """Of those to come as many count as of those there are: here a claim is about each fourth alone."""
    values = np.zeros((40, 1))
    rows = deviations(values, "wrong")
    others = deviations(np.ones((120, 1)), "regret")
    rows = pd.concat([rows, others.assign(seed=others["seed"] + 40)], ignore_index=True)
    one = claim(statistic="share", arguments={"metric": "wrong", "where": {"kind": "theory"}}, expect={"below": 0.025})
    found = judge(one, rows, seconds={"theory": 6.0}).theory
    alone = judge(one, rows[rows["seed"] < 40], seconds={"theory": 6.0}).theory
    assert found["needed"] == pytest.approx(4 * alone["needed"], abs=4)
    assert found["needed_stderr"] == alone["needed_stderr"]
    assert found["minutes"] == pytest.approx((found["needed"] - 160) / 10, abs=0.06)
