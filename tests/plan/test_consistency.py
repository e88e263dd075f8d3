"""What is wrong between keys that are each right is said before any job, one line each."""

import copy
import math
from pathlib import Path

import pytest

from infwidth.figures.catalogue import FIGURES
from infwidth.plan.config import ConfigError, load_config, resolve_config
from infwidth.plan.consistency import RESERVED

ROOT = Path(__file__).parents[2]
FLOW = {"weight_decay": 0.1, "source_time": 1, "target_times": [0, 1]}
IMAGES = {"source_classes": [0, 1], "target_classes": [2, 3], "n_source": 8, "n_target": 4}


def lines(config) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolve_config(config)
    return str(caught.value).split("\n")


def study(kind: str, settings: dict, **options) -> dict:
    return {"preset": "mine", "studies": {"s": {"study": {kind: settings}}}, **options}


@pytest.mark.parametrize("name", RESERVED)
def test_a_preset_writes_into_no_folder_of_results(small_config, name):
    (line,) = lines(small_config | {"preset": name})
    assert line.startswith(f"preset = {name!r}: expected a name that results/ does not use")


@pytest.mark.parametrize("kind", ["limit", "expectation", "selection", "support", "architecture"])
def test_every_optimiser_has_a_learning_rate(kind):
    rates = {"momentum": 1, "trained_features": 1} if kind == "selection" else {"momentum": 1}
    (line,) = lines(study(kind, {"optimisers": ["momentum", "sgd"], "learning_rates": rates}))
    assert line.startswith(f"studies.s.study.{kind}.learning_rates.sgd: missing")


def test_the_control_of_selection_has_a_learning_rate():
    (line,) = lines(study("selection", {"learning_rates": {"adam_star": 1, "sgd": 1}}))
    assert "learning_rates.trained_features: missing" in line


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"width": [2.5]}, r"width[0] = 2.5: expected a whole number, or .inf"),
        ({"width": [math.inf], "learning_rates": {"sgd": 1, "frozen_adam": 1}}, "frozen_adam: expected a finite width"),
        ({"learning_rates": {"sgd": [0.1, 0.1 + 1e-14]}}, "learning_rates.sgd = [0.1, 0.1"),
        ({"width": [8, 8.0]}, "different entries (8 stands twice, to 12 digits)"),
        ({"context": 10**6, "batch": 10**3}, "context = 1e+06: attention would need"),
    ],
)
def test_language_studies(settings, words):
    given = {"width": [8], "learning_rates": {"sgd": 1}, "steps": 5, "model_width": 8, "heads": 2}
    (line,) = lines(study("language", given | settings))
    assert words in line


def test_rates_that_differ_in_the_seventh_digit_are_told_apart():
    rates = [0.1, 0.1 * (1 + 1e-8)]
    given = {"width": [8], "learning_rates": {"sgd": rates}, "steps": 5}
    found = resolve_config(study("language", given))["studies"]["s"]["study"]["language"]["learning_rates"]["sgd"]
    assert found == rates
    assert len({f"sweep-{rate:.12g}" for rate in found}) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"training": {"flow": FLOW | {"particles": 7}}}, "particles = 7: expected an even number"),
        ({"training": {"bayes": {"inverse_temperature": 1}}, "controls": ["scratch"]}, "expected none under bayes"),
        ({"task": {"hermite": {"dimension": 5, "source_degree": 171, "target_degree": 1, "n_source": 4, "n_target": 4}}},  # noqa: E501
         "source_degree = 171: expected 1 … 170"),
        ({"task": {"images": IMAGES | {"source_classes": [1, 10]}}}, "source_classes[1] = 10: expected 0 … 9"),
        ({"task": {"images": IMAGES | {"n_source": [8, 10002]}}}, "n_source[1] = 10002: expected ≤ 10000"),
        ({"task": {"images": IMAGES | {"n_test": 2002}}}, "n_test = 2002: expected ≤ 2000"),
        ({"elastic_coupling": [0.3, 0.3 * (1 + 1e-15)]}, "different entries"),
    ],
)  # fmt: skip
def test_experiments(small_config, changes, words):
    config = small_config | {"figures": {}}
    config["experiments"]["lin"] |= changes
    (line,) = lines(config)
    assert words in line


