"""Outputs that are cut, changed or deleted are made again, or named in one line; never half believed."""

import json
import os
import random
import shutil
import time

import pytest

from infwidth.plan.outputs import job_files, set_damaged_aside
from infwidth.plan.run_record import recorded_configuration

from .conftest import TRAINED, linear

FLOW = linear(TRAINED)
FLOW["task"]["linear"]["overlap"] = [0.9]
CONFIG = {"preset": "default", "experiments": {"flow": FLOW}, "figures": {"linear_dynamics": "flow"}}
HOURS = 3600


@pytest.fixture(scope="module")
def project(make_project):
    made = make_project(CONFIG)
    made.run()
    shutil.copytree(made.root / "results", made.root / "kept", copy_function=shutil.copy2)
    return made


@pytest.fixture(autouse=True)
def finished(project):
    """Each test starts from the same finished run."""
    yield
    restore(project)


def restore(project):
    shutil.rmtree(project.root / "results")
    shutil.copytree(project.root / "kept", project.root / "results", copy_function=shutil.copy2)


def outputs(folder):
    """Path below the folder → content, of all that jobs wrote and of which a run is about."""
    kinds = ("tables/*.csv", "tables/*.npz", "claims/*.json", "claims.*", "figures/*.csv", "figures/*.png")
    paths = [path for kind in kinds for path in folder.glob(kind) if ".manifest" not in path.name]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths if path.suffix != ".damaged"}


def run(project):
    """Run, and return what was said."""
    done = project.snakemake()
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Traceback" not in said
    return said


def damage(path, how, draw):
    raw = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "cut":
        path.write_bytes(raw[: draw.randrange(len(raw))])
    elif how == "digit":  # the least that can be wrong: one digit, another
        at = draw.choice([i for i, byte in enumerate(raw) if 48 <= byte < 58] or [0])
        path.write_bytes(raw[:at] + bytes([48 + (raw[at] - 47) % 10]) + raw[at + 1 :])
    else:
        at = draw.randrange(len(raw))
        path.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << draw.randrange(8))]) + raw[at + 1 :])


def damaged(project, seed, count):
    """Damage so many outputs in one way or another; return them."""
    draw, results = random.Random(seed), project.root / "results"
    paths = sorted(path for path in job_files(results) if path.is_file())
    hurt = draw.sample(paths, count)
    for path in hurt:
        damage(path, draw.choice(["deleted", "cut", "digit", "flipped"]), draw)
    return hurt


def test_any_damage_ends_in_the_same_results(project):
    results, kept = project.root / "results", project.root / "kept"
    names = ["tables/flow.csv", "claims/flow.manifest.json", "claims.md", "figures/linear_dynamics.manifest.json"]
    hurt = damaged(project, 1, 10)
    for path in [results / name for name in names]:
        path.unlink(missing_ok=True)
    said = run(project)
    assert outputs(results) == outputs(kept)
    assert all((results / name).exists() for name in names)
    for path in hurt:
        whole = path.exists() and path.read_bytes() == (kept / path.relative_to(results)).read_bytes()
        again = path.exists() and "manifest" in path.name  # written again, with other seconds
        assert whole or again or not path.exists()
    aside = [path for path in hurt if path.with_name(path.name + ".damaged").exists()]
    assert aside
    for path in aside:
        assert len([line for line in said.splitlines() if f"{path.relative_to(project.root)} isn't what" in line]) == 1
    assert project.planned() == set()


def test_every_kind_of_damage_is_found_before_jobs_are_planned(project):
    for seed in range(10, 60):
        hurt = damaged(project, seed, 1)
        lines = list(set_damaged_aside(project.root / "results"))
        for path in hurt:
            kept = project.root / "kept" / path.relative_to(project.root / "results")
            # what space there is between the entries of a manifest says nothing
            assert not path.exists() or json.loads(path.read_bytes()) == json.loads(kept.read_bytes())
        assert all("\n" not in line and "set aside" in line for line in lines)
        restore(project)


@pytest.mark.parametrize("kind", ["link to nothing", "link to itself", "folder", "folder with files"])
def test_what_is_no_file_is_set_aside(project, kind):
    results = project.root / "results"
    paths = [results / name for name in ("tables/flow.csv", "claims/flow.manifest.json", "index.manifest.json")]
    for pattern in ("theory/flow/*.npz", "source/flow/*.manifest.json", "figures/*.p*"):
        paths += results.glob(pattern)
    for path in paths:
        path.unlink()
        if "link" in kind:
            path.symlink_to("gone" if "nothing" in kind else path.name)
        else:
            path.mkdir()
        if "files" in kind:
            (path / "file").write_text("")
    assert {"theory/flow", "collect/flow", "judge/flow", "report"} <= project.planned()
    assert not any(path.is_symlink() or path.is_dir() for path in paths)


def test_deleted_tables_verdicts_figures_and_their_manifests_are_planned_again(project):
    results = project.root / "results"
    (results / "claims/flow.json").unlink()
    (results / "figures/linear_dynamics.manifest.json").unlink()
    for folder in ("theory/flow", "target/flow"):
        next((results / folder).glob("*.manifest.json")).unlink()
    assert {"theory/flow", "target/flow", "judge/flow", "figure/linear_dynamics"} <= project.planned()


