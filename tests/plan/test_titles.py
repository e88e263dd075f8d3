"""Experiments are called in words: by their title, else by what they are; a title redraws, and trains nothing."""

import pytest

from infwidth.figures.parts.style import panel_titles
from infwidth.io.tables import make_table
from infwidth.numerics.activations import ACTIVATIONS
from infwidth.numerics.checks import InputError
from infwidth.plan.config import load_config, resolve_config
from infwidth.plan.report import report_parameters
from infwidth.plan.titles import experiment_titles
from infwidth.plan.transfer import Plan
from infwidth.studies.kinds import KINDS

STUDIES = "studies"


def test_no_experiment_of_a_preset_is_called_by_its_key(root, monkeypatch):
    monkeypatch.chdir(root)
    for path in ("config/config.yaml", "config/ci.yaml", "config/study.yaml", "config/paper.yaml"):
        config = load_config(path)
        titles = experiment_titles(config, [*config["experiments"], *config[STUDIES]])
        assert {name for name, title in titles.items() if "_" in title or title == name} == set()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_written_as_the_field_writes_them(activation):
    config = {"experiments": {"a_b": {"title": None, "activation": activation}}, STUDIES: {}}
    (title,) = experiment_titles(config, ["a_b"]).values()
    assert title.removesuffix(" networks").lower() == activation


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_study_has_words(kind):
    config = {"experiments": {}, STUDIES: {"a_b": {"title": None, "study": {kind: {}}}}}
    (title,) = experiment_titles(config, ["a_b"]).values()
    assert "_" not in title


def test_a_title_is_taken_as_it_is_and_changes_no_job_but_figures_and_report(root, monkeypatch):
    monkeypatch.chdir(root)
    config = load_config("config/ci.yaml")
    before = Plan(config)
    config["experiments"]["linear_bayes"]["title"] = "50 % of $x_{"
    after = Plan(config)
    assert report_parameters(after)["titles"]["linear_bayes"] == "50 % of $x_{"
    for cells in ("network_cells", "theory_cells", "source_cells"):
        assert getattr(before, cells)("linear_bayes") == getattr(after, cells)("linear_bayes")
    (cell, *_) = after.theory_cells("linear_bayes")
    assert "title" not in str(after.theory_parameters("linear_bayes", cell))
    rows = make_table(
        [{"experiment": "linear_bayes", "dataset": "linear teachers"}, {"experiment": "b", "dataset": "d"}]
    )
    rows.attrs["titles"] = experiment_titles(config, ["linear_bayes"])
    assert panel_titles(rows) == {"linear_bayes": "linear teachers, 50 % of $x_{", "b": "d"}


@pytest.mark.parametrize("title", ["a\nb", "x" * 61, "", 3])
def test_a_title_is_one_line(root, monkeypatch, title):
    monkeypatch.chdir(root)
    config = load_config("config/ci.yaml")
    config["experiments"]["linear_bayes"]["title"] = title
    with pytest.raises(InputError, match="title"):
        resolve_config(config)
