"""Statistics, jackknife, verdicts."""

import numpy as np
import pandas as pd
import pytest

from infwidth.analysis.claim_file import Claim
from infwidth.analysis.claim_statistics import (
    effect_ratio,
    largest_change,
    largest_step,
    power_law,
    relative_change,
    trend_of_change,
)
from infwidth.analysis.claim_table import as_markdown, as_text
from infwidth.analysis.claims import Verdict, judge
from infwidth.analysis.seeds import jackknife, mean_over_seeds, relative_difference
from infwidth.io.tables import make_table
from infwidth.numerics.checks import InputError


def table(curve, *, seeds=6, noise=0.0, kind="network", **columns):
    """A test-loss curve over δ = 0, 1, 2, … at several seeds."""
    scatter = np.random.default_rng(0).standard_normal((seeds, len(curve)))
    return make_table(
        {
            "experiment": "e", "kind": kind, "dataset": "d", "condition": "transfer", "overlap": 0.5, "width": 10.0,
            "elastic_coupling": float(i), "seed": seed, "metric": "test_loss",
            "value": value + noise * scatter[seed, i],
            "stderr": 0.0, "status": "converged", **columns,
        }
        for seed in range(seeds)
        for i, value in enumerate(curve)
    )  # fmt: skip


def both(network, theory, **options):
    return pd.concat([table(network, **options), table(theory, kind="theory")], ignore_index=True)


def claim(**changes):
    base = {
        "id": "T2",
        "paper": "T",
        "statement": "s",
        "figure": "f",
        "experiment": "e",
        "statistic": "largest_step",
        "arguments": {"metric": "test_loss", "along": "elastic_coupling", "where": {}},
        "expect": {"below": 0},
    }
    return Claim(**{**base, **changes})  # fmt: skip


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
