"""Theory and networks are asked apart: which of them decides, and when the theory may."""

import numpy as np
import pandas as pd
import pytest
from claim_builders import claim, table

from infwidth.analysis.claim_table import as_text
from infwidth.analysis.claims import judge, judge_all, together


def phenomenon(network, theory, *, noise=0.01, seeds=6, off=0.0):
    """Theory and networks on curves over δ; networks are noisier and off by a share."""
    scattered = {"noise": noise, "seeds": seeds}
    widths = [table([(1 + off) * y for y in network], width=float(width), **scattered) for width in (1, 2, 4)]
    return pd.concat([table(theory, kind="theory", width=np.inf, noise=0.001, seeds=seeds), *widths], ignore_index=True)


def agreement(**changes):
    arguments = {"metric": "test_loss", "where": {"condition": "transfer"}}
    return claim(id="T1", statistic="disagreement", arguments=arguments, expect={"below": 0.1}, **changes)


FALLS = {"metric": "test_loss", "along": "elastic_coupling", "where": {"condition": "transfer"}}


def test_theory_and_networks_are_asked_apart():
    falls = claim(arguments=FALLS)
    verdict = judge(falls, phenomenon([1, 0.8, 0.6], [1, 0.9, 0.95]))
    assert verdict.networks["verdict"] == verdict.verdict == "reproduced"
    assert verdict.theory["verdict"] == "not reproduced"
    assert verdict.decided_by == "networks"
    assert "theory: not reproduced" in verdict.note


def test_where_networks_cannot_tell_the_theory_decides_if_it_is_licensed():
    rows = phenomenon([1, 0.99, 0.98], [1, 0.99, 0.98], noise=0.03)
    first, falls = judge_all([agreement(), claim(arguments=FALLS)], rows)
    assert first.verdict == "reproduced"
    assert falls.networks["verdict"] == "inconclusive"
    assert (falls.verdict, falls.decided_by, falls.licence) == ("reproduced", "theory", "T1")
    assert "decided by the theory, as T1 is reproduced" in falls.note
    # its place in the file does not matter
    assert judge_all([claim(arguments=FALLS), agreement()], rows)[0].verdict == "reproduced"


@pytest.mark.parametrize(
    "agreeing",
    [
        [],
        [{"where": {"condition": "scratch"}, "metric": "test_loss"}],
        [{"where": {}, "metric": "train_loss"}],
        [{"where": {"condition": "transfer", "overlap": 0.9}, "metric": "test_loss"}],
    ],
)
def test_no_licence_without_agreement_on_all_that_is_claimed(agreeing):
    rows = phenomenon([1, 0.99, 0.98], [1, 0.99, 0.98], noise=0.03)
    licences = [claim(id="T1", statistic="disagreement", arguments=one, expect={"below": 9}) for one in agreeing]
    rows = pd.concat(
        [rows, rows.assign(condition="scratch"), rows.assign(metric="train_loss"), rows.assign(overlap=0.9)]
    )
    where = FALLS | {"where": {"condition": "transfer", "overlap": 0.5}}
    falls = judge_all([*licences, claim(arguments=where)], rows)[-1]
    assert falls.verdict == "theory says yes"
    assert (falls.licence, falls.decided_by, falls.p) == ("", "", None)
    assert falls.value == falls.theory["value"] != falls.networks["value"]
    assert falls.note.startswith("networks can't tell: variance")
    assert "theory: reproduced, without a licence" in falls.note
    assert together([falls])[0].stands is None


def test_disagreeing_networks_give_no_licence():
    rows = phenomenon([1, 0.99, 0.98], [1, 0.99, 0.98], noise=0.03, off=0.5)
    first, falls = judge_all([agreement(), claim(arguments=FALLS)], rows)
    assert first.verdict == "not reproduced"
    assert falls.verdict == "inconclusive"
    assert "theory: reproduced, as T1 is not reproduced" in falls.note


def test_what_the_theory_says_by_itself_is_told_as_that():
    """Networks that can't tell or were not run; a theory that can't tell says nothing."""
    rises = phenomenon([1, 0.99, 0.98], [1, 1.01, 1.02], noise=0.03)
    assert judge(claim(arguments=FALLS), rises).verdict == "theory says no"
    alone = rises[rises["kind"] == "theory"]
    assert judge(claim(arguments=FALLS), alone).verdict == "theory says no"
    unsure = phenomenon([1, 0.99, 0.98], [1, 1.0, 1.0], noise=0.03)
    assert judge(claim(arguments=FALLS), unsure).verdict == "inconclusive"
    text = as_text([judge(claim(arguments=FALLS), rises)])
    assert "1 theory says no, 0 inconclusive" in text
