"""Claims that something falls or rises at all: what is surely too small to count is no such effect."""

import numpy as np
import pandas as pd
import pytest
from claim_builders import claim, table

from infwidth.analysis.claim_statistics import relative_change
from infwidth.analysis.claim_table import as_text
from infwidth.analysis.claims import judge, judge_all
from infwidth.analysis.decision import data_sets_needed
from infwidth.numerics.checks import InputError


def change(**columns):
    points = ({"condition": "transfer", "elastic_coupling": place, **columns} for place in (1, 0))
    return {"metric": "test_loss"} | dict(zip(("at", "versus"), points, strict=True))


OF_THEORY = change(kind="theory")


def falls(**changes):
    told = {"statistic": "relative_change", "arguments": OF_THEORY, "expect": {"below": 0}, "smallest_effect": 0.01}
    return claim(**(told | changes))


def paired(size, scatter, seeds, rng):
    """Losses of data sets that differ by far more than what is compared on each."""
    levels = np.exp(0.5 * rng.standard_normal(seeds))
    after = levels * (1 + size + scatter * rng.standard_normal(seeds))
    columns = {"experiment": "e", "condition": "transfer", "kind": "theory", "metric": "test_loss", "stderr": 0.0}
    both = [
        pd.DataFrame({"seed": range(seeds), "elastic_coupling": float(place), "value": values})
        for place, values in enumerate((levels, after))
    ]
    rows = pd.concat(both, ignore_index=True).assign(status="converged", **columns)
    return pd.concat([table([1.0])[:0], rows], ignore_index=True)


@pytest.mark.parametrize(
    ("size", "verdict", "opposite"),
    [
        (-0.03, "reproduced", "not reproduced"),
        (-0.005, "reproduced", "not reproduced"),  # surely not 0, however small
        (0.0005, "no such effect", "no such effect"),
        (0.03, "not reproduced", "reproduced"),
    ],
)
def test_on_both_sides_of_either_bound(size, verdict, opposite):
    rows = paired(size, 0.005, 64, np.random.default_rng(1))
    assert judge(falls(), rows).verdict == verdict
    assert judge(falls(expect={"above": 0}), rows).verdict == opposite


def test_without_a_smallest_effect_the_bound_alone_decides():
    rows = paired(0.0005, 0.005, 64, np.random.default_rng(1))
    assert judge(falls(smallest_effect=None), rows).verdict == "inconclusive"
    found = judge(falls(), rows)
    assert found.note == "an effect of 0.01 or more is excluded"
    assert 0 < found.p < 0.05
    assert "1 no such effect" in as_text([found])


def test_wide_intervals_still_say_nothing_but_what_would():
    rows = paired(0.0, 0.03, 12, np.random.default_rng(2))
    found = judge(falls(), rows)
    assert found.verdict == "inconclusive"
    number = relative_change(rows, **OF_THEORY)
    needed = data_sets_needed(falls(), number)
    assert f"{needed} data sets in all" in found.note
    assert needed < (data_sets_needed(falls(smallest_effect=None), number) or np.inf)


@pytest.mark.parametrize("seeds", [4, 10, 30])
@pytest.mark.parametrize("size", [0.0, -0.01])
def test_wrong_definite_verdicts_are_rare(seeds, size):
    """Of no effect none is found, either way, and one that counts is not denied, in all but 5 %."""
    rng = np.random.default_rng(seeds)
    wrong = {"reproduced", "not reproduced"} if size == 0 else {"no such effect", "not reproduced"}
    draws = 400
    found = [judge(falls(), paired(size, 0.01, seeds, rng)).verdict for _ in range(draws)]
    assert sum(verdict in wrong for verdict in found) <= 0.05 * draws + 3 * np.sqrt(0.05 * 0.95 * draws)


def test_the_theory_says_on_which_side_networks_cannot_tell():
    rng = np.random.default_rng(3)
    networks = paired(0.0005, 0.004, 64, rng)
    widths = [networks.assign(kind="network", width=float(width)) for width in (1, 2, 4)]
    rows = pd.concat([paired(-0.004, 0.001, 64, rng), *widths], ignore_index=True)
    where = {"metric": "test_loss", "where": {"condition": "transfer"}}
    agrees = claim(id="T1", statistic="disagreement", arguments=where, expect={"below": 9})
    licensed = judge_all([agrees, falls(arguments=change())], rows)[1]
    assert licensed.networks["verdict"] == "no such effect"
    assert (licensed.verdict, licensed.decided_by) == ("reproduced", "theory")
    alone = judge(falls(arguments=change()), rows)
    assert (alone.verdict, alone.decided_by) == ("no such effect", "networks")
    assert alone.note.endswith("theory: reproduced")


@pytest.mark.parametrize("size", [0, -0.01, float("nan"), float("inf"), "1 %", True])
def test_sizes_that_are_none(size):
    with pytest.raises(InputError, match=r"smallest_effect = .*: expected a finite number > 0; change or drop it"):
        falls(smallest_effect=size)


def test_two_bounds_have_their_own_tolerance():
    with pytest.raises(InputError, match=r"smallest_effect = 0\.01: expected with one bound"):
        falls(expect={"above": -0.1, "below": 0.1})