def test_a_damaged_source_trains_nothing_while_nothing_needs_it(project):
    (source,) = (project.root / "results/source/flow").glob("*.npz")
    source.write_bytes(source.read_bytes()[:-100])
    assert project.planned() == set()
    assert not source.exists()
    assert source.with_name(f"{source.name}.damaged").exists()


@pytest.mark.parametrize("folder", ["source/flow", "data/flow/target"])
def test_what_has_lost_its_manifest_is_made_again_where_it_is_needed(project, folder):
    results = project.root / "results"
    (manifest,) = (results / folder).glob("*.manifest.json")
    manifest.unlink()
    assert project.planned() == set()
    (part,) = (results / "target/flow").glob("*.csv")
    part.unlink()
    run(project)
    assert manifest.exists()
    assert outputs(results) == outputs(project.root / "kept")


def test_a_stage_refuses_an_input_that_is_damaged_or_unchecked(project):
    """What is damaged between the plan and the job that reads it."""
    results = project.root / "results"
    (part,) = (results / "theory/flow").glob("*.csv")
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    for reason in ("its content has changed", "can't be checked"):
        arguments = [f"--input=0={part}", "--output=table=x.csv", "--output=manifest=x.manifest.json"]
        done = project.call("infwidth.stages", "collect", *arguments)
        assert done.returncode == 1
        line = done.stderr.splitlines()[-1]
        assert f"{part}: {reason}" in line
        assert "run again" in line
        assert not (project.root / "x.csv").exists()
        part.with_suffix(".manifest.json").unlink(missing_ok=True)


def test_commands_refuse_damaged_results(project):
    results = project.root / "results"
    for path, command in [(results / "claims/flow.json", "claims"), (results / "tables/flow.csv", "cite")]:
        damage(path, "cut", random.Random(3))
        done = project.infwidth(command)
        assert done.returncode != 0
        (line,) = done.stderr.splitlines()
        assert path.relative_to(project.root).as_posix() in line
        assert "run again" in line


def test_files_from_the_future_are_dated_to_now(project):
    """Code and results, as a wrong clock or an unpacked archive leaves them; and what is below runs as ever."""
    code = project.root / "src/infwidth/stages/judge.py"
    code.write_text(code.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")
    (project.root / "results/tables/flow.csv").unlink()
    ahead = time.time() + 3 * HOURS
    for path in [code, *(project.root / "results/theory").rglob("*.csv")]:
        os.utime(path, (ahead, ahead))
    assert project.planned()  # says what would run, and touches nothing
    assert code.stat().st_mtime > time.time() + HOURS
    assert "judge.py was dated" in run(project)
    assert outputs(project.root / "results") == outputs(project.root / "kept")


def test_a_run_says_whose_configuration_it_is(project):
    assert recorded_configuration(project.root / "results/made_by.yaml") == ["config/config.yaml"]


def test_a_reference_is_made_of_a_finished_run_alone(project):
    results, references = project.root / "results", project.root / "results/reference"
    (references / "other").mkdir(parents=True)
    (references / "other/note.txt").write_text("kept")
    assert project.infwidth("reference").returncode == 0
    before = outputs(references / "default")
    assert project.infwidth("compare").returncode == 0

    def refused(*arguments):
        done = project.infwidth("reference", *arguments)
        assert done.returncode != 0
        (line,) = done.stderr.splitlines()
        assert outputs(references / "default") == before
        assert (references / "other/note.txt").exists()
        return line

    assert "holds default, other" in refused("results", "results/reference")
    assert "holds the run itself" in refused("results", "results")
    (results / "claims/flow.json").rename(results / "aside")
    assert "claims/flow.json" in refused()
    (results / "aside").rename(results / "claims/flow.json")
    for path in [
        *(results / "theory/flow").glob("*.manifest.json"),
        *(results / "target/flow").glob("*.manifest.json"),
    ]:
        path.unlink()
    assert "manifest" in refused()


def test_a_part_of_a_reference_is_renewed_by_a_run_of_that_part(project):
    """The table, its verdicts and what is drawn of it."""
    assert project.infwidth("reference").returncode == 0
    reference = project.root / "results/reference/default"
    before = outputs(reference)
    for name in ("tables/flow.csv", "figures/linear_dynamics.png", "figures/verdicts.png"):
        (reference / name).write_bytes(b"of an earlier run")
    assert "stopped" not in project.infwidth("run", "--only", "flow").stderr
    done = project.infwidth("reference", "--only", "flow")
    assert done.returncode == 0, done.stderr
    assert outputs(reference) == before
    assert "--only 'other': no such experiment" in project.infwidth("reference", "--only", "other").stderr


def test_leftovers_of_a_renamed_experiment_are_no_part_of_a_reference(project):
    results = project.root / "results"
    shutil.copy(results / "tables/flow.csv", results / "tables/former.csv")
    shutil.copy(results / "claims/flow.json", results / "claims/former.json")
    assert project.infwidth("reference").returncode == 0
    kept = {path.stem for path in (results / "reference/default/tables").glob("*.csv")}
    assert kept == {"flow"}
    cells = json.loads((results / "reference/default/manifest.json").read_text(encoding="utf-8"))["cells"]
    assert {name.split("/")[1] for name in cells} == kept
