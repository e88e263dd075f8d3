"""Whether an output still is what its job wrote, and what becomes of one that can't be read at all."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from infwidth.io import atomic, manifest, tables, whole
from infwidth.numerics.checks import InputError

ROW = {"experiment": "e", "kind": "theory", "dataset": "d", "condition": "transfer", "seed": 0, "metric": "test_loss",
       "value": 1 / 3, "stderr": 0.0, "status": "converged"}  # fmt: skip


@pytest.fixture
def written(tmp_path):
    """A job's outputs, and their manifest."""
    tables.write_table(tmp_path / "a.csv", tables.make_table([ROW, ROW | {"seed": 1}]))
    atomic.write_arrays(tmp_path / "a.npz", {"x": np.arange(100.0), "label": "α"})
    atomic.write_json(tmp_path / "a.json", [{"value": 1.5}])
    seal(tmp_path)
    return tmp_path


def seal(folder):
    outputs = [folder / f"a.{kind}" for kind in ("csv", "npz", "json")]
    facts = {"stage": "s", "params": {"α": 1}, "wall_time": 0.1, "facts": {"least": np.float64(0.5), "nan": np.nan}}
    manifest.write_manifest(folder / "a.manifest.json", outputs=outputs, **facts)


READERS = {"csv": tables.read_table, "npz": atomic.read_arrays, "json": atomic.read_json}


@pytest.mark.parametrize("kind", READERS)
def test_what_is_whole_is_read_and_what_is_not_is_named(written, kind):
    path, read = written / f"a.{kind}", READERS[kind]
    read(path)
    assert list(whole.damaged_outputs([written])) == []
    raw, draw = path.read_bytes(), random.Random(kind)
    for trial in range(20):
        at = draw.randrange(len(raw))
        path.write_bytes(raw[:at] if trial % 2 else raw[:at] + bytes([raw[at] ^ (1 << trial % 8)]) + raw[at + 1 :])
        with pytest.raises(InputError, match="its content has changed") as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert list(whole.damaged_outputs([written])) == [path]


def exchange(one, other):
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


@pytest.mark.parametrize("folders", [("e", "e"), ("e", "f")])
@pytest.mark.parametrize("what", ["outputs", "manifests", "both"])
def test_files_that_two_jobs_exchanged_are_neithers(tmp_path, folders, what):
    """Each is whole by itself; in one folder names tell, in two of which jobs have the same names the folder."""
    stems = ("a", "b") if folders[0] == folders[1] else ("a", "a")
    places = [tmp_path / "theory" / folder / stem for folder, stem in zip(folders, stems, strict=True)]
    for number, place in enumerate(places):
        table = tables.make_table([ROW | {"seed": number}])
        tables.write_table(place.with_suffix(".csv"), table)
        facts = {"stage": "s", "params": {}, "wall_time": number, "facts": {}}
        path = place.with_suffix(".manifest.json")
        manifest.write_manifest(path, outputs=[place.with_suffix(".csv")], **facts)
    assert list(whole.damaged_outputs([tmp_path])) == []
    for suffix in {"outputs": [".csv"], "manifests": [".manifest.json"], "both": [".csv", ".manifest.json"]}[what]:
        exchange(*(place.with_suffix(suffix) for place in places))
    found = set(whole.damaged_outputs([tmp_path]))
    assert {place.with_suffix(".csv") for place in places} <= found
    if folders[0] == folders[1]:
        with pytest.raises(InputError, match="its content has changed" if what == "outputs" else "another file's"):
            tables.read_table(places[0].with_suffix(".csv"))


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"PK\x03\x04 cut", b'{"a": '])
def test_a_file_that_no_manifest_is_for_ends_in_one_line_too(tmp_path, kind, content):
    path = tmp_path / f"b.{kind}"
    with pytest.raises(InputError, match="can't be read"):
        READERS[kind](path)
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"b.{kind}: (can't be read|columns .* are missing)") as caught:
        READERS[kind](path)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_cut_is_refused_without_a_manifest(written):
    path = written / "a.csv"
    (written / "a.manifest.json").unlink()
    text = path.read_text(encoding="utf-8").rstrip()
    for cut in (text[:-4], text[: -len("converged")], text.rsplit(",", 3)[0]):
        path.write_text(cut, encoding="utf-8")
        with pytest.raises(InputError, match="can't be read"):
            tables.read_table(path)


