"""The configuration: defaults, friendly reading, one line an error, documentation that does not drift."""

import copy
import math
import random
import re
from datetime import date
from pathlib import Path

import pytest

from infwidth.io.yaml import dump_yaml
from infwidth.plan.config import ConfigError, load_config, preset_file, resolve_config, results_folder
from infwidth.plan.config_keys import key_table

ROOT = Path(__file__).parents[2]
PRESETS = sorted(path for path in (ROOT / "config").glob("*.yaml") if path.name != "claims.yaml")


def put(config: dict, path: str, value: object) -> dict:
    *parents, last = path.split("/")
    node = config
    for name in parents:
        node = node[name]
    node[last] = value
    return config


def test_defaults_and_friendly_reading(small_config):
    config = put(small_config, "experiments/lin/elastic_coupling", ["1e-3", "inf", 2])
    resolved = resolve_config(config)["experiments"]["lin"]
    assert resolved["elastic_coupling"] == [1e-3, float("inf"), 2]
    assert resolved["width"] == [4]  # one value stands for a list of one
    assert resolved["activation"] == "linear"
    assert resolved["task"]["linear"]["n_test"] == 20
    assert resolve_config(config)["text"] == {"dataset": "auto", "path": None, "max_bytes": None}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("experiments/lin/elastic_copling", 1, ["elastic_copling", "unknown key", "did you mean 'elastic_coupling'"]),
        ("experiments/lin/width", "wide", ["experiments.lin.width[0] = 'wide'", "a whole number"]),
        ("experiments/lin/width", [5], ["experiments.lin.width[0] = 5", "even"]),
        ("experiments/lin/task/linear/overlap", [1.5], ["experiments.lin.task.linear.overlap[0] = 1.5", "-1 … 1"]),
        ("experiments/lin/target_strength", -1, ["experiments.lin.target_strength[0] = -1", "> 0"]),
        ("experiments/lin/elastic_coupling", [-2], ["experiments.lin.elastic_coupling[0] = -2", "≥ 0"]),
        ("experiments/lin/training/flow/weight_decay", -0.1, ["weight_decay = -0.1", "≥ 0"]),
        ("experiments/lin/training/flow/weight_decay", float("nan"), ["weight_decay = nan", "finite"]),
        ("experiments/lin/training/flow/source_time", float("inf"), ["source_time = inf", "finite"]),
        ("experiments/lin/training/flow/target_times", [2, 1], ["target_times = [2, 1]", "increasing"]),
        ("experiments/lin/training", {"bayes": {"inverse_temperature": -3}}, ["inverse_temperature = -3", "> 0"]),
        ("experiments/lin/activation", "rely", ["activation = 'rely'", "did you mean 'relu'"]),
        ("experiments/lin/task", {"images": {"source_classes": [0, 0], "target_classes": [1, 2], "n_source": 2,
                                             "n_target": 2}}, ["source_classes = [0, 0]", "different"]),
        ("experiments/lin/task", {"images": {"source_classes": [0, -1], "target_classes": [1, 2], "n_source": 2,
                                             "n_target": 2}}, ["source_classes[1] = -1", "≥ 0"]),
        ("figures/linear_dynamics", "lina", ["figures.linear_dynamics[0] = 'lina'", "did you mean 'lin'"]),
        ("device", "tpu", ["device = 'tpu'"]),
        ("only", "image", ["only = 'image'", "matches no experiment"]),
        ("experiments", 3, ["experiments = 3", "keys and values"]),
    ],
)  # fmt: skip
def test_each_error_is_one_clear_line(small_config, path, value, words):
    with pytest.raises(ConfigError) as caught:
        resolve_config(put(small_config, path, value))
    lines = str(caught.value).splitlines()
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]
    assert ";" in lines[0]  # every line ends with a remedy


def test_missing_key_names_its_meaning(small_config):
    config = small_config
    del config["experiments"]["lin"]["width"]
    with pytest.raises(ConfigError, match=r"^experiments\.lin\.width: missing; expected a value \(N, neurons"):
        resolve_config(config)


def test_all_errors_are_reported_at_once(small_config):
    config = put(put(small_config, "experiments/lin/width", 1), "seed", -1)
    with pytest.raises(ConfigError) as caught:
        resolve_config(config)
    assert len(str(caught.value).splitlines()) == 2


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1,")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(tmp_path / "broken.yaml")


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_presets_are_valid_and_named_after_their_file(path):
    config = load_config(path)
    assert config["preset"] == {"config": "default"}.get(path.stem, path.stem)
    shown = {name for names in config["figures"].values() for name in names}
    assert shown <= {*config["experiments"], *config["studies"]}


