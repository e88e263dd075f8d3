"""Files and folders that are closed to the user: each command ends in one line that names them.

Root may read and write everything; without two capabilities it is a user like any other.
"""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from .conftest import TRAINED, linear

CONFIG = {"preset": "default", "experiments": {"flow": linear(TRAINED)}}
AS_USER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def modes_count(folder):
    """Whether a folder that is closed is so to this user."""
    tried = [*AS_USER, sys.executable, "-c", f"import os; os.listdir({str(folder)!r})"]
    with closed(folder):
        return b"PermissionError" in subprocess.run(tried, capture_output=True).stderr


@contextmanager
def closed(path, mode=0):
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


def call(project, module, *arguments, **environment):
    environment = {**project.environment, **environment}
    command = [*AS_USER, sys.executable, "-m", module, *map(str, arguments)]
    return subprocess.run(command, cwd=project.root, env=environment, capture_output=True, encoding="utf-8")


def refusal(project, *arguments, **environment):
    """The one line that a command ends in."""
    done = call(project, "infwidth", *arguments, **environment)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("infwidth: ", "["))]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture(scope="module")
def project(make_project, tmp_path_factory):
    if (AS_USER and not shutil.which("setpriv")) or not modes_count(tmp_path_factory.mktemp("closed")):
        pytest.skip("nothing is closed to this user")
    project = make_project(CONFIG)
    project.run()
    return project


@pytest.mark.parametrize(
    ("place", "mode", "command", "words"),
    [
        (
            "config/config.yaml",
            0,
            ["check"],
            "config/config.yaml: Permission denied; expected a YAML file; make it readable",
        ),
        (
            "config/claims.yaml",
            0,
            ["plan"],
            "config/claims.yaml: Permission denied; expected a YAML file; make it readable",
        ),
        ("config", 0, ["check"], "config/config.yaml: Permission denied; make it writable for you, and readable"),
        ("results", 0o555, ["run", "--", "--forcerun", "claims"], "results/claims.json: Permission denied; make it"),
        ("results", 0, ["run"], "results/added.yaml: Permission denied; make it writable for you, and readable"),
        ("results", 0, ["claims"], "results/added.yaml: Permission denied"),
        ("results/claims/flow.json", 0, ["claims"], "results/claims/flow.json: Permission denied"),
        ("results/tables/flow.manifest.json", 0, ["run"], "results/tables/flow.manifest.json: Permission denied; make"),
        ("results/tables/flow.csv", 0, ["reference"], "results/tables/flow.csv: Permission denied"),
        ("results/tables", 0o555, ["run", "--", "--forcerun", "collect"], "results/tables/flow.csv: Permission denied"),
        ("results/logs", 0o555, ["run", "--", "--forcerun", "claims"], "results/logs/claims.log: Permission denied"),
        (".", 0o555, ["plan"], ".snakemake: Permission denied; make it writable"),
    ],
)
def test_of_the_project(project, place, mode, command, words):
    if place == ".":
        shutil.rmtree(project.root / ".snakemake")
    with closed(project.root / place, mode):
        assert words in refusal(project, *command)


@pytest.mark.parametrize("closing", ["the file", "its folder"])
@pytest.mark.parametrize("command", [["plan", "--images"], ["plan", "--text"], ["advise"], ["check"]])
def test_of_ones_own(project, tmp_path, closing, command):
    folder = tmp_path / "mine"
    folder.mkdir()
    path = folder / {"--text": "c4.jsonl", "check": "mine.yaml"}.get(command[-1], "mine.npz")
    path.write_bytes(b"")
    np.savez(tmp_path / "other.npz", x=np.ones((2, 2)), y=np.ones(2))
    more = [tmp_path / "other.npz"] if command == ["advise"] else []
    with closed(path if closing == "the file" else folder):
        line = refusal(project, *command, path, *more)
    assert str(path) in line
    assert "make it" in line
    assert "no such file" not in line


@pytest.mark.parametrize("variables", [{"HOME": "", "XDG_CACHE_HOME": None}, {"XDG_CACHE_HOME": ""}, {"TMPDIR": ""}])
@pytest.mark.parametrize("module", ["infwidth", "snakemake"])
def test_what_nobody_needs_may_be_closed(project, tmp_path, variables, module):
    arguments = ["plan"] if module == "infwidth" else ["--dry-run", "--forceall"]
    with closed(tmp_path, 0o555):
        given = {name: str(tmp_path) if value == "" else "" for name, value in variables.items()}
        done = call(project, module, *arguments, **given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(("place", "mode", "named"), [("results", 0, "results/added.yaml"), (".", 0o555, ".snakemake")])
def test_plain_snakemake_is_no_traceback(project, place, mode, named):
    shutil.rmtree(project.root / ".snakemake", ignore_errors=True)
    with closed(project.root / place, mode):
        done = call(project, "snakemake", "--dry-run")
    assert done.returncode == 1
    assert f"{named}: Permission denied; make it writable" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
