"""Tables, atomic files, closures and timings."""

import re
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest
from builders import imported

from infwidth.io.archives import check_archive
from infwidth.io.arrays import join_entries
from infwidth.io.atomic import atomic_file, read_arrays, write_arrays
from infwidth.io.closure import import_closure
from infwidth.io.job_times import read_seconds, recorded_seconds, write_seconds
from infwidth.io.rows import at_last_time, largest, widest
from infwidth.io.tables import COLUMNS, make_table, read_table, select, write_table
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status
from infwidth.plan.timing import expected_seconds, seconds_per_data_set
from infwidth.tasks.image_sources import check_image_file
from infwidth.tasks.text_sources import check_text_file


def row(**changes):
    base = {"experiment": "e", "kind": "theory", "dataset": "d", "condition": "transfer", "overlap": 0.1 + 0.2}
    return {**base, "seed": 0, "metric": "test_loss", "value": 1 / 3, "stderr": 0.0, "status": "converged", **changes}


def test_table_round_trips_every_bit_and_fixes_the_order(tmp_path):
    rows = [row(seed=seed, elastic_coupling=c) for seed in (1, 0) for c in (np.inf, 2.0, np.nan)]
    write_table(tmp_path / "a.csv", make_table(rows))
    write_table(tmp_path / "b.csv", make_table(rows[::-1]))
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    table = read_table(tmp_path / "a.csv")
    assert list(table.columns) == list(COLUMNS)
    assert table["value"].iloc[0] == 1 / 3
    assert table["overlap"].iloc[0] == 0.1 + 0.2
    assert np.isinf(table["elastic_coupling"].max())


def test_documentation_explains_every_column_and_no_other(root):
    text = (root / "docs/results.md").read_text(encoding="utf-8")
    section = text[text.index("## Tables") : text.index("## Comparing")]
    explained = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, flags=re.MULTILINE))
    assert list(explained) == list(COLUMNS)
    assert all(len(meaning.split()) > 1 for meaning in explained.values())
    for status in Status:
        assert f"`{status.value}`" in explained["status"]


def test_table_refuses_unknown_and_missing_columns(tmp_path):
    with pytest.raises(InputError, match="colour"):
        make_table([row(colour=1)])
    pd.DataFrame({"value": [1]}).to_csv(tmp_path / "c.csv")
    with pytest.raises(InputError, match="are missing"):
        read_table(tmp_path / "c.csv")


def test_select_matches_numbers_text_lists_and_empty_entries():
    table = make_table([row(elastic_coupling=c, condition=k) for c, k in ((0.3, "a"), (np.nan, "b"), (2, "c"))])
    assert list(select(table, elastic_coupling=0.1 + 0.2)["condition"]) == ["a"]
    assert list(select(table, elastic_coupling=None)["condition"]) == ["b"]
    assert list(select(table, condition=["a", "c"])["condition"]) == ["a", "c"]
    with pytest.raises(InputError, match="no such column"):
        select(table, colour=1)