def test_images_are_counted_by_their_data_set(small_config, tmp_path):
    config = small_config | {"figures": {}, "images": {"dataset": "digits"}}
    config["experiments"]["lin"]["task"] = {"images": IMAGES | {"n_source": 296}}
    assert "expected ≤ 294, what two classes of digits have" in lines(config)[0]
    config["experiments"]["lin"]["task"]["images"] |= {"n_source": 290, "target_classes": [1, 2], "n_target": 8}
    assert "n_source/2 + n_target/2 = 149: expected ≤ 147, as they share a class" in lines(config)[0]
    config["images"] = {"path": str(tmp_path / "mine.npz")}  # an archive's are known to the job that reads it
    config["experiments"]["lin"]["task"]["images"] |= {"n_source": 10**5, "source_classes": [0, 77]}
    resolve_config(config)
    assert "samples = 1500: expected ≤ 1442" in lines(study("limit", {"samples": 1500}))[0]
    assert "batch = 64: expected ≤ samples = 60" in lines(study("limit", {"samples": 60, "batch": 64}))[0]
    resolve_config(study("limit", {"samples": 1500, "dataset": "images"}))


@pytest.mark.parametrize(("section", "alone"), [("images", "digits"), ("text", "cpython")])
def test_data_that_come_by_themselves_have_no_path(small_config, section, alone):
    (line,) = lines(small_config | {section: {"dataset": alone, "path": "x"}})
    assert line.startswith(f"{section}.path = 'x': expected none, as ")


def kinds_of(config: dict, name: str) -> tuple:
    if name in config["studies"]:
        return tuple(config["studies"][name]["study"])
    experiment = config["experiments"][name]
    return (*experiment["training"], *experiment["task"])


def test_a_figure_shows_its_own_kind_of_experiment_alone():
    """All pairs of a figure and an experiment of the default: those of its catalogue's kind and no other."""
    config = load_config(ROOT / "config/config.yaml")
    for name, figure in FIGURES.items():
        for experiment in [*config["experiments"], *config["studies"]]:
            found = kinds_of(config, experiment)
            right = found[0] in figure.studies
            if figure.training is not None and not right:
                ways = figure.training if isinstance(figure.training, tuple) else (figure.training,)
                right = found[0] in ways and (not figure.families or found[-1] in figure.families)
            try:
                resolve_config(config | {"figures": {name: experiment}})
            except ConfigError as error:
                text = str(error)
                assert text.startswith(f"figures.{name}[0] = {experiment!r}: ")
                if right:
                    assert any(word in text for word in ("shows", "has activation", "width")), text
            else:
                assert right, (name, experiment)


@pytest.mark.parametrize(
    ("figure", "experiment", "words"),
    [
        ("linear_delta", "linear_flow", "learns by flow, expected bayes"),
        ("linear_dynamics", "cifar_flow", "learns images, expected linear"),
        ("cifar_kernels", "cifar_gain", "set representation: true there"),
        ("cifar_delta", "cifar_gain", "shows one n_target, not [10, 25, 50]"),
        ("bayes_delta", "linear_bayes", "has activation linear"),
        ("adamstar_limit", "adamstar_language", "has no infinite width"),
        ("hermite_delta", "bayes_hermite", "learns by bayes, expected flow"),
        ("expectation", "adamstar_limit", "is a limit study, expected expectation"),
        ("linear_delta", "linear_baves", "did you mean 'linear_bayes'?"),
    ],
)
def test_wrong_pairs_say_why(figure, experiment, words):
    config = load_config(ROOT / "config/config.yaml") | {"figures": {figure: experiment}}
    assert any(words in line for line in lines(config))


