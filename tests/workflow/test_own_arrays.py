"""A user's own arrays through the DAG by the lines of docs/own_data.md: config/mine.yaml, with classes and claims."""

import json
import math
import re

import numpy as np
import pytest
import yaml

from infwidth.io.tables import read_table
from infwidth.tasks.example_data import example_task

from .conftest import linear

ADDED = {
    "extends": "mine",
    "task": {
        "arrays": {
            **{part: f"../data/classes/{part}.npz" for part in ("source", "target", "test")},
            **{"n_source": 20, "n_target": 8, "n_test": None},
        }
    },
    "training": {"bayes": {"burn_in_time": 2, "sampling_time": 4, "particles": 128}},
    "width": 40,
    "elastic_coupling": [0, 10],
    "activation": "linear",
    "data_seeds": 1,
}
FIGURES = ("bayes_delta", "delta_choice")
BELOW = {"collect", "figure", "judge", "claims", "verdicts", "report"}


def write_classes(folder):
    """Words of 20 classes, of the source one-hot labels of 7."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, count in (("source", 7), ("target", 20), ("test", 20)):
        y = np.arange(60) % count
        x = 2 * np.eye(20)[y] + 0.5 * rng.standard_normal((60, 20))
        labels = np.eye(7)[y] if part == "source" else np.array([f"class {i}" for i in range(20)])[y]
        np.savez(folder / f"{part}.npz", x=x, y=labels)


@pytest.fixture(scope="module")
def project(make_project, root):
    """The page's lines as they stand, on its configuration with the page's claims and an experiment of classes."""
    made = make_project({"preset": "default", "experiments": {"lin": linear({"bayes": {"inverse_temperature": 5}})}})
    page = (root / "docs/own_data.md").read_text(encoding="utf-8")
    claims = re.search(r"```yaml\n(.*?)```", page[page.index("my_claims.yaml") :], re.DOTALL)[1]
    (made.root / "my_claims.yaml").write_text(claims, encoding="utf-8")
    write_classes(made.root / "data/classes")
    path = made.root / "config/mine.yaml"
    mine = yaml.safe_load(path.read_text(encoding="utf-8")) | {"claims": "my_claims.yaml"}
    mine["experiments"]["classes"] = ADDED
    path.write_text(yaml.safe_dump(mine), encoding="utf-8")
    making, running = re.search(r"```sh\n(.*?)```", page, re.DOTALL)[1].splitlines()
    for line, most in ((making, 1), (running, math.inf)):
        program, *words = line.split()
        assert program == "infwidth"
        done = made.infwidth(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(done.stdout.splitlines()) <= most
    return made


def planned(project):
    """Rules that would run."""
    done = project.infwidth("plan", "--config", "config/mine.yaml")
    assert done.returncode == 0, done.stderr
    return {line.split()[0] for line in done.stdout.splitlines() if re.fullmatch(r"\w+ +\d+", line)}


@pytest.fixture
def put(project):
    """Let a test write another file in place of one of the three; the first is put back."""
    saved = {}

    def write(part, x, y):
        path = project.root / f"data/mine/{part}.npz"
        saved.setdefault(path, path.read_bytes())
        np.savez(path, x=x, y=y)

    yield write
    for path, held in saved.items():
        path.write_bytes(held)


def test_the_run_holds_networks_theory_figures_and_claims(project):
    results = project.root / "results/mine"
    table = read_table(results / "tables/mine.csv")
    assert set(table["kind"]) == {"theory", "network"}
    assert set(table["dataset"]) == {"source → target"}
    for figure in FIGURES:
        assert (results / f"figures/{figure}.png").stat().st_size > 0
    (claim,) = json.loads((results / "claims.json").read_text(encoding="utf-8"))
    assert claim["id"] == "mine.source.helps"
    with np.load(next((results / "data/mine/target").glob("*.npz"))) as drawn:
        assert drawn["x_target"].shape == (2, 30, 16)
        assert drawn["x_test"].shape == (2, 300, 16)


def test_twenty_classes_are_outputs_of_networks_and_theory(project):
    table = read_table(project.root / "results/mine/tables/classes.csv")
    for kind in ("theory", "network"):
        found = table[(table["kind"] == kind) & (table["metric"] == "test_error")]
        assert set(found["elastic_coupling"]) == {0, 10}
        assert ((found["value"] > 0) & (found["value"] < 1)).all()
    with np.load(next((project.root / "results/mine/data/classes/source").glob("*.npz"))) as drawn:
        assert drawn["y_source"].shape == (1, 20, 7)


def test_gradient_flow_refuses_several_classes_before_any_job(project):
    classes = linear({"flow": {"weight_decay": 0.1, "source_time": 1, "target_times": [1]}})
    classes["task"] = ADDED["task"]
    written = yaml.safe_dump({"preset": "flow", "experiments": {"classes": classes}, "figures": {}})
    (project.root / "config/flow.yaml").write_text(written, encoding="utf-8")
    done = project.infwidth("plan", "--config", "config/flow.yaml")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "Error: experiments.classes.training.flow: labels need 20 outputs; expected bayes, which covers several"
    )


def test_a_second_run_does_nothing_and_touch_re_runs_nothing(project):
    assert planned(project) == set()
    for path in (project.root / "data/mine").iterdir():
        path.touch()
    assert planned(project) == set()


@pytest.mark.parametrize(
    ("part", "again"),
    [("target", {"data", "target", "theory"}), ("source", {"data", "source", "target", "theory"})],
)
def test_a_changed_file_makes_again_what_depends_on_it(project, put, part, again):
    task = example_task()
    put(part, getattr(task, f"x_{part}"), -getattr(task, f"y_{part}"))
    assert planned(project) == again | BELOW


def test_bad_files_end_in_one_line_before_any_job(project, put):
    task = example_task()
    put("source", task.x_source[:10], task.y_source[:10])
    done = project.infwidth("plan", "--config", "config/mine.yaml")
    assert done.returncode != 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        "Error: experiments.mine.task.arrays: n_source = 60: expected at most 10, as data/mine/source"
    )
    put("source", task.x_source[:, :7], task.y_source)
    assert "expected one dimension" in project.infwidth("plan", "--config", "config/mine.yaml").stderr
    (project.root / "data/mine/source.npz").unlink()
    done = project.infwidth("run", "--config", "config/mine.yaml")
    assert "data/mine/source.npz: no such file" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_bad_sample_stops_its_experiment_in_one_line(project, put):
    task = example_task()
    x = np.array(task.x_target)
    x[3, 2] = np.nan
    put("target", x, task.y_target)
    done = project.infwidth("run", "--config", "config/mine.yaml")
    assert done.returncode != 0
    assert "target.npz, x: holds 1 NaN" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
