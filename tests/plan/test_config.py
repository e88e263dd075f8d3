"""The configuration: defaults, friendly reading, one line an error, documentation that does not drift."""

import importlib
from pathlib import Path

import pytest

from infwidth.figures.catalogue import FIGURES
from infwidth.numerics.activations import ACTIVATIONS
from infwidth.plan.config import ConfigError, load_config, resolve_config
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
    assert resolve_config(config)["images"] == {"dataset": "auto", "path": None}


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
    assert shown <= {*config["experiments"], *config["adam_ntk"]}


def test_there_are_four_presets():
    assert {path.stem for path in PRESETS} == {"config", "ci", "study", "paper"}


@pytest.mark.parametrize("training", ["bayes", "flow"])
def test_configuration_and_theory_cover_the_same_activations(training):
    covered = importlib.import_module(f"infwidth.theory.{training}").ACTIVATIONS
    assert tuple(ACTIVATIONS) == covered


def test_documentation_holds_every_key():
    assert key_table() in (ROOT / "config/README.md").read_text(encoding="utf-8")


def test_every_key_is_described():
    for line in key_table().splitlines()[2:]:
        path, meaning = line.split(" | ")[0], line.split(" | ")[-1]
        assert path == "| `experiments.<name>`" or len(meaning) > 3, line


def test_every_figure_has_a_module():
    for name in FIGURES:
        assert (ROOT / f"src/infwidth/figures/{name}.py").exists()
