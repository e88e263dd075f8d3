"""The study of shifts: rows, what each arm is, and networks on the theory's side of it."""

import math

import numpy as np
import pytest

from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies import distribution_shift
from infwidth.studies.distribution_shift import FLAT, run, shifts
from infwidth.studies.populations import population
from infwidth.tasks.spectra import power_law
from infwidth.theory import averaged, bayes

SMALL = {"dimension": 6, "n_source": 8, "n_target": 4, "overlaps": [0.8, 0.2], "elastic_couplings": [0, 5], "width": 0}
SMALL |= {"source_noise": [0.5], "target_noise": [1], "exponent": 2}


def table(seed=3, **settings):
    return make_table({"experiment": "e", "seed": 0, **row} for row in run(seed=seed, **(SMALL | settings)))


def test_rows():
    found = table(width=40, burn_in_time=2.0, sampling_time=4.0)
    arms = 2 + 4 + 1 + 1
    assert len(found) == arms * 2 * 4
    assert not found.duplicated([name for name in found if name not in ("value", "stderr", "status")]).any()
    assert set(found.loc[found["kind"] == "network", "metric"]) == {"test_loss"}
    assert len(table()) == arms * 2 * 3
    assert (select(found, metric="averaged_test_loss")["dimension"] == math.inf).all()


def test_the_theorys_numbers_are_those_of_the_shifted_population():
    found = table(inverse_temperature=7.0)
    steep, turned = {"exponent": 2.0}, {"exponent": 2.0, "rotated": True}
    for words, changes in {
        "spectrum k^−2 → k^−2 rotated": {"spectra": (steep, turned)},
        "spectrum k^−2 → k^−2": {"spectra": (steep, None)},
        "spectrum k^−2 → flat": {"spectra": (steep, {"exponent": 0})},
        "spectrum flat → k^−2": {"spectra": (None, steep)},
        "source label noise 0.5": {"noises": (0.5, 0.0)},
        "target label noise 1": {"noises": (0.0, 1.0)},
    }.items():
        expected = bayes.solve(
            population(6, 0.8, (8, 4), 3, **changes), activation="linear", source_strength=4 / 6**0.5,
            target_strength=3 / 6**0.5, elastic_coupling=5.0, inverse_temperature=7.0,
        )  # fmt: skip
        rows = select(found, dataset=words, elastic_coupling=5).set_index("metric")["value"]
        assert rows["test_loss"] == pytest.approx(expected.test_loss)
        parts = expected.finite_width
        assert rows["test_loss_deviation"] == pytest.approx(parts.mean + parts.source)


def test_the_average_is_that_of_the_shifted_problem_without_the_noise_of_test_labels():
    found = select(table(), metric="averaged_test_loss", elastic_coupling=5)
    settings = {"source_ratio": 8 / 6, "target_ratio": 4 / 6, "source_richness": 4, "target_richness": 3}
    settings |= {"overlap": 0.8, "elastic_coupling": 5, "inverse_temperature": 20}
    spectra = {"source_spectrum": power_law(6, 2), "target_spectrum": power_law(6, 2)}
    turned = averaged.solve(**settings, **spectra, rotated=True).test_loss
    noisy = averaged.solve(**settings, target_noise=1).test_loss - 1
    assert select(found, dataset="spectrum k^−2 → k^−2 rotated")["value"].item() == pytest.approx(turned)
    assert select(found, dataset="target label noise 1")["value"].item() == pytest.approx(noisy)


def test_each_shift_is_by_itself():
    arms = shifts([0.8, 0.2], 2, [0.5], [1])
    assert [arm.overlap for arm in arms if arm.words == FLAT] == [0.8, 0.2]
    assert all(arm.overlap == 0.8 for arm in arms if arm.words != FLAT)
    assert all((arm.spectra != (None, None)) + (arm.noises != (0, 0)) == 1 for arm in arms if arm.words != FLAT)


def test_networks_lie_on_the_theory_under_every_shift():
    found = make_table(
        {"experiment": "e", "seed": seed, **row}
        for seed in range(5)
        for row in run(seed=seed, **(SMALL | {"width": 200, "elastic_couplings": [0, 5]}))
    )
    found = found[found["status"] == "converged"]
    values = found.pivot_table(index=["dataset", "overlap", "elastic_coupling", "seed"], columns=["kind", "metric"],
                               values="value")  # fmt: skip
    predicted = values["theory", "test_loss"] + values["theory", "test_loss_deviation"] / 200
    groups = (values["network", "test_loss"] / predicted - 1).groupby(["dataset", "overlap", "elastic_coupling"])
    mean, error = groups.mean(), groups.std(ddof=1) / np.sqrt(groups.size())
    assert len(mean) == 16
    assert (mean.abs() < 4 * error + 0.02).all()
    assert error.median() < 0.1


@pytest.mark.parametrize("changes", [{"width": -1}, {"exponent": 11}, {"overlaps": [2.0]}, {"source_noise": [-1.0]}])
def test_bad_settings_are_named(changes):
    with pytest.raises(InputError, match="expected"):
        table(**changes)


def test_seeds_draw_other_data():
    one, other = table(), table(seed=4)
    same = select(one, metric="averaged_test_loss")["value"].to_numpy()
    assert np.array_equal(same, select(other, metric="averaged_test_loss")["value"])
    assert not np.isclose(select(one, metric="test_loss")["value"], select(other, metric="test_loss")["value"]).any()
    assert distribution_shift.FLAT in set(one["dataset"])
