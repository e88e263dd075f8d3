"""Data sets and networks that are added later: jobs of their own, and every earlier one as it was."""

import copy

import pytest

from infwidth.plan.additions import lay, looks, read_additions, with_additions, write_additions
from infwidth.plan.config import resolve_config
from infwidth.plan.groups import Groups, study_groups
from infwidth.plan.studies import StudyPlan
from infwidth.plan.transfer import Plan, as_argument

LOOKS = [{"theory_data_seeds": 6}, {"data_seeds": 3}, {"network_seeds": 2}, {"data_seeds": 9, "theory_data_seeds": 1}]


@pytest.fixture
def resolved(small_config):
    config = copy.deepcopy(small_config)
    config["experiments"]["lin"] |= {"data_seeds": 5, "seeds_per_job": 2, "network_seeds": 1}
    config["studies"] = {
        "single": {"seeds": 3, "seeds_per_job": 2, "study": {"limit": {}}},
        "lang": {
            "seeds": 2,
            "study": {
                "language": {"width": [8], "no_mlp": True, "learning_rates": {"adam_star": [0.1, 1]}, "steps": 2}
            },
        },
    }
    return resolve_config(config)


def jobs(config):
    made, studies = Plan(config), StudyPlan(config)
    found = {f"source/{n}": as_argument(made.source_parameters("lin", n)) for n in made.source_cells("lin")}
    found |= {f"target/{n}": as_argument(made.network_parameters("lin", n)) for n in made.network_cells("lin")}
    found |= {f"theory/{n}": as_argument(made.theory_parameters("lin", n)) for n in made.theory_cells("lin")}
    for part, cells in (("source", made.source_data_cells("lin")), ("target", made.target_data_cells("lin"))):
        found |= {f"data/{part}/{n}": as_argument(made.data_parameters("lin", n, part)) for n in cells}
    for study in ("single", "lang"):
        found |= {f"{study}/{n}": as_argument(studies.parameters(study, n)) for n in studies.cells(study)}
    return found


def test_each_look_leaves_all_jobs_before_it_as_they_were(resolved):
    before = jobs(resolved)
    for number in range(1, len(LOOKS) + 1):
        added = {"experiments": {"lin": LOOKS[:number]}, "studies": {"single": [2] * number, "lang": [1] * number}}
        after = jobs(lay(resolved, added))
        assert {job: after[job] for job in before} == before
        assert len(after) > len(before)
        before = after


def test_every_network_has_its_data_and_its_source(resolved):
    made = Plan(lay(resolved, {"experiments": {"lin": LOOKS}}))
    for cell in made.network_cells("lin").values():
        source = made.source_cells("lin")[made.project(cell, made.source_cells("lin"))]
        assert (source["seeds"], source["networks"]) == (cell["seeds"], cell["networks"])
        for cells in (made.source_data_cells("lin"), made.target_data_cells("lin")):
            assert cells[made.project(cell, cells)]["seeds"] == cell["seeds"]


def test_no_data_set_is_made_twice_or_left_out(resolved):
    found = Groups.of(lay(resolved, {"experiments": {"lin": LOOKS}})["experiments"]["lin"])
    pairs = [(s, n) for group in found.networks.values() for s in group["seeds"] for n in group["networks"]]
    assert sorted(pairs) == [(s, n) for s in range(17) for n in range(3)]
    assert sorted(seed for seeds in found.theory.values() for seed in seeds) == list(range(17))
    assert (found.data_sets, found.theory_data_sets, found.network_seeds) == (17, 17, 3)
    # three data sets more were the theory's already: that look was the networks' alone
    assert found.looks == {"theory": 3, "networks": 4}


def test_added_networks_are_other_networks(resolved):
    made = Plan(lay(resolved, {"experiments": {"lin": LOOKS}}))
    seeds = [
        seed
        for name in made.source_cells("lin")
        for networks in made.source_parameters("lin", name)["network_seeds"].values()
        for seed in networks
    ]
    assert len(seeds) == len(set(seeds)) == 17 * 3


def test_seeds_added_to_a_language_study_train_at_the_rate_that_was_chosen(resolved):
    plan = StudyPlan(lay(resolved, {"studies": {"lang": [2, 1]}}))
    names = ["no_mlp", "adam_star__width=8"]
    assert plan.cells("lang") == [*names, *(f"{n}__seeds=2-3" for n in names), *(f"{n}__seeds=4-4" for n in names)]
    assert [plan.swept_cell("lang", cell) for cell in plan.cells("lang")] == [None, None, *names, *names]
    assert study_groups(plan.config["studies"]["single"]) == {"seeds=0-1": [0, 1], "seeds=2-2": [2]}


def test_what_was_added_is_read_by_every_run_and_inherited_by_none(small_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small_config["preset"] = "mine"
    small_config["experiments"]["other"] = copy.deepcopy(small_config["experiments"]["lin"])
    plain = with_additions(small_config)
    assert plain == resolve_config(small_config)
    assert looks(plain, "lin") == {}
    (tmp_path / "results/mine").mkdir(parents=True)
    write_additions("results/mine", {"experiments": {"lin": [{"data_seeds": 2}], "gone": [{"data_seeds": 1}]}})
    found = with_additions(small_config)
    assert [more["data_seeds"] for more in found["experiments"]["lin"]["added"]] == [2]
    assert found["experiments"]["other"]["added"] == []
    assert looks(found, "lin") == {"theory": 2, "networks": 2}
    assert looks(found, "other") == {"theory": 1, "networks": 1}
    assert read_additions("results/mine")["experiments"]["gone"] == [{"data_seeds": 1}]


@pytest.mark.parametrize("text", ["- 3\n", "lin: 3\n", "experiments: {lin: 3}\n", "experiments: {lin: [{seeds: 1}]}\n"])
def test_a_file_of_additions_that_is_none_is_refused_in_one_line(small_config, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    small_config["preset"] = "mine"
    (tmp_path / "results/mine").mkdir(parents=True)
    (tmp_path / "results/mine/added.yaml").write_text(text)
    with pytest.raises(ValueError, match="expected") as raised:
        with_additions(small_config)
    assert len(str(raised.value).splitlines()) == 1
