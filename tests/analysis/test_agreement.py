"""Networks against theory: each width in its place, noise taken off, every data set where it can be."""

import numpy as np
import pandas as pd
import pytest

from infwidth.analysis.agreement import disagreement
from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError


def rows(slope=0.0, off=0.0, noise=0.0, widths=(400,), seeds=6, times=8, shared=0.1, deviation=None):
    """Theory that differs between data sets by ``shared``; networks off it by ``off`` + ``slope``/N + noise."""
    random = np.random.default_rng(0)
    table = []
    for seed in range(seeds):
        level = 1 + shared * random.standard_normal()
        for time in range(times):
            point = {"experiment": "x", "dataset": "d", "condition": "transfer", "time": float(time), "seed": seed,
                     "metric": "test_loss", "status": "converged", "stderr": 0.0}  # fmt: skip
            theory = level / (1 + time)
            table.append({**point, "kind": "theory", "width": np.inf, "value": theory})
            if deviation is not None:
                named = {"kind": "theory", "width": np.inf, "metric": "test_loss_deviation"}
                table.append({**point, **named, "value": deviation * theory})
            for width in widths:
                value = theory * (1 + off + slope / width + noise * random.standard_normal())
                table.append({**point, "kind": "network", "width": width, "value": value, "stderr": noise * theory})
    return make_table(table)


def test_it_is_the_rms_of_relative_differences_over_points():
    table = rows(off=0.1, times=2)
    table.loc[(table["kind"] == "network") & (table["time"] == 1), "value"] *= 0.8 / 1.1
    assert disagreement(table, "test_loss", {}).value == pytest.approx(np.sqrt((0.1**2 + 0.2**2) / 2))
    found = disagreement(table, "test_loss", {}, relative_to="start").value
    assert found == pytest.approx(np.sqrt((0.1**2 + 0.1**2) / 2))
    for kind in ("theory", "network"):
        with pytest.raises(InputError, match=f"no {'network' if kind == 'theory' else 'theory'} rows"):
            disagreement(select(table, kind=kind), "test_loss", {})


def test_noise_is_no_disagreement():
    """The rms of means over 6 data sets that scatter by 10 % is 4 %; without its bias it is about 0."""
    found = disagreement(rows(noise=0.1, times=400, seeds=6), "test_loss", {})
    assert abs(found.square) < 0.02**2
    lower, upper = disagreement(rows(noise=0.1, times=40), "test_loss", {}).interval()
    assert lower < 0.01 < upper < 0.06


def test_scatter_between_data_sets_that_both_sides_share_drops_out():
    assert disagreement(rows(off=0.02, shared=0.5), "test_loss", {}).interval() == pytest.approx((0.02, 0.02))


def test_three_widths_are_extrapolated_and_fewer_say_nothing_against_the_theory():
    found = disagreement(rows(slope=40, widths=(100, 200, 400)), "test_loss", {})
    assert found.value == pytest.approx(0, abs=1e-9)
    assert found.fails
    assert "100, 200, 400 extrapolated" in found.note
    found = disagreement(rows(slope=40, widths=(200, 400)), "test_loss", {})
    assert found.value == pytest.approx(0.1)
    assert not found.fails
    assert found.note == "N = 400 itself"


def test_a_predicted_deviation_puts_networks_at_their_own_width():
    found = disagreement(rows(slope=40, deviation=40, widths=(200, 400)), "test_loss", {})
    assert found.value == pytest.approx(0, abs=1e-9)
    assert found.fails
    wrong = disagreement(rows(slope=40, deviation=-40, widths=(400,)), "test_loss", {})
    assert wrong.value == pytest.approx(0.2 / 0.9, rel=1e-6)
    table = rows(slope=40, deviation=40, widths=(200, 400))
    missing = table[(table["metric"] == "test_loss") | (table["time"] > 0)]
    assert not disagreement(missing, "test_loss", {}).fails


def test_a_width_that_is_named_is_the_networks():
    table = rows(slope=40, deviation=40, widths=(200, 400))
    table.loc[table["width"] == 200, "value"] *= 1.1
    found = disagreement(table, "test_loss", {"width": 200})
    assert found.value == pytest.approx(0.1)
    assert found.note == "N = 200 with its predicted deviation"
    assert disagreement(table, "test_loss", {"width": 400}).value == pytest.approx(0, abs=1e-9)
    with pytest.raises(InputError, match="no network rows for metric = test_loss, width = 300"):
        disagreement(table, "test_loss", {"width": 300})


@pytest.mark.parametrize("kind", ["theory", "network"])
def test_a_failed_solver_takes_its_points_away_and_no_others(kind):
    table = rows(off=0.03, times=4)
    bad = (table["seed"] == 2) & (table["time"] == 1) & (table["kind"] == kind)
    table.loc[bad, ["value", "status"]] = 50.0, "diverged"
    found = disagreement(table, "test_loss", {})
    assert found.value == pytest.approx(0.03)
    assert (found.seeds, found.left_out) == (6, (2,))
    assert found.differences.isna().sum().sum() == 1


def test_a_theory_that_falls_to_zero_needs_another_scale():
    table = rows()
    table.loc[(table["time"] == 3) & (table["kind"] == "theory"), "value"] = 0.0
    with pytest.raises(InputError, match="relative_to: start"):
        disagreement(table, "test_loss", {})
    assert disagreement(table, "test_loss", {}, relative_to="start").value > 0


def test_sampling_takes_its_share_of_the_variance():
    table = rows(noise=0.05, times=100)
    assert disagreement(table, "test_loss", {}).sampling_shares()["network"] == pytest.approx(1, abs=0.15)
    quiet = table.assign(stderr=table["stderr"] / 2)
    assert disagreement(quiet, "test_loss", {}).sampling_shares()["network"] == pytest.approx(0.25, abs=0.05)


def test_several_experiments_data_sets_need_not_be_the_same():
    table = rows()
    only_theory = select(table, kind="theory").assign(seed=lambda rows: rows["seed"] + 100)
    found = disagreement(pd.concat([table, only_theory], ignore_index=True), "test_loss", {})
    assert found.seeds == 6
