"""Drift from a reference: each kind is found, and named."""

import numpy as np
import pytest

from infwidth.io.atomic import write_arrays
from infwidth.io.tables import make_table, write_table
from infwidth.plan.comparison import compare, compare_arrays, compare_tables


def table(seeds=4):
    rows = [
        {"experiment": "e", "kind": kind, "dataset": "d", "condition": "transfer", "seed": seed, "metric": metric,
         "value": 0.5 + 0.1 * seed, "stderr": 0.02 if kind == "network" else 0.0, "status": "converged"}
        for kind in ("theory", "network")
        for metric in ("train_loss", "test_loss")
        for seed in range(seeds)
    ]  # fmt: skip
    return make_table(rows)


def drift(found, expected=None):
    return list(compare_tables("lin", found, table() if expected is None else expected))


def shifted(kind, amount):
    found = table()
    found.loc[(found["kind"] == kind) & (found["metric"] == "test_loss"), "value"] += amount
    return drift(found)


def test_equal_tables_agree():
    assert drift(table()) == []
    unknown = table()
    unknown.loc[unknown["kind"] == "network", "stderr"] = np.nan  # one network a data set
    unknown.loc[[0, 9], ["value", "status"]] = [np.nan, "diverged"]
    assert drift(unknown, unknown.copy()) == []


def test_times_are_no_drift_but_belong_there():
    found, expected = (table().assign(metric=lambda rows: rows["metric"].replace("test_loss", "seconds")) for _ in "ab")
    found.loc[found["metric"] == "seconds", "value"] *= 3
    assert drift(found, expected) == []
    assert "is missing from the run" in drift(found[found["metric"] != "seconds"], expected)[0]


def test_theory_drift_names_table_row_and_numbers():
    lines = shifted("theory", 1e-4)
    assert len(lines) == 4
    assert "lin" in lines[0]
    assert "seed=0" in lines[0]
    assert "0.5001" in lines[0]
    assert "reference 0.5" in lines[0]
    assert shifted("theory", 1e-9) == []


def test_sampled_drift_is_measured_in_pooled_standard_errors():
    assert shifted("network", 0.05) == []  # 3.5 standard errors of the difference of means
    (line,) = shifted("network", 0.12)
    assert "mean over seeds" in line
    assert "reference 0.65" in line


def test_missing_new_and_changed_rows():
    assert "missing from the run" in drift(table().iloc[1:])[0]
    assert "not in the reference" in drift(table(), table().iloc[1:])[0]


@pytest.mark.parametrize("kind", ["theory", "network"])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("column", "value"), [("value", np.nan), ("value", np.inf), ("value", -np.inf), ("stderr", np.nan),
                          ("stderr", np.inf), ("status", "diverged"), ("status", "stalled")],
)  # fmt: skip
def test_what_is_no_number_and_another_status_are_drift(kind, swapped, column, value):
    some = table()
    one = some.index[some["kind"] == kind][2:3]
    every = some.index[some["kind"] == kind]
    for rows in (one, every):
        found = table()
        found.loc[rows, column] = value
        lines = drift(*((table(), found) if swapped else (found, table())))
        assert len(lines) == len(rows)
        assert "seed=" in lines[0]


