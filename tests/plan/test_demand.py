"""What no machine could do is refused with the key to change; what people do is not."""

import re
import time
from pathlib import Path

import numpy as np
import pytest

from infwidth.engines import ENGINES
from infwidth.numerics.checks import InputError
from infwidth.plan import demand
from infwidth.plan.config import ConfigError, load_config, resolve_config
from infwidth.plan.inputs import check_files
from infwidth.studies.kinds import KINDS
from infwidth.tasks.families import FAMILIES

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
def test_a_chain_longer_than_its_steps_is_refused(small_config, key):
    training = {"inverse_temperature": 5, "burn_in_time": 2, "sampling_time": 4}
    small_config["experiments"]["lin"]["training"] = {"bayes": training | {key: 9e5}}
    small_config["figures"] = {}
    assert list(demand.cautions(resolve_config(small_config))) == []
    training[key] = 1.1e6
    small_config["experiments"]["lin"]["training"] = {"bayes": training}
    with pytest.raises(
        ConfigError, match=rf"{key} = 1.1e\+06: sampling would need 1.1 million steps, expected at most 1 "
    ):
        resolve_config(small_config)


def test_more_than_a_day_is_a_caution(small_config):
    study = {"language": {"width": [8], "learning_rates": {"sgd": [1.0]}, "steps": 1_100_000_000}}
    (line,) = demand.cautions(resolve_config({"preset": "mine", "studies": {"s": {"study": study}}}))
    assert line.startswith("studies.s.study.language.steps = 1.1e+09: training would need ")


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
    experiment = small_config["experiments"]["lin"]
    experiment["training"]["flow"]["target_times"] = [0, 1, 1e15]
    with pytest.raises(ConfigError, match=r"target_times = 1e\+15: expected ≤ 1e\+08 with networks"):
        resolve_config(small_config)
    resolve_config(small_config | {"experiments": {"lin": experiment | {"width": []}}})


def test_files_say_what_the_configuration_does_not(small_config, tmp_path, monkeypatch):
    """The dimension of a user's arrays counts as that of any family does, though only the file's header says it."""
    for part in ("source", "target", "test"):
        np.savez(tmp_path / f"{part}.npz", x=np.zeros((6, 50)), y=np.arange(6) + 0.5)
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


TASKS = {
    "linear": {"dimension": 10, "overlap": 0.5, "n_source": 20, "n_target": 10, "n_test": 20},
    "hermite": {"dimension": 10, "source_degree": 1, "target_degree": 2, "n_source": 20, "n_target": 10, "n_test": 20},
    "images": {"source_classes": [0, 1], "target_classes": [2, 3], "n_source": 20, "n_target": 10, "n_test": 20},
    "arrays": {"source": "a.npz", "target": "b.npz", "n_source": 20, "n_target": 10, "n_test": 20},
}
TRAININGS = {
    "bayes": {"inverse_temperature": 5, "particles": 128},
    "flow": {"weight_decay": 0.1, "source_time": 3, "target_times": [1, 2], "particles": 8},
}
NEEDED = {"language": {"width": [8], "learning_rates": {"adam_star": [0.1]}, "steps": 10}}
SCALES = re.compile(
    r"seed|.*(noise|noises|decay|temperature|coupling|couplings|strength|richness|rates?|overlaps?|precision)|beta2|"
    r"rates\.\w+|learning_rates\.\w+"
)
"""Settings of which a large value takes no longer, if it is allowed at all."""
NO_MORE = {
    *("max_bytes", "seeds_per_job", "warmup", "final_windows", "full_until", "recorded", "size"),
    *("source_time", "target_time", "target_times"),
}
"""Upper bounds of what there is, and times that a theory reaches at once; with networks they are limited."""


