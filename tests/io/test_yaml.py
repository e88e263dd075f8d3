"""YAML 1.2, each key once, one line an error."""

import math

import pytest

from infwidth.io.yaml import dump_yaml, load_yaml, read_yaml
from infwidth.numerics.checks import InputError

BOMB = "a0: &a0 [1, 1]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 15))
"""Some hundred bytes that stand for ten thousand billion values."""


@pytest.mark.parametrize(
    ("text", "value"),
    [("010", 10), ("1:30", "1:30"), ("-0:59", "-0:59"), ("on", "on"), ("No", "No"), ("1e-3", 1e-3), ("0o17", 15),
     ("~", None), ("-.inf", -math.inf), ("true", True), ("", None)],
)  # fmt: skip
def test_values_are_those_of_yaml_1_2(text, value):
    found = read_yaml(f"key: {text}", "x")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text", ["a: 1\nb: 2\na: 3\n", "a:\n  b: 1\n  c: 2\n  b: 1\n", "x: {q: 1, q: 2}", "3: 1\n3: 2"]
)
def test_a_key_written_twice_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "twice.yaml").write_text(text)
    with pytest.raises(InputError, match=r"twice\.yaml, line \d: duplicate key .*; expected each key once") as caught:
        load_yaml(tmp_path / "twice.yaml")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    "text",
    ["a: [1,", "a: b: c", "\t- 1", "a: !!python/object:os.system x", "a: 1\n---\nb: 2", "a: &x [*x]", "a: &x {b: [*x]}",
     BOMB, "a: *nothing", "a: " + "9" * 5000, "a: " + "[" * 5000, "a: \x00", "{a: 1}: 2", "%YAML 9.9\n---\na: 1",
     "%YAML 1.1\n---\na: 010", "# ours\n\n%YAML 1.1 # old\n---\na: 1:30"],
)  # fmt: skip
def test_what_is_no_yaml_is_one_line(tmp_path, text):
    (tmp_path / "broken.yaml").write_text(text)
    with pytest.raises(InputError, match=r"broken\.yaml") as caught:
        load_yaml(tmp_path / "broken.yaml")
    assert len(str(caught.value).splitlines()) == 1


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    with pytest.raises(InputError, match="No such file"):
        load_yaml(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="directory"):
        load_yaml(tmp_path)
    with pytest.raises(InputError, match="not UTF-8"):
        load_yaml(tmp_path / "latin.yaml")
    assert load_yaml(tmp_path / "bom.yaml") == {"a": 1}


def test_what_is_written_reads_back():
    shared = [1, 2]
    value = {
        "b": {"x": [math.inf, 1e-3, -0.5], "on": "1e-3"},
        "a": [None, True, "010", "α → β", ""],
        "c": [shared, shared],
    }
    assert read_yaml(dump_yaml(value), "x") == value
    assert list(read_yaml(dump_yaml(value), "x")) == ["b", "a", "c"]