@pytest.mark.parametrize("seeds", [4, 8])
def test_a_few_chains_may_mix_on_one_device_only(seeds):
    chains = table(seeds).query("kind == 'network'").index
    for statuses in (("converged", "unmixed"), ("unmixed", "converged")):
        found, expected = table(seeds), table(seeds)
        found.loc[chains, "status"] = expected.loc[chains, "status"] = statuses[1]
        found.loc[chains[: seeds // 2], "status"] = statuses[0]
        assert drift(found, expected) == []
        found.loc[chains[: seeds // 2 + 1], "status"] = statuses[0]
        assert len(drift(found, expected)) == seeds // 2 + 1
        found["time"], expected["time"] = 1.0, 1.0  # no chain
        found.loc[chains[1:], "status"] = statuses[1]
        assert len(drift(found, expected)) == 1


def test_a_population_in_ten_may_mix_on_one_device_only():
    populations = table(20).query("kind == 'theory'").index
    found = table(20)
    found.loc[populations[:4], "status"] = "unmixed"
    assert drift(found, table(20)) == []
    found.loc[populations[:5], "status"] = "unmixed"
    assert len(drift(found, table(20))) == 5


def test_what_a_chain_owes_to_its_source_is_as_large_as_it_scatters():
    """It has mean 0 and no standard error of its own; of a flow it is the same on every device."""

    def owed(scale, seed, time=np.nan):
        some = table(6).query("kind == 'network'").assign(metric="test_loss_source_response", stderr=0.0, time=time)
        some = some.drop_duplicates("seed")
        return some.assign(value=scale * np.random.default_rng(seed).standard_normal(len(some)))

    assert drift(owed(1.0, 0), owed(1.0, 1)) == []
    assert drift(owed(1.0, 0).assign(value=9.0), owed(0.1, 1))
    assert len(drift(owed(1.0, 0, time=1.0), owed(1.0, 1, time=1.0))) == 1


@pytest.mark.parametrize(("kind", "metric"), [("theory", "test_error"), ("network", "test_loss")])
def test_without_a_known_error_what_is_sampled_may_differ_by_a_share(kind, metric):
    def made():
        some = table()
        some["metric"] = some["metric"].replace("test_loss", metric)
        some.loc[some["kind"] == kind, "stderr"] = np.nan
        return some

    for factor, drifts in ((1.09, False), (0.91, False), (1.12, True)):
        found = made()
        found.loc[(found["kind"] == kind) & (found["metric"] == metric), "value"] *= factor
        assert bool(drift(found, made())) == drifts


def test_a_table_of_nothing_but_nan_drifts_in_every_row():
    found = table()
    found["value"] = np.nan
    assert len(drift(found)) == len(found)
    found = table()
    found.loc[found["kind"] == "network", "stderr"] = np.inf
    found.loc[found["kind"] == "network", "value"] *= 100
    assert drift(found)


@pytest.mark.parametrize("factor", [30, 1000])
def test_a_large_error_excuses_no_value(factor):
    found = table(8)
    networks = found["kind"] == "network"
    found.loc[networks, "stderr"] *= factor
    lines = drift(found, table(8))
    assert len(lines) == 2
    assert "stderr" in lines[0]
    found.loc[networks, "value"] *= 100
    assert any("mean over seeds" in line and "stderr" not in line for line in drift(found, table(8)))
    found = table()
    found.loc[found["kind"] == "theory", "stderr"] = 0.1
    assert len(drift(found)) == 8


@pytest.mark.parametrize("seeds", [1, 2])
def test_an_error_many_times_the_references_drifts_however_few_the_data_sets(seeds):
    found = table(seeds)
    found.loc[found["kind"] == "network", "stderr"] *= 50
    assert any("stderr" in line for line in drift(found, table(seeds)))


def test_a_row_written_twice_is_drift():
    twice = table().iloc[[*range(len(table())), 3]]
    assert "the run has row" in drift(twice)[0]
    assert "the reference has row" in drift(table(), twice)[0]


def test_errors_of_few_networks_may_scatter():
    """Of two networks a data set the standard error is half a difference: compared to itself drawn anew it agrees."""
    draw = np.random.default_rng(0)
    drifted = 0
    for _ in range(200):
        pair = [table(), table()]
        for one in pair:
            networks = one["kind"] == "network"
            one.loc[networks, "stderr"] = np.abs(draw.normal(0, 0.02, networks.sum()))
        drifted += bool(drift(*pair))
    assert drifted == 0


def arrays():
    draw = np.random.default_rng(1)
    return {
        **{"kind": np.array(["theory", "network"]), "width": np.array([np.inf, 50.0]), "seed": np.array([0, 0])},
        "kernel": draw.normal(size=(2, 4, 4)).astype(np.float32),
        "density": draw.random((2, 6)).astype(np.float32),
        "edges": np.linspace(-1, 1, 7),
    }


def test_arrays_are_compared_entry_by_entry():
    assert list(compare_arrays("e", arrays(), arrays())) == []
    for key, entry, change in [("kernel", 0, 1.1), ("kernel", 1, 2.0), ("density", 1, np.nan), ("kernel", 0, np.nan)]:
        found = arrays()
        found[key][entry] *= change
        (line,) = compare_arrays("e", found, arrays())
        assert f"array {key} of kind={'theory' if entry == 0 else 'network'}" in line
    found = arrays()
    found["kernel"][1] *= 1.1  # the noise of other networks
    assert list(compare_arrays("e", found, arrays())) == []
    for key, value in [("edges", np.linspace(-1, 1.1, 7)), ("kind", np.array(["theory", "theory"])),
                       ("width", np.array([np.inf, 60.0])), ("density", np.zeros((2, 5)))]:  # fmt: skip
        (line,) = compare_arrays("e", arrays() | {key: value}, arrays())
        assert f"array {key}" in line
    (line,) = compare_arrays("e", {key: value for key, value in arrays().items() if key != "kernel"}, arrays())
    assert "kernel is missing from the run" in line
    (line,) = compare_arrays("e", arrays() | {"more": np.zeros(2)}, arrays())
    assert "more is not in the reference" in line


@pytest.fixture
def folders(tmp_path):
    for name in ("results", "reference"):
        for experiment in ("lin", "rich"):
            write_table(tmp_path / f"{name}/tables/{experiment}.csv", table())
            write_arrays(tmp_path / f"{name}/tables/{experiment}.npz", arrays())
    return tmp_path / "results", tmp_path / "reference"


def test_missing_files_are_named(folders):
    results = folders[0]
    assert list(compare(*folders)) == []
    (results / "tables/lin.npz").unlink()
    (line,) = compare(*folders)
    assert "lin.npz is missing; the reference has it" in line
    (results / "tables/rich.csv").unlink()
    assert len(list(compare(*folders))) == 2
    assert list(compare(*folders, skip=["lin", "rich"])) == []


def test_the_configuration_says_which_tables_there_should_be(folders):
    assert list(compare(*folders, planned=["lin", "rich"])) == []
    (line,) = compare(*folders, planned=["lin"])
    assert "rich: the reference has it; the configuration no longer names it" in line
    (line,) = compare(*folders, planned=["lin", "rich", "new"])
    assert "new.csv is missing; the configuration names it" in line