def test_a_figure_of_one_experiment_takes_one(small_config):
    config = small_config
    config["experiments"]["other"] = copy.deepcopy(config["experiments"]["lin"])
    config["figures"] = {"linear_dynamics": ["lin", "other"]}
    (line,) = lines(config)
    assert "figures.linear_dynamics = ['lin', 'other']: expected one" in line


def test_an_axis_a_figure_does_not_draw_along_has_one_value(small_config):
    config = small_config
    config["experiments"]["lin"]["target_strength"] = [0.5, 1]
    (line,) = lines(config)
    assert "shows one target_strength, not [0.5, 1]" in line


@pytest.mark.parametrize(
    ("kind", "settings", "words"),
    [
        ("source_richness", {"source_richness": [2, 1]}, "source_richness = [2, 1]: expected increasing values"),
        ("source_richness", {"source_decay": 0.1}, "source_time = inf: expected a finite time at source_decay = 0.1"),
        ("source_richness", {"source_time": 0}, "source_time = 0"),
        ("forgetting", {"source_degree": 171}, "source_degree = 171: expected 1 … 170"),
        ("forgetting", {"width": 7}, "width = 7: expected an even number"),
        ("forgetting", {"activation": "erf", "particles": 9}, "particles = 9: expected an even number"),
        ("forgetting", {"target_time": 1e12}, "target_time = 1e+12: expected ≤ 1e+08 with networks"),
        ("advice_calibration", {"elastic_couplings": [1, 2]}, "elastic_couplings = [1, 2]: expected 0 among them"),
        ("distribution_shift", {"elastic_couplings": [1, 2]}, "elastic_couplings = [1, 2]: expected 0 among them"),
        ("advice_calibration", {"least_target_samples": 50, "most_target_samples": 40}, "most_target_samples = 40"),
        ("advice_calibration", {"source_samples": 3}, "source_samples = 3"),
        ("real_transfer", {"elastic_couplings": [0, 1, 10]}, "expected inf among them"),
        ("real_transfer", {"fixed_coupling": 3}, "expected 3, the fixed_coupling, among them"),
        ("real_transfer", {"network_folds": 3}, "network_folds = 3: expected a divisor of target_samples / 2 = 8"),
        ("real_transfer", {"width": 5}, "width = 5: expected an even number"),
        ("real_transfer", {"source_samples": 5}, "source_samples = 5: expected an even number"),
        ("real_transfer", {"source_samples": 300}, "source_samples = 300: expected ≤ 294"),
        ("real_transfer", {"problems": 6}, "problems = 6: expected ≤ 5, pairs of classes of digits"),
        ("real_transfer", {"training_time": 1e9}, "training_time = 1e+09: expected ≤ 1e+08"),
    ],
)
def test_what_a_study_would_refuse_is_said_before_any_job(kind, settings, words):
    (line,) = lines(study(kind, settings))
    assert line.startswith(f"studies.s.study.{kind}.")
    assert words in line


@pytest.mark.parametrize(
    ("kind", "settings", "seeds", "words"),
    [
        ("forgetting", {}, 2, "theory_seeds = 2: expected ≥ seeds = 3"),
        ("forgetting", {"width": 0}, 9, "theory_seeds = 9: expected null but for"),
        ("distribution_shift", {"width": 0}, 9, "theory_seeds = 9: expected null but for"),
        ("advice_calibration", {}, 9, "expected null but for distribution_shift or forgetting with networks"),
    ],
)
def test_a_theory_is_solved_alone_where_there_are_networks_to_leave_out(kind, settings, seeds, words):
    config = study(kind, settings)
    config["studies"]["s"]["theory_seeds"] = seeds
    (line,) = lines(config)
    assert line.startswith("studies.s.theory_seeds")
    assert words in line


def test_theories_of_forgetting_train_without_networks():
    resolve_config(study("forgetting", {"width": 0, "target_time": 1e12}))
