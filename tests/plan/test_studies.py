"""The cells of ADAM* studies: what a job depends on, and what it doesn't."""

import copy
import importlib
import inspect
import json
import math

import pytest

from infwidth.plan.config import ConfigError, resolve_config
from infwidth.plan.studies import StudyPlan, spelt
from infwidth.plan.transfer import Plan, as_argument

CONFIG = {
    "preset": "mine",
    "studies": {
        "lang": {
            "seeds": 2,
            "study": {
                "language": {
                    "width": [8, "inf"],
                    "no_mlp": True,
                    "learning_rates": {"frozen_adam": [0.1, 0.3], "adam_star": [0.03, 0.1]},
                    "steps": 20,
                }
            },
        },
    },
}


def resolved(**changes):
    config = copy.deepcopy(CONFIG)
    config["studies"]["lang"]["study"]["language"] |= changes
    return resolve_config(config)


def test_a_theory_is_solved_alone_on_the_repetitions_that_networks_lack():
    study = {"seeds": 3, "theory_seeds": 8, "seeds_per_job": 2, "study": {"forgetting": {"width": 10}}}
    plan = StudyPlan(resolve_config({"preset": "mine", "studies": {"kept": study}}))
    widths = {name: plan.parameters("kept", name)["settings"]["width"] for name in plan.cells("kept")}
    assert widths == {"seeds=0-1": 10, "seeds=2-2": 10, "seeds=3-4": 0, "seeds=5-6": 0, "seeds=7-7": 0}
    fewer = StudyPlan(resolve_config({"preset": "mine", "studies": {"kept": study | {"theory_seeds": None}}}))
    for name in fewer.cells("kept"):
        assert as_argument(fewer.parameters("kept", name)) == as_argument(plan.parameters("kept", name))
    later = StudyPlan(resolve_config({"preset": "mine", "studies": {"kept": study | {"added": [1]}}}))
    assert later.parameters("kept", "seeds=8-8")["settings"]["width"] == 10


def test_each_way_at_each_width_is_a_cell_and_infinity_only_where_it_exists():
    plan = StudyPlan(resolved())
    assert plan.cells("lang") == ["no_mlp", "frozen_adam__width=8", "adam_star__width=8", "adam_star__width=inf"]
    found = json.loads(as_argument(plan.parameters("lang", "adam_star__width=inf")))
    assert (found["width"], found["learning_rates"], list(found["seeds"])) == ("inf", [0.03, 0.1], ["0", "1"])
    assert plan.parameters("lang", "no_mlp")["learning_rates"] == []
    assert "4 cells" in Plan(resolved()).describe()


def test_a_new_width_or_optimiser_changes_no_other_job():
    before, rates = StudyPlan(resolved()), {"adam_star": [0.03, 0.1], "sgd": [1, 2]}
    after = StudyPlan(resolved(width=[4, 8], learning_rates=rates))
    shared = set(before.cells("lang")) & set(after.cells("lang"))
    assert shared == {"no_mlp", "adam_star__width=8"}
    for cell in shared:
        assert before.parameters("lang", cell) == after.parameters("lang", cell)


def test_seeds_of_a_study_of_single_blocks_share_a_job_and_keep_their_roots():
    def plan(per_job):
        study = {"seeds": 5, "seeds_per_job": per_job, "study": {"limit": {}}}
        return StudyPlan(resolve_config({"preset": "mine", "studies": {"s": study}}))

    def roots(plan):
        return {seed: root for cell in plan.cells("s") for seed, root in plan.parameters("s", cell)["seeds"].items()}

    alone, grouped = plan(1), plan(2)
    assert grouped.cells("s") == ["seeds=0-1", "seeds=2-3", "seeds=4-4"]
    assert roots(alone) == roots(grouped)
    assert len(set(roots(alone).values())) == len(alone.cells("s")) == 5


def test_seeds_differ_by_purpose_and_all_variants_share_them():
    plan = StudyPlan(resolved())
    one, other = (plan.parameters("lang", cell) for cell in ("frozen_adam__width=8", "adam_star__width=8"))
    assert (one["seeds"], one["sweep_seed"]) == (other["seeds"], other["sweep_seed"])
    assert len({*one["seeds"].values(), one["sweep_seed"]}) == 3


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rates": {"sgd": [1], "adam_star": [1, 2]}}, "expected as many for each"),
        ({"learning_rates": {"adamstar": [1]}}, "did you mean 'adam_star'"),
        ({"heads": 5}, "expected a divisor of model_width = 64"),
        ({"width": [0]}, "width[0] = 0"),
        ({"width": [math.inf], "learning_rates": {"frozen_adam": [1]}}, "expected one of sgd, momentum"),
        ({"steps": 0}, "steps = 0"),
        ({"steps": math.inf}, "steps = inf"),
    ],
)
def test_bad_keys_are_one_line(changes, words):
    with pytest.raises(ConfigError) as caught:
        resolved(**changes)
    (line,) = str(caught.value).splitlines()
    assert words in line
    assert "studies.lang.study.language" in line


def test_a_key_of_before_leads_to_what_it_is_now():
    with pytest.raises(ConfigError, match=r"^adam_ntk: unknown key; .*; it is 'studies' now: rename it$"):
        resolve_config({"preset": "mine", "adam_ntk": CONFIG["studies"]})
    with pytest.raises(ConfigError, match=r"^studies\.lang\.adam_ntk: unknown key; .*; remove it$"):
        resolve_config({"preset": "mine", "studies": {"lang": CONFIG["studies"]["lang"] | {"adam_ntk": 1}}})


def test_names_and_figures(small_config):
    config = small_config | {"studies": {"lin": CONFIG["studies"]["lang"]}}
    with pytest.raises(ConfigError, match=r"studies\.lin: expected a name that experiments does not use"):
        resolve_config(config)
    config = small_config | copy.deepcopy({"studies": CONFIG["studies"], "figures": {"linear_delta": "lang"}})
    with pytest.raises(ConfigError, match="is a language study, expected transfer"):
        resolve_config(config)
    with pytest.raises(ConfigError, match=r"experiments = \{\}: expected at least one entry"):
        resolve_config({"preset": "mine"})
    config = resolve_config(small_config | {"studies": CONFIG["studies"], "only": "lang"})
    assert (Plan(config).experiments, Plan(config).studies) == ([], ["lang"])


@pytest.mark.parametrize("kind", ["limit", "expectation", "selection", "support", "architecture"])
def test_the_schemas_defaults_are_the_studys(kind):
    settings = resolve_config({"preset": "mine", "studies": {"s": {"study": {kind: {}}}}})
    found = settings["studies"]["s"]["study"][kind]
    run = importlib.import_module(f"infwidth.studies.{kind}").run
    expected = {
        name: list(value.default) if isinstance(value.default, tuple) else value.default
        for name, value in inspect.signature(run).parameters.items()
        if name not in ("seed", "dataset_path", "progress")
    }
    assert found == expected


@pytest.mark.parametrize(("value", "name"), [(4, "4"), (0.5, "0.5"), (1e-5, "1e-05"), (math.inf, "inf")])
def test_names_of_cells_are_short(value, name):
    assert spelt(value) == name


def test_no_two_values_share_a_name():
    values = [0.3, 0.1 + 0.2, math.nextafter(0.3, 0), 10**15, 10**15 + 1, 1 / 3]
    assert len({spelt(value) for value in values}) == len(values)