def test_a_damaged_manifest_takes_its_outputs_with_it(written):
    path = written / "a.manifest.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for changed in (content | {"commit": "another"}, {k: v for k, v in content.items() if k != "checksum"}, [1], {}):
        path.write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(InputError, match=r"a.manifest.json: its content has changed"):
            tables.read_table(written / "a.csv")
    path.write_text("{", encoding="utf-8")
    named = {found.name for found in whole.damaged_outputs([written])}
    assert named == {"a.csv", "a.npz", "a.json", "a.manifest.json"}


def test_manifests_of_earlier_versions_are_taken_as_they_are(written):
    (written / "a.manifest.json").write_text('{"commit": "c"}')
    (written / "a.json").write_text("[]")
    assert atomic.read_json(written / "a.json") == []
    assert list(whole.damaged_outputs([written])) == []


def test_a_large_file_is_not_read_again_while_nothing_changed_it(written, monkeypatch):
    monkeypatch.setattr(whole, "ALWAYS_READ", 10)
    monkeypatch.setattr(whole, "digest", lambda path: pytest.fail(f"{path} was read"))
    assert list(whole.damaged_outputs([written])) == []


def test_a_date_set_back_hides_no_change(written, monkeypatch):
    monkeypatch.setattr(whole, "ALWAYS_READ", 10)
    path = written / "a.npz"
    before, raw = path.stat(), bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert list(whole.damaged_outputs([written])) == [path]


def git(folder, *arguments):
    named = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_commit_is_that_of_the_projects_own_repository(tmp_path, monkeypatch):
    (tmp_path / "project/src").mkdir(parents=True)
    (tmp_path / "project/x").write_text("x")
    assert manifest.commit_of(tmp_path / "project") == "unknown"
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "somebody else's")
    assert manifest.commit_of(tmp_path / "project") == "unknown"  # unpacked inside another repository
    assert len(manifest.commit_of(tmp_path)) == 40
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))  # as in a hook of that repository
    assert manifest.commit_of(tmp_path / "project") == "unknown"
    (tmp_path / "project/x").write_text("y")
    assert manifest.commit_of(tmp_path).endswith("-dirty")


@pytest.mark.parametrize("name", ["NA", "null", "nan", "None", "N/A", "", "a,b\n'\"", "→ $x"])
def test_data_sets_keep_their_names(tmp_path, name):
    tables.write_table(tmp_path / "a.csv", tables.make_table([ROW | {"dataset": name, "optimiser": name}]))
    read = tables.read_table(tmp_path / "a.csv")
    assert read["dataset"].isna().all() if name == "" else read["dataset"].tolist() == [name]
    assert read["elastic_coupling"].isna().all()


def test_text_is_utf8_whatever_the_locale(tmp_path):
    code = (
        "import sys, locale; from infwidth.io.atomic import *; from infwidth.io.tables import *\n"
        f"row = {ROW!r}\n"
        "write_json('a.json', ['γ → ∞']); write_table('a.csv', make_table([row | {'dataset': '0,1 → 8,9'}]))\n"
        "assert read_json('a.json') == ['γ → ∞']\n"
        "assert read_table('a.csv')['dataset'][0] == '0,1 → 8,9'\n"
    )
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "code.py").write_text(code, encoding="utf-8")
    subprocess.run([sys.executable, "code.py"], cwd=tmp_path, env=environment, check=True)
    assert "→" in (tmp_path / "a.csv").read_text(encoding="utf-8")
