"""A reference is made of a finished run, and replaces the old one whole or not at all."""

import json
import shutil
from pathlib import Path

import pytest

from infwidth.analysis.citations import citations
from infwidth.analysis.claims import Verdict
from infwidth.io.tables import make_table, write_table
from infwidth.numerics.checks import InputError
from infwidth.plan import reference as references
from infwidth.plan.config import load_config
from infwidth.plan.reference import compare, make_reference
from infwidth.plan.run_record import record_configuration, recorded_configuration
from infwidth.plan.transfer import Plan

ROOT = Path(__file__).parents[2]


def table():
    rows = [
        {"experiment": "e", "kind": kind, "dataset": "d", "condition": "transfer", "seed": seed, "metric": "test_loss",
         "value": 0.5 + 0.1 * seed, "stderr": 0.02 if kind == "network" else 0.0, "status": "converged"}
        for kind in ("theory", "network")
        for seed in range(4)
    ]  # fmt: skip
    return make_table(rows)


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
    record_configuration(results, [tmp_path / "mine.yaml"])
    make_reference(results, reference)
    assert list(compare(results, reference)) == []
    assert json.loads((reference / "manifest.json").read_text())["cells"]
    assert recorded_configuration(reference / "manifest.json") == [str(tmp_path / "mine.yaml")]
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


def test_the_figure_of_all_verdicts_is_drawn_anew_with_a_part(run):
    results, references = run
    claim = Verdict("T2", "T", "s", "f", "lin", "below 0", "reproduced", -1.0, 0.1, 3).as_dict()
    (results / "claims/lin.json").write_text(json.dumps([claim]))
    old = references / "mine/figures/verdicts.png"
    old.write_bytes(b"old")
    make_reference(results, references / "mine", "lin")
    assert old.read_bytes()[1:4] == b"PNG"


def test_a_part_renews_a_figure_that_shows_another_experiment_too(tmp_path, monkeypatch):
    plan, ci = Plan(load_config(ROOT / "config/ci.yaml")), ROOT / "results/reference/ci"
    assert plan.figures["linear_delta"] == ["linear_bayes", "linear_spectrum"]
    made = [f"{stem}.{kind}" for stem in ("tables/linear_bayes", "figures/linear_delta") for kind in ("csv", "png")]
    monkeypatch.setattr(references, "finished_outputs", lambda _: [made[0], *made[2:], "claims.json", "index.html"])
    results, reference = tmp_path / "results", tmp_path / "reference"
    shutil.copytree(ci, reference)
    (reference / "figures/linear_delta.png").write_bytes(b"stale")
    for folder in ("tables", "theory/linear_bayes", "claims"):
        (results / folder).mkdir(parents=True)
    for kind in ("csv", "npz"):
        shutil.copy(ci / f"tables/linear_bayes.{kind}", results / "tables")
    facts = {"commit": "c", "python": "3", "machine": "m", "versions": {}, "facts": {"largest_residual": 0.0}}
    (results / "theory/linear_bayes/a.manifest.json").write_text(json.dumps(facts))
    (results / "claims/linear_bayes.json").write_text("[]")
    make_reference(results, reference, "linear_bayes", plan)
    assert (reference / "figures/linear_delta.png").read_bytes()[1:4] == b"PNG"
    with pytest.raises(InputError, match="linear_delta"):  # a whole run makes it itself
        make_reference(results, reference, "linear", plan)


@pytest.fixture
def run(tmp_path):
    """A finished run of one experiment, and its reference beside another's."""
    results = tmp_path / "results"
    write_table(results / "tables/lin.csv", table())
    for folder in ("theory/lin", "claims", "figures"):
        (results / folder).mkdir(parents=True)
    facts = {"commit": "c", "python": "3", "machine": "m", "versions": {}, "facts": {"largest_residual": 0.0}}
    (results / "theory/lin/a.manifest.json").write_text(json.dumps(facts))
    (results / "claims/lin.json").write_text("[]")
    (results / "figures/f.png").write_bytes(b"png")
    for name in ("mine", "other"):
        make_reference(results, tmp_path / "references" / name)
    return results, tmp_path / "references"


def everything(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def spoil_manifests(results):
    (results / "theory/lin/a.manifest.json").unlink()


def spoil_manifest(results):
    (results / "theory/lin/a.manifest.json").write_text("{")


def spoil_verdicts(results):
    (results / "claims/lin.json").unlink()


def spoil_verdict(results):
    (results / "claims/lin.json").write_text("[{")


def spoil_tables(results):
    shutil.rmtree(results / "tables")


def spoil_table(results):
    path = results / "tables/lin.csv"
    path.write_text(path.read_text()[:-5])


@pytest.mark.parametrize(
    "spoil", [spoil_manifests, spoil_manifest, spoil_verdicts, spoil_verdict, spoil_tables, spoil_table]
)
def test_an_unfinished_or_damaged_run_leaves_the_reference_as_it_was(run, spoil):
    results, references = run
    before = everything(references)
    spoil(results)
    with pytest.raises(InputError) as caught:
        make_reference(results, references / "mine")
    assert "\n" not in str(caught.value)
    assert everything(references) == before


def test_a_folder_that_is_no_reference_is_refused(run, tmp_path):
    results, references = run
    before = everything(tmp_path)
    for folder, reason in [
        (references, "holds mine, other"),
        (results, "the run itself"),
        (tmp_path, "the run itself"),
        (results / "figures", "holds f.png"),
        (results / "claims/lin.json", "folder of its own"),
    ]:
        with pytest.raises(InputError, match=reason):
            make_reference(results, folder)
    assert everything(tmp_path) == before


def test_a_failed_write_leaves_the_reference_as_it_was(run, monkeypatch):
    results, references = run
    before = everything(references)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("infwidth.plan.reference.write_seconds", fail)
    with pytest.raises(OSError, match="No space"):
        make_reference(results, references / "mine")
    assert everything(references) == before


def test_tables_that_the_run_no_longer_has_leave_the_reference(run):
    results, references = run
    write_table(references / "mine/tables/former.csv", table())
    make_reference(results, references / "mine")
    assert [path.name for path in (references / "mine/tables").iterdir()] == ["lin.csv"]


def test_citations_follow_what_was_used():
    lines = citations(["T"], ["CIFAR-10 0,1 → 8,9", "linear teachers"])
    assert any("2507.04448" in line for line in lines)
    assert any("Krizhevsky" in line for line in lines)
    assert not any("2406.18800" in line for line in lines)


@pytest.mark.parametrize(
    ("dataset", "by"),
    [
        ("diabetes by sex: less sex → more sex", "Efron"),
        ("texture: {0,1} → {2,3}", "KEEL"),
        ("CIFAR-10, ImageNet features: {0,1} → {2,3}", "EfficientNet"),
        ("C4, static embeddings: the/of → and/to", "WordLlama"),
    ],
)
def test_tables_and_pretrained_features_have_their_citations(dataset, by):
    lines = citations([], [dataset])
    assert any(by in line for line in lines)
    assert len(lines) == 1 + sum(
        name in dataset for name in ("diabetes", "texture", "CIFAR", "ImageNet", "C4", "static")
    )