def test_atomic_file_leaves_the_old_one_when_the_block_fails(tmp_path):
    path = tmp_path / "new" / "x.txt"
    with atomic_file(path, text=True) as handle:
        handle.write("old")
    with suppress(ZeroDivisionError), atomic_file(path, text=True) as handle:
        handle.write("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    (path.parent / "x.txt.part").write_text("left by a killed job")
    with atomic_file(path, text=True) as handle:
        handle.write("newer")
    assert path.read_text() == "newer"


def test_arrays_round_trip(tmp_path):
    write_arrays(tmp_path / "a.npz", {"x": np.arange(3.0), "label": "α"})
    assert str(read_arrays(tmp_path / "a.npz")["label"]) == "α"


def test_closure_follows_imports_and_nothing_else(root, monkeypatch):
    monkeypatch.chdir(root)
    theory = set(import_closure("stages.theory", "theory.bayes"))
    target = set(import_closure("stages.target", "networks.langevin"))
    assert "src/infwidth/theory/bayes.py" in theory
    assert not any(path.startswith("src/infwidth/networks/") for path in theory)
    assert not any(path.startswith("src/infwidth/theory/") for path in target)
    assert {"src/infwidth/__init__.py", "src/infwidth/networks/__init__.py"} <= target
    assert not any("/plan/" in path for path in theory | target)
    data = import_closure("stages.data", "tasks.linear_tasks")
    assert "src/infwidth/tasks/image_tasks.py" not in data
    assert all((root / path).is_file() for path in theory | target)


@pytest.mark.parametrize(
    "module", ["plan.transfer", "stages.theory", "theory.bayes", "theory.flow", "tasks.linear_tasks", "cli"]
)
def test_what_needs_no_torch_imports_none(module):
    assert imported(f"infwidth.{module}", "torch") == []


def test_package_imports_go_to_defining_modules(root):
    """Through a package's __init__ the import graph, and so the workflow, would not see them."""
    # cli's own main is defined in its __init__, and nothing that a job runs imports it
    packages = [path.name for path in (root / "src/infwidth").iterdir() if path.is_dir() and path.name != "cli"]
    for path in (root / "src/infwidth").rglob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            for package in packages:
                start, found, names = line.strip().partition(f"from infwidth.{package} import ")
                if found and not start:  # a module of it is seen, a lazy name is not
                    folder = root / "src/infwidth" / package
                    assert all((folder / f"{name.strip()}.py").exists() for name in names.split(",")), f"{path}: {line}"


def test_expected_seconds_prefers_records_and_falls_back_to_alike(tmp_path):
    run, reference = {"target/lin/a": 10.0}, {"target/lin/a": 99.0, "target/lin/b": 4.0, "data/lin/a": 2.0}
    assert expected_seconds(["target/lin/a", "target/lin/c", "data/img/z"], run, reference) == 10 + 7 + 2
    assert expected_seconds(["figure/x"], run, reference) is None
    write_seconds(tmp_path / "seconds.csv", reference)
    assert read_seconds(tmp_path / "seconds.csv") == reference
    assert read_seconds(tmp_path / "none.csv") == {}
    folder = tmp_path / "benchmarks" / "data"
    folder.mkdir(parents=True)
    (folder / "n=1__seeds=0-1.tsv").write_text("s\th:m:s\n1.5\t0:00:01\n")
    assert recorded_seconds(tmp_path) == {"data/n=1__seeds=0-1": 1.5}


def test_what_is_last_and_widest_counts_by_experiment():
    """Experiments of one figure may end at other times and widths: none takes another's rows away."""
    ends = {"a": (100.0, 3.0), "b": (4000.0, 20.0), "c": (16.0, np.nan)}
    table = make_table(
        row(experiment=name, kind=kind, width=size if kind == "network" else np.inf, time=when)
        for name, (width, last) in ends.items()
        for kind in ("theory", "network")
        for size in (width / 2, width)
        for when in ((0.0, last) if last == last else (np.nan,))
    )
    last = at_last_time(table)
    assert last.groupby("experiment")["time"].max().dropna().to_dict() == {"a": 3, "b": 20}
    assert last.loc[last["experiment"] == "c", "time"].isna().all()
    assert len(last[last["experiment"] == "c"]) == 4
    networks = select(widest(table), kind="network")
    assert networks.groupby("experiment")["width"].agg(set).to_dict() == {"a": {100}, "b": {4000}, "c": {16}}
    assert len(select(widest(table), kind="theory")) == len(select(table, kind="theory"))
    assert set(largest(table, "width")["width"]) == {np.inf}


def test_arrays_keep_the_widest_networks_of_each_experiment():
    parts = [
        {"experiment": np.array([name] * 3), "kind": np.array(["theory", "network", "network"]),
         "width": np.array([np.inf, width, 2 * width]), "density": np.arange(3.0) + width, "edges": np.arange(2.0)}
        for name, width in (("a", 50.0), ("b", 500.0))
    ]  # fmt: skip
    joined = join_entries([*parts, {}])
    assert joined["experiment"].tolist() == ["a", "a", "b", "b"]
    assert joined["density"].tolist() == [50, 52, 500, 502]
    assert len(join_entries(parts[:1])["density"]) == 2


def test_a_data_set_costs_what_the_reference_took_for_each(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    times = {"theory/lin/a": 60.0, "data/lin/source/a": 4.0, "target/lin/a": 30.0, "source/lin/b": 10.0,
             "theory/lin2/a": 1e6, "collect/lin": 1e6, "study/ada/seeds=0-1": 8.0,
             "theory/bay/n=1__seeds=0-3": 6.0, "theory/bay/n=2__seeds=0-3": 6.0, "theory/bay/n=1__seeds=4-7": 4.0,
             "source/bay/seeds=0-3": 12.0, "language/lang/sgd": 8.0, "language/lang/sgd__seeds=2-3": 4.0,
             "study/alone/seeds=0-1": 6.0, "study/alone/seeds=2-9": 8.0}  # fmt: skip
    write_seconds(tmp_path / "results/reference/mine/seconds.csv", times)
    counts = {"theory": 16, "networks": 4}
    assert seconds_per_data_set("lin", counts, "results/mine") == {"theory": 4.0, "networks": 14.0}
    assert seconds_per_data_set("ada", {"theory": 2, "networks": 2}, "results/mine") == {"theory": 4.0, "networks": 4.0}
    # the reference's own data sets count, where a configuration has more than it
    more = {"theory": 100, "networks": 100}
    assert seconds_per_data_set("bay", more, "results/mine") == {"theory": 2.0, "networks": 5.0}
    assert seconds_per_data_set("ada", more, "results/mine") == {"theory": 4.0, "networks": 4.0}
    assert seconds_per_data_set("lang", {"theory": 4, "networks": 4}, "results/mine")["networks"] == 3.0
    alone = seconds_per_data_set("alone", more, "results/mine", ["seeds=2-9"])
    assert alone == {"theory": 1.0, "networks": 3.0}
    assert seconds_per_data_set("none", counts, "results/mine") == {}
    assert seconds_per_data_set("lin", counts, "results/other") == {}


@pytest.mark.parametrize("suffix", ["npz", "txt", "jsonl.gz"])
def test_the_home_of_a_user_who_is_not_there_is_a_path_like_any_other(suffix):
    path = f"~nobody.of.this.name/mine.{suffix}"
    readers = [check_text_file]
    if suffix == "npz":
        readers = [check_image_file, lambda path: check_archive(path, (), "expected an .npz", "correct it")]
    for reader in readers:
        with pytest.raises(InputError, match=f"{re.escape(path)}: no such file"):
            reader(path)
