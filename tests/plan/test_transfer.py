"""Cells and job parameters: what is shared, and what a changed key reaches."""

import copy

import pytest

from infwidth.numerics.checks import InputError
from infwidth.plan.config import resolve_config
from infwidth.plan.transfer import Plan, as_argument


@pytest.fixture
def plan(small_config):
    def make(**changes) -> Plan:
        config = copy.deepcopy(small_config)
        config["experiments"]["lin"] |= {"data_seeds": 5, "seeds_per_job": 2}
        config["experiments"]["lin"]["task"]["linear"].update(changes.pop("task", {}))
        config["experiments"]["lin"].update(changes)
        return Plan(resolve_config(config))

    return make


def parameters(made: Plan) -> dict[str, str]:
    jobs = {}
    for part in ("source", "target"):
        cells = made.source_data_cells("lin") if part == "source" else made.target_data_cells("lin")
        jobs |= {f"data/{part}/{name}": as_argument(made.data_parameters("lin", name, part)) for name in cells}
    jobs |= {f"source/{n}": as_argument(made.source_parameters("lin", n)) for n in made.source_cells("lin")}
    jobs |= {f"target/{n}": as_argument(made.network_parameters("lin", n)) for n in made.network_cells("lin")}
    return jobs | {f"theory/{n}": as_argument(made.theory_parameters("lin", n)) for n in made.theory_cells("lin")}


def changed(before: Plan, after: Plan) -> set[str]:
    old, new = parameters(before), parameters(after)
    return {
        job.split("/")[0] + ("/" + job.split("/")[1] if job.startswith("data") else "")
        for job in new
        if new[job] != old.get(job)
    }


def test_names_spell_out_values_and_groups(plan):
    assert list(plan().source_cells("lin")) == [
        f"n_source=8__width=4__source_strength=1__seeds={group}" for group in ("0-1", "2-3", "4-4")
    ]
    assert len(plan().network_cells("lin")) == 2 * 3


def test_overlap_reaches_no_source(plan):
    assert changed(plan(), plan(task={"overlap": [0, 0.5, 0.7]})) == {"data/target", "target", "theory"}
    before, after = parameters(plan()), parameters(plan(task={"overlap": [0.7, 0, 0.5]}))
    assert before == {job: after[job] for job in before}  # a value put in front changes no other job


def test_coupling_reaches_target_and_theory_alone(plan):
    assert changed(plan(), plan(elastic_coupling=[0, 2])) == {"target", "theory"}


def test_more_seeds_leave_full_groups_alone(plan):
    more = parameters(plan(data_seeds=9))
    for job, argument in parameters(plan()).items():
        if "seeds=4-4" not in job:
            assert more[job] == argument


def test_theory_knows_neither_width_nor_sampler(plan):
    assert changed(plan(), plan(width=[6])) == {"source", "target"}
    assert changed(plan(), plan(network_seeds=2)) == {"source", "target"}
    assert changed(plan(), plan(precision="float32")) == {"source", "target"}


def test_target_times_leave_the_source_alone(plan):
    flow = {"weight_decay": 0.1, "source_time": 1, "target_times": [0, 1, 2]}
    assert changed(plan(), plan(training={"flow": flow})) == {"target", "theory"}


def test_projection_finds_what_a_cell_builds_on(plan):
    made = plan()
    for cell in made.network_cells("lin").values():
        name = made.project(cell, made.source_cells("lin"))
        assert made.source_cells("lin")[name]["seeds"] == cell["seeds"]
    with pytest.raises(KeyError, match="no cell"):
        made.project({"n_source": 9, "seeds": [0, 1]}, made.source_data_cells("lin"))


def test_only_and_theory_switch(small_config):
    config = small_config
    config["experiments"]["other"] = copy.deepcopy(config["experiments"]["lin"]) | {"theory": False}
    config["only"] = "lin"
    made = Plan(resolve_config(config))
    assert made.experiments == ["lin"]
    assert made.theory_cells("other") == {}
    assert made.figures == {"linear_dynamics": ["lin"]}


def test_pictures_are_prepared_only_where_it_is_asked_for(small_config):
    images = {"source_classes": [0, 1], "target_classes": [2, 3], "n_source": 8, "n_target": 4}
    small_config["experiments"]["lin"] |= {"task": {"images": images}}
    small_config["figures"] = {}
    plain = Plan(resolve_config(small_config)).pool_parameters("lin")
    assert not {"grayscale", "size"} & set(plain)
    asked = small_config | {"images": {"grayscale": True, "size": 14}}
    assert Plan(resolve_config(asked)).pool_parameters("lin") == plain | {"grayscale": True, "size": [14]}


def test_more_data_sets_of_the_theory_alone_leave_every_other_job_as_it_was(plan):
    before, after = plan(), plan(theory_data_seeds=10)
    old, new = parameters(before), parameters(after)
    assert all(new[job] == old[job] for job in old)
    assert {job.split("/")[0] for job in set(new) - set(old)} == {"data", "theory"}
    assert [cell["seeds"] for cell in after.theory_cells("lin").values()][:6] == [
        [0, 1],
        [2, 3],
        [4],
        [5, 6],
        [7, 8],
        [9],
    ]
    assert before.network_cells("lin") == after.network_cells("lin")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"theory_data_seeds": 4}, "at least data_seeds = 5"),
        ({"theory_data_seeds": 9, "theory": False}, "theory is false"),
    ],
)
def test_more_data_sets_of_a_theory_that_has_none_are_refused(plan, changes, words):
    with pytest.raises(InputError, match=words):
        plan(**changes)
