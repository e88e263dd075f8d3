"""A copy of the project, on which a tiny study runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

COPIED = ["Snakefile", "workflow", "config", "profiles", "src", "pyproject.toml", "Makefile", "constraints.txt"]


class Project:
    """A copy of the project in which files may be edited."""

    def __init__(self, root: Path, original: Path, config: dict):
        self.root = root
        for name in COPIED:
            copy = shutil.copytree if (original / name).is_dir() else shutil.copy
            copy(original / name, root / name)
        shutil.copy(root / "config/config.yaml", root / "config/whole.yaml")  # a preset with all that claims name
        self.configure(config)

    def configure(self, config: dict) -> None:
        (self.root / "config/config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # what `make test` hands to its children, its own ARGS= among them, is no part of what a user types
        typed = set(re.findall(r"^(\w+) \?=", (self.root / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        inherited = {
            k: v
            for k, v in os.environ.items()
            if k not in typed and not k.startswith(("MAKE", "MFLAGS", "GNUMAKEFLAGS", "GIVEN_"))
        }
        return {**inherited, "PYTHONPATH": str(self.root / "src"), "PATH": path, "COLUMNS": "300"}

    def call(self, module: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Run a module of Python in the project's root."""
        command = [sys.executable, "-m", module, *arguments]
        env = {**self.environment, **environment}
        return subprocess.run(
            command, cwd=self.root, env=env, capture_output=True, encoding="utf-8", errors="replace", check=False
        )

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        return self.call("snakemake", "--cores", "2", *arguments)

    def infwidth(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return self.call("infwidth", *arguments, **environment)

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Run make, with this Python in place of the one that it would install."""
        stamp = self.root / ".venv/installed"
        stamp.parent.mkdir(exist_ok=True)
        stamp.touch()
        scripts = self.root / ".venv/bin"
        if not scripts.exists():
            scripts.mkdir()
            (scripts / "infwidth").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m infwidth "$@"\n')
            (scripts / "infwidth").chmod(0o755)
        env = {**self.environment, **environment}
        return subprocess.run(
            ["make", *arguments],
            cwd=self.root,
            env=env,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )

    def run(self) -> None:
        done = self.infwidth("run")
        assert done.returncode == 0, done.stdout + done.stderr

    def planned(self, *arguments: str) -> set[str]:
        """Rule and experiment (or figure) of each job that a run would execute."""
        done = self.snakemake("--dry-run", "--quiet", "host", *arguments)
        text = done.stdout + done.stderr
        assert done.returncode == 0, text
        jobs = re.findall(r"benchmark: results/benchmarks/(\S+)\.tsv", text)
        return {"/".join(job.split("/")[:2]) for job in jobs}


def linear(training: dict, **options) -> dict:
    """An experiment that takes a second."""
    return {
        "task": {"linear": {"dimension": 6, "overlap": [0, 0.9], "n_source": 12, "n_target": 4, "n_test": 30}},
        "training": training,
        "source_strength": 1.0,
        "target_strength": 0.5,
        "elastic_coupling": [0, 1],
        "width": 20,
        "data_seeds": 2,
        **options,
    }


SAMPLED = {"bayes": {"inverse_temperature": 5, "burn_in_time": 2, "sampling_time": 4}}
TRAINED = {"flow": {"weight_decay": 0.01, "source_time": 1, "target_times": [0, 1]}}


@pytest.fixture(scope="module")
def make_project(tmp_path_factory, root):
    """Return a function that makes a copy of the project with a configuration."""

    def make(config: dict) -> Project:
        return Project(tmp_path_factory.mktemp("project"), root, json.loads(json.dumps(config)))

    return make
