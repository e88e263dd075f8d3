"""What no machine could do is refused with the key to change; what people do is not."""

import math
import re
import time
from pathlib import Path

import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.plan import demand
from infwidth.plan.config import ConfigError, load_config, resolve_config
from infwidth.plan.inputs import check_files

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("experiments/linear_bayes/width", [2000, 1e12]),
        ("experiments/linear_bayes/task/linear/dimension", 1e9),
        ("experiments/linear_bayes/task/linear/n_source", [10**7]),
        ("experiments/linear_bayes/task/linear/n_test", 10**12),
        ("experiments/linear_bayes/training/bayes/burn_in_time", 1e300),
        ("experiments/linear_bayes/training/bayes/sampling_time", 1e20),
        ("experiments/linear_bayes/data_seeds", 10**9),
        ("experiments/linear_bayes/network_seeds", 10**4),
        ("experiments/bayes_erf/training/bayes/particles", 10**13),
        ("experiments/cifar_flow/width", 10**12),
        ("studies/adamstar_language/study/language/width", [1e13]),
        ("studies/adamstar_language/study/language/steps", 1e17),
        ("studies/adamstar_language/study/language/model_width", 1e8),
        ("studies/adamstar_language/study/language/layers", 1e10),
        ("studies/adamstar_language/study/language/context", 1e7),
        ("studies/adamstar_language/seeds", 1e6),
        ("studies/adamstar_limit/seeds", 1e6),
        ("studies/adamstar_limit/study/limit/widths", [64, 1e12]),
        ("studies/adamstar_limit/study/limit/steps", 1e17),
        ("studies/adamstar_expectation/study/expectation/draws", 1e17),
        ("studies/adamstar_selection/study/selection/dimensions", [1e12]),
        ("studies/adamstar_selection/study/selection/trained_widths", 1e12),
        ("studies/adamstar_selection/study/selection/sampled_features", 1e17),
        ("studies/adamstar_support/study/support/samples", 1e12),
        ("studies/adamstar_architecture/study/architecture/width", 1e12),
    ],
)
def test_absurd_sizes_name_the_key_at_once(path, value):
    config = load_config(ROOT / "config/config.yaml")
    config["studies"]["adamstar_architecture"] = config["studies"].pop("adamstar_ablation")
    del config["figures"]["optimiser_ablation"]
    *parents, last = path.split("/")
    node = config
    for name in parents:
        node = node[name]
    node[last] = value
    started = time.perf_counter()
    with pytest.raises(ConfigError) as caught:
        resolve_config(config)
    assert time.perf_counter() - started < 1
    lines = str(caught.value).split("\n")
    key = path.replace("/", ".")
    assert any(line.startswith(f"{key} = ") and "; reduce it" in line for line in lines), lines


@pytest.mark.parametrize("key", ["dimension", "n_test"])
def test_a_few_samples_too_large_for_any_memory_are_refused_in_gigabytes(small_config, key):
    experiment = small_config["experiments"]["lin"]
    experiment["data_seeds"] = 1
    experiment["task"]["linear"] |= {"dimension": 6, "n_source": 12, "n_target": 4, "n_test": 30} | {key: 10**11 // 8}
    with pytest.raises(ConfigError, match=rf"{key} = 1.25e\+10: .* need .* GB of memory, expected at most 1000 "):
        resolve_config(small_config)


def test_more_than_this_machine_holds_is_a_caution(small_config):
    assert list(demand.cautions(resolve_config(small_config))) == []
    limit = demand.MEMORY
    if not limit.here < limit.most / 10:
        pytest.skip("this machine's memory is among the largest")
    small_config["experiments"]["lin"]["data_seeds"] = 1
    # 32 samples and 4 weights, each twice
    small_config["experiments"]["lin"]["task"]["linear"]["dimension"] = int(2 * limit.here / 72)
    (line,) = demand.cautions(resolve_config(small_config))
    assert re.match(
        r"experiments.lin.task.linear.dimension = \S+: .* need \S+ GB of memory or more \(this machine", line
    )


@pytest.mark.parametrize("key", ["burn_in_time", "sampling_time"])
def test_more_than_a_day_is_a_caution(small_config, key):
    training = {"inverse_temperature": 5, "burn_in_time": 2, "sampling_time": 4} | {key: 1.1e10}
    small_config["experiments"]["lin"]["training"] = {"bayes": training}
    small_config["figures"] = {}
    (line,) = demand.cautions(resolve_config(small_config))
    assert line.startswith(f"experiments.lin.training.bayes.{key} = 1.1e+10: sampling would need 30.6 hours or more (")


@pytest.mark.parametrize("preset", ["config", "ci", "study", "paper"])
def test_ten_times_what_the_presets_do_is_let_through(preset):
    config = load_config(ROOT / f"config/{preset}.yaml")
    for experiment in config["experiments"].values():
        experiment["width"] = [10 * width for width in experiment["width"]]
        for training in experiment["training"].values():
            for key in ("burn_in_time", "sampling_time", "source_time"):
                if key in training:
                    training[key] *= 10
    resolve_config(config)


def test_the_end_of_a_flow_may_be_asked_for(small_config):
    small_config["experiments"]["lin"]["training"]["flow"]["target_times"] = [0, 1, 1e15]
    resolve_config(small_config)
    assert math.isfinite(1e15)


def test_files_say_what_the_configuration_does_not(small_config, tmp_path, monkeypatch):
    """The dimension of a user's arrays counts as that of any family does, though only the file's header says it."""
    for part in ("source", "target", "test"):
        np.savez(tmp_path / f"{part}.npz", x=np.zeros((6, 50)), y=np.arange(6.0))
    files = {part: str(tmp_path / f"{part}.npz") for part in ("source", "target", "test")}
    small_config["experiments"]["lin"]["task"] = {"arrays": files | {"n_source": 5, "n_target": 5}}
    small_config["figures"] = {}
    config = resolve_config(small_config)
    sized = check_files(config)
    assert sized["experiments"]["lin"]["task"]["arrays"]["dimension"] == 50
    assert sized["experiments"]["lin"]["task"]["arrays"]["n_test"] == 6
    config["experiments"]["lin"]["width"] = [10**10]
    assert list(demand.excesses(config)) == []
    with pytest.raises(InputError, match=r"experiments.lin.width = 1e\+10: a job's data and networks would need"):
        check_files(config)
