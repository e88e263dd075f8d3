"""Networks of several widths taken to infinite width, on tables whose answer is known."""

import numpy as np
import pytest

from infwidth.analysis.claim_statistics import change_of_effect, share_of_change
from infwidth.analysis.extrapolation import infinite_width
from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError


def rows(slope=5.0, off=0.0, noise=0.0, widths=(100, 200, 400), seeds=4):
    random = np.random.default_rng(0)
    table = []
    for seed in range(seeds):
        for time, level in ((0.0, 1.0), (10.0, 0.5)):
            shared = {"experiment": "x", "dataset": "d", "condition": "transfer", "elastic_coupling": 1.0, "time": time}
            shared |= {"seed": seed, "metric": "test_loss", "status": "converged", "stderr": 0.01}
            level += 0.1 * seed
            table.append({**shared, "kind": "theory", "width": np.inf, "value": level})
            for width in widths:
                value = level + off + slope / width + noise * random.standard_normal() / np.sqrt(width)
                table.append({**shared, "kind": "network", "width": width, "value": value})
    return make_table(table)


def test_a_line_in_one_over_n_is_taken_to_its_end():
    networks = select(infinite_width(rows()), kind="network")
    theory = select(rows(), kind="theory")
    assert (networks["width"] == np.inf).all()
    np.testing.assert_allclose(np.sort(networks["value"]), np.sort(theory["value"]), rtol=1e-12)


def test_one_width_and_theory_stay_as_they_are():
    table = rows(widths=(100,))
    assert infinite_width(table).equals(table)


def test_the_error_of_the_extrapolation_matches_its_scatter():
    table = rows(noise=1.0, seeds=400)
    table["stderr"] = 1 / np.sqrt(table["width"])
    found = select(infinite_width(table), kind="network", time=0)
    exact = select(table, kind="theory", time=0)
    scatter = (found["value"].to_numpy() - exact["value"].to_numpy()).std()
    assert found["stderr"].mean() == pytest.approx(scatter, rel=0.1)


def test_the_worst_status_of_the_widths_stays():
    table = rows()
    table.loc[(table["width"] == 200) & (table["seed"] == 2), "status"] = "diverged"
    found = select(infinite_width(table), kind="network")
    assert set(found.loc[found["status"] == "diverged", "seed"]) == {2}


def test_change_of_effect_and_share_of_change():
    table = rows()
    first = [{"kind": "theory", "time": 10}, {"kind": "theory", "time": 0}]
    assert change_of_effect(table, "test_loss", first, first).value == 0
    values = {t: select(table, kind="theory", time=t)["value"].mean() for t in (0, 10)}
    flat = [first[1], first[1]]
    assert change_of_effect(table, "test_loss", first, flat).value == pytest.approx(values[10] / values[0] - 1)
    assert share_of_change(table, "test_loss", first[0], first[0], first[1], rises=False).value == 1
    with pytest.raises(InputError, match="expected a change upwards"):
        share_of_change(table, "test_loss", first[0], first[0], first[1], rises=True)
