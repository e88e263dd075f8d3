"""What no machine could do is refused with the key to change; what people do is not."""

import math
import time
from pathlib import Path

import pytest

from infwidth.plan.config import ConfigError, load_config, resolve_config

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
        ("adam_ntk/adamstar_language/study/language/width", [1e13]),
        ("adam_ntk/adamstar_language/study/language/steps", 1e17),
        ("adam_ntk/adamstar_language/study/language/model_width", 1e8),
        ("adam_ntk/adamstar_language/study/language/layers", 1e10),
        ("adam_ntk/adamstar_language/study/language/context", 1e7),
        ("adam_ntk/adamstar_language/seeds", 1e6),
        ("adam_ntk/adamstar_limit/seeds", 1e6),
        ("adam_ntk/adamstar_limit/study/limit/widths", [64, 1e12]),
        ("adam_ntk/adamstar_limit/study/limit/steps", 1e17),
        ("adam_ntk/adamstar_expectation/study/expectation/draws", 1e17),
        ("adam_ntk/adamstar_selection/study/selection/dimensions", [1e12]),
        ("adam_ntk/adamstar_selection/study/selection/trained_widths", 1e12),
        ("adam_ntk/adamstar_selection/study/selection/sampled_features", 1e17),
        ("adam_ntk/adamstar_support/study/support/samples", 1e12),
        ("adam_ntk/adamstar_architecture/study/architecture/width", 1e12),
    ],
)
def test_absurd_sizes_name_the_key_at_once(path, value):
    config = load_config(ROOT / "config/config.yaml")
    config["adam_ntk"]["adamstar_architecture"] = config["adam_ntk"].pop("adamstar_ablation")
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
