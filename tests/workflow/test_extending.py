"""docs/extending.md, run as it stands there: its files and entries in a copy of the project, then its commands."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from infwidth.io.tables import read_table
from infwidth.io.yaml import load_yaml

NEW_FILE = re.compile(r"New file\s+`([^`]+)`:$")
INSERT = re.compile(r"[Ii]n\s+`([^`]+)`, (before|after)\s+`([^`]+)`:$")


def blocks(text: str) -> list[tuple[str, str, str]]:
    """The paragraph before each code block (empty where another block is), its language, and its code."""
    found, paragraph, code, kind = [], [], [], ""
    for line in text.splitlines():
        if line.startswith("```") and not kind:
            kind, code = line.removeprefix("```"), []
        elif line == "```":
            found.append((" ".join(paragraph), kind, "".join(f"{one}\n" for one in code)))
            kind, paragraph = "", []
        elif kind:
            code.append(line)
        elif line:
            paragraph.append(line)
        elif paragraph and not paragraph[-1].endswith(":"):
            paragraph = []
    return found


def apply(root: Path, text: str) -> list[tuple[str, str]]:
    """Write files and entries; return the blocks that are to be run, with their language."""
    to_run = []
    for before, kind, code in blocks(text):
        if new := NEW_FILE.search(before):
            assert not (root / new[1]).exists()
            (root / new[1]).write_text(code, encoding="utf-8")
        elif into := INSERT.search(before):
            path = root / into[1]
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            place = next(i for i, line in enumerate(lines) if line.rstrip("\n") == into[3])
            lines.insert(place + (into[2] == "after"), code)
            path.write_text("".join(lines), encoding="utf-8")
        else:
            to_run.append((kind, code))
    return to_run


@pytest.fixture(scope="module")
def extended(make_project, root):
    """The extended project, and what is left to run in it."""
    project = make_project(load_yaml(root / "config/config.yaml"))
    return project, apply(project.root, (root / "docs/extending.md").read_text(encoding="utf-8"))


def test_every_block_is_a_file_an_entry_or_run(extended):
    _, to_run = extended
    assert [kind for kind, _ in to_run] == ["python", "python", "sh"]


def test_the_examples_hold(extended):
    project, to_run = extended
    for kind, code in to_run:
        if kind == "python":
            command = [sys.executable, "-c", code]
            done = subprocess.run(
                command, cwd=project.root, env=project.environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr


def test_the_preset_runs(extended):
    project, to_run = extended
    for line in (line for kind, code in to_run if kind == "sh" for line in code.splitlines()):
        name, *arguments = shlex.split(line)
        done = project.call(name, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
    results = project.root / "results/extended"
    assert (results / "figures/learning_curve.pdf").exists()
    parities, rank = (read_table(results / f"tables/{name}.csv") for name in ("lazy_parity", "rank"))
    assert set(parities["dataset"]) == {"parities of 2"}
    assert set(parities["kind"]) == {"theory", "network"}
    assert set(rank["metric"]) == {"effective_rank"}
    assert (rank.groupby("width")["value"].mean().diff().dropna() > 0).all()


def test_every_new_key_is_documented_by_itself(extended):
    project, _ = extended
    keys = project.infwidth("keys").stdout
    for key in ("task.parity.bits", "training.lazy.inverse_temperature", "study.rank.widths"):
        assert f"{key}` |" in keys
    assert "learning_curve" in keys
    assert "`arctan`" in keys