def test_there_are_four_presets_and_an_example():
    assert {path.stem for path in PRESETS} == {"config", "ci", "study", "paper", "mine"}


def test_documentation_holds_every_key():
    assert key_table() in (ROOT / "config/README.md").read_text(encoding="utf-8")


def test_every_key_is_described():
    for line in key_table().splitlines()[2:]:
        path, meaning = line.split(" | ")[0], line.split(" | ")[-1]
        assert path == "| `experiments.<name>`" or len(meaning) > 3, line


def lines_for(config) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve_config(config)
    return str(caught.value).split("\n")


@pytest.mark.parametrize(
    ("path", "value", "read"),
    [
        ("experiments/lin/width", 4.0, [4]),
        ("experiments/lin/width", ["8", "1e1"], [8, 10]),
        ("experiments/lin/data_seeds", "3", 3),
        ("experiments/lin/theory", "false", False),
        ("experiments/lin/task/linear/dimension", 6.0, 6),
        ("experiments/lin/elastic_coupling", [1, 1.5, ".inf"], [1, 1.5, float("inf")]),
        ("seed", 7.0, 7),
    ],
)
def test_numbers_are_taken_as_meant_and_kept_as_written(small_config, path, value, read):
    found = resolve_config(put(small_config, path, value))
    for name in path.split("/"):
        found = found[name]
    assert found == read
    assert repr(found) == repr(read)  # parameters of jobs are compared as text: 1 stays 1


