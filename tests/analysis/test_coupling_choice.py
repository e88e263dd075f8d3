"""Choosing δ: by hand-made tables."""

import math

import pytest

from infwidth.analysis.claim_statistics import choice_excess
from infwidth.analysis.coupling_choice import choices
from infwidth.io.tables import make_table
from infwidth.numerics.checks import InputError

# δ → test loss, leave-one-out, log evidence; the best is 10, leave-one-out picks it, the evidence picks 0
CURVE = {0.0: (1.0, 1.1, -1.0), 10.0: (0.8, 0.9, -2.0), math.inf: (0.9, 1.0, -3.0)}


def table(curves, **columns):
    fixed = {"experiment": "e", "kind": "theory", "dataset": "d", "condition": "transfer", "width": math.inf,
             "status": "converged", **columns}  # fmt: skip
    names = ("test_loss", "leave_one_out", "log_evidence_density")
    return make_table(
        fixed | {"seed": seed, "elastic_coupling": coupling, "metric": metric, "value": value}
        for seed, curve in enumerate(curves)
        for coupling, values in curve.items()
        for metric, value in zip(names, values, strict=True)
    )


def test_choices_and_their_cost():
    found = choices(table([CURVE, CURVE])).set_index(["seed", "criterion"])
    assert len(found) == 4
    good, poor = found.loc[0, "leave_one_out"], found.loc[1, "log_evidence_density"]
    assert (good["chosen"], good["best"], good["hit"], good["excess"]) == (10, 10, True, 0)
    assert good["gain"] == pytest.approx(0.2)
    assert (poor["chosen"], poor["best"], poor["hit"]) == (0, 10, False)
    assert poor["excess"] == pytest.approx(0.25)
    assert choice_excess(table([CURVE]), "log_evidence_density").value == pytest.approx(0.25)
    assert choice_excess(table([CURVE]), "leave_one_out", "log_evidence_density").value == pytest.approx(-0.25)


def test_a_task_without_all_answers_is_left_out():
    hole = CURVE | {10.0: (math.nan, math.nan, math.nan)}
    assert set(choices(table([hole, CURVE]))["seed"]) == {1}
    with pytest.raises(InputError, match="no task with an answer"):
        choice_excess(table([hole]), "leave_one_out")


def test_a_table_without_criteria_is_refused():
    rows = table([CURVE])
    with pytest.raises(InputError, match=r"log_evidence_density.*expected them for every δ"):
        choices(rows[rows["metric"] != "log_evidence_density"])
