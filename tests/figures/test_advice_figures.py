"""Figures of advice beside the truth."""

import math

import numpy as np
import pandas as pd
import pytest

from infwidth.figures import advice_calibration, real_transfer
from infwidth.io.tables import make_table

RANDOM = np.random.default_rng(0)


def calibration(experiment="one", tasks=40, lost=()):
    rows = []
    for seed in range(tasks):
        common = {"experiment": experiment, "kind": "theory", "dataset": "linear teachers, noise 0", "seed": seed,
                  "n_target": float(10 + seed), "stderr": 0.0, "status": "converged"}  # fmt: skip
        for coupling in (0.0, 1.0, math.inf):
            true, value = RANDOM.uniform(0.5, 2), math.nan if seed in lost else RANDOM.uniform(0.5, 2)
            at = common | {"elastic_coupling": coupling}
            rows += [at | {"metric": "predicted_loss", "value": value}, at | {"metric": "test_loss", "value": true}]
            rows += [at | {"metric": "gain_deviation", "value": RANDOM.standard_normal()}] * (coupling > 0)
        rows += [common | {"metric": name, "value": float(seed % 2)} for name in ("definite", "wrong")]
    return make_table(rows)


@pytest.mark.parametrize("lost", [(), (0, 3)])
def test_ratios_are_of_means_of_tasks_that_have_both(lost):
    table = calibration(lost=lost)
    figure, shown = advice_calibration.draw(table)
    assert len(figure.axes) == 3
    assert shown["tasks"].sum() == 3 * (40 - len(lost))
    first = shown[shown["elastic_coupling"] == 0].iloc[0]
    some = table[(table["elastic_coupling"] == 0) & ~table["seed"].isin(lost)].sort_values("n_target")
    means = some.groupby("metric")["value"].apply(lambda values: values.iloc[: int(first["tasks"])].mean())
    assert first["predicted_over_true"] == pytest.approx(means["predicted_loss"] / means["test_loss"])


def test_ratios_are_freed_of_what_they_owe_to_luck():
    """Where it is all that puts predictions off, they are the truth."""
    rows = calibration()
    luck = RANDOM.standard_normal(40)
    told = rows[rows["metric"] == "wrong"].assign(metric="held_out_luck", value=luck)
    true = rows[rows["metric"] == "test_loss"].assign(value=1.0)
    predicted = true.assign(metric="predicted_loss", value=1 + 0.3 * luck[true["seed"]])
    rest = rows[~rows["metric"].isin(["test_loss", "predicted_loss"])]
    _, shown = advice_calibration.draw(pd.concat([rest, true, predicted, told], ignore_index=True))
    np.testing.assert_allclose(shown["predicted_over_true"], 1.0, atol=1e-9)
    np.testing.assert_allclose(shown["stderr"], 0.0, atol=1e-9)


def test_experiments_have_rows_of_their_own():
    figure, shown = advice_calibration.draw(pd.concat([calibration(), calibration("two", tasks=12)]))
    assert len(figure.axes) == 6
    assert set(shown["experiment"]) == {"one", "two"}


@pytest.mark.parametrize("ways", [["advise", "fixed"], [name for name in real_transfer.NAMES if name != "theory"]])
def test_ways_to_choose_stand_in_one_order_with_their_intervals(ways):
    rows = [
        {"experiment": name, "kind": "network", "dataset": f"digits: {pair}", "condition": way, "metric": metric,
         "width": 8.0, "seed": seed, "value": RANDOM.uniform(), "stderr": 0.0, "status": "converged"}
        for name in ("real", "wide") for pair in "ab" for seed in range(3) for way in ways
        for metric, *_ in real_transfer.LOOKS
    ]  # fmt: skip
    figure, shown = real_transfer.draw(make_table(rows))
    assert [axes.get_xlabel() for axes in figure.axes] == [label for _, label, _ in real_transfer.LOOKS]
    for _, part in shown.groupby(["metric", "experiment"]):
        assert list(part["condition"]) == [name for name in real_transfer.NAMES if name in ways]
        assert (part["count"] == 3).all()
    np.testing.assert_allclose(shown["half"] / shown["stderr"], 4.3027, rtol=1e-4)  # Student's, of 2 degrees


def test_a_data_set_counts_as_one_and_the_theory_s_verdict_stands_apart():
    common = {"experiment": "real", "metric": "regret", "condition": "advise", "stderr": 0.0, "status": "converged"}
    rows = [
        common | {"kind": kind, "dataset": f"wine: {source} → {target}", "seed": seed, "width": 8.0, "value": value}
        for kind, value in (("network", 1.0), ("theory", 0.25))
        for source, target in ("ab", "cb", "ba", "ca")
        for seed in range(2)
    ]
    others = [
        {**row, "metric": metric, "kind": "network"} for metric, *_ in real_transfer.LOOKS[1:] for row in rows[:8]
    ]
    _, shown = real_transfer.draw(make_table(rows + others))
    regret = shown[shown["metric"] == "regret"].set_index("condition")
    assert list(regret.index) == ["advise", "theory"]
    assert list(regret["mean"]) == [1.0, 0.25]
    assert list(regret["count"]) == [2, 2]