@pytest.mark.parametrize("section", ["images", "text"])
def test_home_and_any_character_in_paths(small_config, section, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = put(small_config, section, {"path": """~/o'ne {two} "three" $4"""})
    assert resolve_config(config)[section]["path"] == """/home/me/o'ne {two} "three" $4"""


@pytest.mark.parametrize(
    "value", [True, False, 2.5, "2.5", float("nan"), float("inf"), 10**400, 10**18, "1" * 500, [1], {}, None, "wide"]
)
def test_what_is_no_whole_number_is_one_line(small_config, value):
    (line,) = lines_for(put(small_config, "experiments/lin/data_seeds", value))
    assert line.startswith("experiments.lin.data_seeds = ")
    assert "a whole number" in line
    assert len(line) < 200


@pytest.mark.parametrize("key", [3, None, True, 1.5, "on\n", "", "Lin", "lin\n", "x" * 500])
@pytest.mark.parametrize("where", ["experiments", "experiments/lin", "experiments/lin/task/linear", "figures", ""])
def test_keys_that_are_no_names_are_one_line(small_config, key, where):
    node = small_config
    for name in where.split("/") if where else ():
        node = node[name]
    node[key] = {}
    found = [line for line in lines_for(small_config) if "key" in line]
    assert len(found) == 1
    assert found[0].startswith(where.replace("/", ".") or ("configuration" if not isinstance(key, str) else ""))


def test_a_long_value_is_shortened(small_config):
    (line,) = lines_for(put(small_config, "experiments", [["x" * 1000] * 1000] * 1000))
    assert len(line) < 300


def write(folder, name: str, text: str):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def preset(tmp_path, small_config):
    """A file that others extend, with two experiments."""
    small_config["experiments"]["other"] = copy.deepcopy(small_config["experiments"]["lin"]) | {"n": None}
    del small_config["experiments"]["other"]["n"]
    return write(tmp_path, "base.yaml", dump_yaml(small_config))


def test_a_preset_holds_what_differs(preset, tmp_path):
    mine = write(tmp_path, "sub/mine.yaml", "extends: ../base.yaml\npreset: own\nexperiments: {lin: {width: [6, 8]}}\n")
    found, base = load_config(mine), load_config(preset)
    assert found["preset"] == "own"
    assert found["experiments"]["lin"] == base["experiments"]["lin"] | {"width": [6, 8]}
    assert found["experiments"]["other"] == base["experiments"]["other"]
    deeper = write(tmp_path, "deeper.yaml", "extends: sub/mine.yaml\nseed: 3\n")
    assert load_config(deeper) == found | {"seed": 3}
    assert load_config(deeper, given={"only": "lin", "seed": "5"}) == found | {"seed": 5, "only": "lin"}


def test_null_takes_away_what_was_there(preset, tmp_path):
    text = "extends: base.yaml\nexperiments: {other: null, lin: {task: {linear: {n_test: null}}}}\nfigures: null\n"
    found = load_config(write(tmp_path, "mine.yaml", text))
    assert list(found["experiments"]) == ["lin"]
    assert found["experiments"]["lin"]["task"]["linear"]["n_test"] == 1000  # the default
    assert found["figures"] == {}
    kind = "extends: base.yaml\nexperiments: {lin: {training: {flow: null, bayes: {inverse_temperature: 5}}}}\nfigures: {linear_dynamics: null}\n"  # noqa: E501
    assert list(load_config(write(tmp_path, "kind.yaml", kind))["experiments"]["lin"]["training"]) == ["bayes"]
    text = "extends: base.yaml\nexperiments: {lin: {width: null}}\n"
    with pytest.raises(ConfigError, match=r"experiments\.lin\.width: missing"):
        load_config(write(tmp_path, "missing.yaml", text))


def test_an_experiment_extends_another_as_it_is_in_the_end(preset, tmp_path):
    text = """
extends: base.yaml
experiments:
  third: {extends: second, activation: erf}
  second: {extends: lin, data_seeds: 7, task: {linear: {overlap: 1}}}
  lin: {width: 12}
"""
    found = load_config(write(tmp_path, "mine.yaml", text))["experiments"]
    assert found["third"] == found["second"] | {"activation": "erf"}
    assert found["second"]["width"] == found["lin"]["width"] == [12]
    assert found["second"]["task"]["linear"]["overlap"] == [1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("extends: none.yaml", r"none\.yaml: No such file"),
        ("extends: 3", "extends = 3: expected the path"),
        ("extends: mine.yaml", "extends each other"),
        ("extends: base.yaml\nexperiments: {a: {extends: lim}}", "extends = 'lim': expected another.*mean 'lin'"),
        ("extends: base.yaml\nexperiments: {a: {extends: [lin]}}", "expected another experiment"),
        ("extends: base.yaml\nexperiments: {a: {extends: b}, b: {extends: a}}", "a → b → a extend each other"),
        ("extends: base.yaml\nexperiments: {lin: {extends: lin}}", "lin → lin extend each other"),
        ("extends: base.yaml\nexperiments: {lin: {task: {hermite: {}}}}", "exactly one of linear, hermite, images"),
        ("extends: base.yaml\nseed: 1\nseed: 2", 'duplicate key "seed"'),
    ],
)
def test_what_cannot_be_extended_is_one_line(preset, tmp_path, text, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(write(tmp_path, "mine.yaml", text))
    assert words.startswith("exactly") or len(str(caught.value).splitlines()) == 1


def test_presets_resolve_to_files_that_stand_alone(tmp_path):
    for path in PRESETS:
        found = load_config(path)
        assert load_config(write(tmp_path, "whole.yaml", dump_yaml(found))) == found


def test_the_results_folder_comes_from_the_preset(small_config):
    assert results_folder(resolve_config(small_config)) == "results/mine"
    assert results_folder(resolve_config(small_config | {"preset": "default"})) == "results"
    assert preset_file("study") == preset_file("config/study.yaml") == Path("config/study.yaml")
    assert preset_file("default") == Path("config/config.yaml")


VALUES = [
    *(None, True, False, 0, -1, 1, 3, 2.5, 4.0, 1e300, -1e300, 1e-300, math.nan, math.inf, -math.inf, 10**400, 10**18),
    *("", "x", "1e-3", "nan", "inf", "1" * 500, "a\nb", "\0", "~/x", "on", "linear_flow", [], [None], [[1]], [1, 1]),
    *([1, "a"], {}, {"a": 1}, {1: 2}, {None: 1}, {"x": None}, [math.nan], [1, 1.0], date(2026, 1, 1), b"x", {1}, 3j),
]
KEYS = [3, None, True, 1.5, "on", "a\nb", "", "Width", "wdith", "x" * 300, (1, 2)]


def test_a_mutated_configuration_resolves_or_says_why():
    """Types, signs, NaN, huge values, wrong keys: never another exception than one line an error that names a key."""
    base, draw = load_config(ROOT / "config/ci.yaml"), random.Random(0)
    places = [place for place in _places(base) if place]
    refused = 0
    for _ in range(500):
        config = copy.deepcopy(base)
        *parents, last = draw.choice(places)
        node = config
        for name in parents:
            node = node[name]
        action, value = draw.choice(["set", "set", "remove", "add", "rename"]), draw.choice(VALUES)
        if action == "set":
            node[last] = value
        elif action == "remove":
            del node[last]
        elif isinstance(node, dict):
            node[draw.choice(KEYS)] = value if action == "add" else node.pop(last)
        try:
            resolve_config(config)
        except ConfigError as error:
            refused += 1
            for line in str(error).split("\n"):
                assert re.match(rf"(configuration|{'|'.join(base)}|\S+: unknown key)", line), line
                assert ": " in line
                assert ";" in line
                assert len(line) < 1500
    assert refused > 300


def _places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from _places(inner, (*path, name))


def test_tasks_files_are_looked_for_from_the_configurations_folder(small_config, tmp_path, monkeypatch):
    task = {"source": "a.npz", "target": "../b.npz", "test": "~/c.npz", "source_labels": "/d.npy", "n_source": 4}
    small_config["experiments"]["lin"]["task"] = {"arrays": task | {"n_target": 4}}
    small_config["figures"] = {}
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/base.yaml").write_text(dump_yaml(small_config), encoding="utf-8")
    (tmp_path / "mine.yaml").write_text("extends: deep/base.yaml\npreset: other\n", encoding="utf-8")
    monkeypatch.setenv("HOME", "/home/one")
    for path in (tmp_path / "mine.yaml", tmp_path / "deep/base.yaml"):
        found = load_config(path)["experiments"]["lin"]["task"]["arrays"]
        assert found["source"] == str(tmp_path / "deep/a.npz")
        assert found["target"] == str(tmp_path / "b.npz")
        assert (found["test"], found["source_labels"]) == ("/home/one/c.npz", "/d.npy")
    monkeypatch.chdir(tmp_path)
    found = load_config("mine.yaml", given={"experiments": {"lin": {"task": {"arrays": {"test": "e.npz"}}}}})
    assert found["experiments"]["lin"]["task"]["arrays"]["test"] == "e.npz"
    assert found["experiments"]["lin"]["task"]["arrays"]["target"] == "b.npz"


@pytest.mark.parametrize("task", [3, {"arrays": [1]}, {"arrays": {"source": 3}}, {"arrays": {"source": ""}}])
def test_tasks_that_hold_no_paths_are_refused_as_ever(small_config, tmp_path, task):
    small_config["experiments"]["lin"]["task"] = task
    (tmp_path / "mine.yaml").write_text(dump_yaml(small_config), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"experiments\.lin\.task"):
        load_config(tmp_path / "mine.yaml")


@pytest.mark.parametrize("family", ["linear", "hermite"])
@pytest.mark.parametrize("key", ["spectrum", "target_spectrum"])
@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"exponent": -1}, ".exponent = -1.0: expected 0 … 10"),
        ({"exponent": 10.5}, ".exponent = 10.5: expected 0 … 10"),
        ({"exponent": "steep"}, ".exponent = 'steep': expected a number"),
        ({"rotated": True}, ".exponent: missing"),
        ({"exponent": 1, "rotated": "yes"}, ".rotated = 'yes': expected true or false"),
        ({"exponent": 1, "rotate": True}, ".rotate: unknown key"),
        (1.0, " = 1.0: expected keys and values"),
    ],
)
def test_a_spectrum_that_is_none_is_one_line(family, key, given, line, small_config):
    task = {"linear": {"dimension": 5, "overlap": 0.5}, "hermite": {"dimension": 5}}[family]
    task |= {"n_source": 4, "n_target": 3, key: given}
    task |= {"source_degree": 1, "target_degree": 2} if family == "hermite" else {}
    small_config["experiments"]["lin"]["task"] = {family: task}
    small_config["figures"] = {}
    (found,) = lines_for(small_config)
    assert found.startswith(f"experiments.lin.task.{family}.{key}{line}")


def test_a_spectrum_is_read_as_it_is_meant(small_config):
    task = small_config["experiments"]["lin"]["task"]["linear"]
    task |= {"spectrum": {"exponent": "1.5", "rotated": "true"}, "target_spectrum": None}
    found = resolve_config(small_config)["experiments"]["lin"]["task"]["linear"]
    assert found["spectrum"] == {"exponent": 1.5, "rotated": True}
    assert found["target_spectrum"] is None
