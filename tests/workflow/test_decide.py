"""`infwidth decide` on a tiny study: it adds what decides claims, keeps it, and goes on, also after a kill."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from .conftest import TRAINED, linear

CONFIG = {
    "preset": "default",
    "claims": "mine.yaml",
    "experiments": {"flow": linear(TRAINED, data_seeds=3, width=40)},
}
PLACES = [{"condition": "transfer", "overlap": 0.9, "elastic_coupling": coupling} for coupling in (1, 0)]
CLAIMS = [
    {
        "id": "mine.falls", "experiment": "flow", "statement": "falls", "statistic": "relative_change",
        "arguments": {"metric": "test_loss", "at": PLACES[0], "versus": PLACES[1]}, "expect": {"below": 0.06},
    },
    {
        "id": "mine.agrees", "experiment": "flow", "statement": "agrees", "statistic": "disagreement",
        "arguments": {"metric": "test_loss", "where": {"condition": "transfer"}}, "expect": {"below": 0.08},
    },
]  # fmt: skip


def made(project):
    """Each cell's file → when it was made."""
    folder = project.root / "results"
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for part in ("target", "theory", "source")
            for path in folder.glob(f"{part}/*/*.npz")}  # fmt: skip


def verdicts(project):
    entries = json.loads((project.root / "results/claims.json").read_text(encoding="utf-8"))
    return {entry["id"]: entry for entry in entries if entry["paper"] == "own"}


@pytest.fixture(scope="module")
def project(make_project):
    found = make_project(CONFIG)
    (found.root / "mine.yaml").write_text(json.dumps(CLAIMS), encoding="utf-8")
    found.run()
    return found


def test_it_adds_what_decides_and_leaves_what_was_there(project):
    before = made(project)
    assert {entry["verdict"] for entry in verdicts(project).values()} == {"inconclusive"}
    # killed as soon as it has bought something: what it bought is made by whatever runs next
    command = [sys.executable, "-m", "infwidth", "decide", "--minutes", "3"]
    options = {"cwd": project.root, "env": project.environment, "start_new_session": True}
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    added, end = project.root / "results/added.yaml", time.monotonic() + 120
    while not (added.exists() and "flow" in added.read_text(encoding="utf-8")):
        assert time.monotonic() < end
        assert run.poll() is None
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    first = yaml.safe_load(added.read_text(encoding="utf-8"))["experiments"]["flow"]
    done = project.infwidth("decide", "--minutes", "3")
    assert done.returncode == 0, done.stdout + done.stderr
    entries = yaml.safe_load(added.read_text(encoding="utf-8"))["experiments"]["flow"]
    assert entries[: len(first)] == first
    after, found = made(project), verdicts(project)
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before)
    assert found["mine.falls"]["verdict"] == "reproduced", done.stdout
    assert found["mine.falls"]["theory"]["look"] > 1
    assert "look 1: adds flow" in done.stdout or len(entries) == len(first)
    assert "results/added.yaml adds to what default says" in done.stdout
    assert "The error of 5 % is spent over looks at the data (flow " in (project.root / "results/claims.md").read_text()


def test_a_later_run_keeps_it_and_says_so(project):
    if not (project.root / "results/added.yaml").exists():  # run without the test above
        project.infwidth("decide", "--minutes", "3")
    assert project.planned() == set()
    done = project.infwidth("run")
    assert "adds to what default says, and this run kept it: flow " in done.stdout
    refused = project.infwidth("reference", "results", "elsewhere")
    assert refused.returncode == 1
    assert "hold what `infwidth decide` added" in refused.stderr
    again = project.infwidth("decide", "--minutes", "0.01")
    assert again.returncode == 0, again.stderr
    assert "look" not in again.stdout.split("flow")[0]
