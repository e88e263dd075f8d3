"""Drift from a reference: each kind is found, and named."""

import json

import pytest

from infwidth.analysis.citations import citations
from infwidth.analysis.claims import Verdict
from infwidth.io.tables import make_table, write_table
from infwidth.numerics.checks import InputError
from infwidth.plan.reference import compare, compare_tables, make_reference


def table():
    rows = [
        {"experiment": "e", "kind": kind, "dataset": "d", "condition": "transfer", "seed": seed, "metric": "test_loss",
         "value": 0.5 + 0.1 * seed, "stderr": 0.02 if kind == "network" else 0.0, "status": "converged"}
        for kind in ("theory", "network")
        for seed in range(4)
    ]  # fmt: skip
    return make_table(rows)


def shifted(kind, amount):
    found = table()
    found.loc[found["kind"] == kind, "value"] += amount
    return list(compare_tables("lin", found, table()))


def test_equal_tables_agree():
    assert list(compare_tables("lin", table(), table())) == []


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
    assert "missing from the run" in next(compare_tables("lin", table().iloc[1:], table()))
    assert "not in the reference" in next(compare_tables("lin", table(), table().iloc[1:]))
    found = table()
    found.loc[0, "status"] = "stalled"
    assert "status stalled, reference converged" in next(compare_tables("lin", found, table()))


def test_reference_round_trip(tmp_path):
    results, reference = tmp_path / "results", tmp_path / "reference"
    with pytest.raises(InputError, match="make reproduce"):
        make_reference(results, reference)
    write_table(results / "tables/lin.csv", table())
    (results / "theory/lin").mkdir(parents=True)
    facts = {"commit": "c", "python": "3", "machine": "m", "versions": {}, "facts": {"largest_residual": 0.0}}
    (results / "theory/lin/a.manifest.json").write_text(json.dumps(facts))
    for name in ("claims.md", "claims.json"):
        (results / name).write_text("[]")
    make_reference(results, reference)
    assert list(compare(results, reference)) == []
    assert json.loads((reference / "manifest.json").read_text())["cells"]
    (results / "tables/lin.csv").unlink()
    assert "is missing" in next(compare(results, reference))
    with pytest.raises(InputError, match="no tables"):
        next(compare(results, tmp_path / "none"))


def test_a_part_of_a_reference_is_renewed_alone(tmp_path):
    results, reference = tmp_path / "results", tmp_path / "reference"
    facts = {"commit": "c", "python": "3", "machine": "m", "versions": {}, "facts": {"largest_residual": 0.0}}
    verdict = Verdict("T2", "T", "s", "f", "lin", "below 0", "reproduced", -1.0, 0.1, 3).as_dict()
    for name, claim in (("lin", "T2"), ("other", "T10")):
        write_table(results / f"tables/{name}.csv", table())
        for folder in ("theory", "claims", "benchmarks/theory"):
            (results / folder / name).mkdir(parents=True)
        (results / f"theory/{name}/a.manifest.json").write_text(json.dumps(facts))
        (results / f"benchmarks/theory/{name}/a.tsv").write_text("s\n7\n")
        (results / f"claims/{name}.json").write_text(json.dumps([verdict | {"experiment": name, "id": claim}]))
    make_reference(results, reference)
    before = (reference / "tables/other.csv").read_text()
    changed = table()
    changed["value"] += 1
    for name in ("lin", "other"):
        write_table(results / f"tables/{name}.csv", changed)
        (results / f"claims/{name}.json").write_text(json.dumps([verdict | {"experiment": name, "value": -2.0}]))
    make_reference(results, reference, "lin")
    assert (reference / "tables/other.csv").read_text() == before
    assert list(compare(results, reference, skip=["other"])) == []
    kept = {entry["experiment"]: entry["value"] for entry in json.loads((reference / "claims.json").read_text())}
    assert kept == {"lin": -2.0, "other": -1.0}
    assert set(json.loads((reference / "manifest.json").read_text())["cells"]) == {
        "theory/lin/a.manifest.json", "theory/other/a.manifest.json",
    }  # fmt: skip
    assert len((reference / "seconds.csv").read_text().splitlines()) == 3


def test_citations_follow_what_was_used():
    lines = citations(["T"], ["CIFAR-10 0,1 → 8,9", "linear teachers"])
    assert any("2507.04448" in line for line in lines)
    assert any("Krizhevsky" in line for line in lines)
    assert not any("2406.18800" in line for line in lines)