def _wholes():
    """One configuration of each family, engine and study, resolved."""
    assert set(TASKS) == set(FAMILIES)
    assert set(TRAININGS) == set(ENGINES)
    shared = {"preset": "mine", "images": {"path": "mine.npz"}}
    for family, task in TASKS.items():
        for engine, training in TRAININGS.items():
            entry = {"task": {family: task}, "training": {engine: training}, "activation": "erf", "width": 8}
            entry |= dict.fromkeys(("source_strength", "target_strength", "elastic_coupling"), 1)
            yield resolve_config(shared | {"experiments": {"e": entry}})
    for kind in KINDS:
        yield resolve_config(shared | {"studies": {"s": {"study": {kind: NEEDED.get(kind, {})}}}})


def _numbers(value, path=()):
    """Path of each setting that is a number, or a list of some."""
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _numbers(inner, (*path, name))
            continue
        several = inner if isinstance(inner, list) else [inner]
        if all(isinstance(one, int | float | None) and not isinstance(one, bool) for one in several):
            yield (*path, name)


def _with(config, path, value):
    """A configuration with one setting changed, in a list of one where it is a list."""
    name, *rest = path
    if rest:
        return config | {name: _with(config[name], rest, value)}
    return config | {name: [value] if isinstance(config[name], list) else value}


@pytest.mark.parametrize("value", [10**12, 10**17])
def test_every_count_of_the_schema_is_limited(value):
    let_through = []
    for config in _wholes():
        for path in _numbers(config):
            free = path[-1] in NO_MORE or SCALES.fullmatch(path[-1]) or "learning_rates" in path
            averaged = path[-2:] in (("phases", "target_ratios"), ("phases", "source_ratio"))  # of D → ∞
            if free or averaged or path[-1] in ("theory_data_seeds", "path", "only", "title", "claims"):
                continue
            try:
                resolve_config(_with(config, path, value))
            except ConfigError:
                continue
            let_through.append(".".join(path))
    assert let_through == []


@pytest.mark.parametrize("value", [1e200, 1e-200, 5e-324, 1.7e308, 3e12, 3e-13, -1e200, -1e-200, 10**13])
def test_no_number_of_a_study_is_of_a_size_that_only_its_job_would_refuse(value):
    """Every number, at its key: a job would end in an overflow, or in a status after its work."""
    let_through = []
    for config in _wholes():
        for path in _numbers({"studies": config["studies"]}):
            if path[2] != "study":
                continue
            with pytest.raises(ConfigError) as caught:
                resolve_config(_with(config, path, value))
            if not any(line.startswith(".".join(path)) for line in str(caught.value).split("\n")):
                let_through.append(path)
    assert let_through == []


def test_what_is_added_is_counted(small_config):
    for key in ("data_seeds", "network_seeds", "theory_data_seeds"):
        added = [{"network_seeds": 1}, {key: 10**7}]
        config = _with(small_config, ("experiments", "lin"), small_config["experiments"]["lin"] | {"added": added})
        with pytest.raises(ConfigError, match=rf"added\[1\].{key} = 1e\+07: .* would need 10"):
            resolve_config(config)
    with pytest.raises(ConfigError, match="added = 1e"):
        resolve_config({"preset": "mine", "studies": {"s": {"study": {"phases": {}}, "added": [1, 10**7]}}})


@pytest.mark.parametrize("value", [10**9, 10**12])
def test_what_is_let_through_at_a_billion_is_a_caution(value):
    """Counts of what is solved or trained one after another, whatever memory this machine has."""
    turns = {"data_sets", "replicas", "problems", "draws", "network_seeds", "burn_in_time", "sampling_time"}
    turns |= {"steps", "sweep_steps", "trained_steps"}
    silent, seen = [], set()
    for config in _wholes():
        for path in _numbers(config):
            if path[-1] not in turns:
                continue
            seen.add(path[-1])
            try:
                found = resolve_config(_with(config, path, value))
            except ConfigError:
                continue
            if not list(demand.cautions(found)):
                silent.append(".".join(path))
    assert silent == []
    assert seen == turns
