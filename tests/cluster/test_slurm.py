"""The profile for clusters, on a Slurm of this machine: a tiny study's jobs write what they write locally."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

FLOW = {
    "task": {"linear": {"dimension": 6, "overlap": 0.9, "n_source": 12, "n_target": 4, "n_test": 30}},
    "training": {"flow": {"weight_decay": 0.01, "source_time": 1, "target_times": [0, 1]}},
    "source_strength": 1.0,
    "target_strength": 0.5,
    "elastic_coupling": [0, 1],
    "width": 20,
    "data_seeds": 2,
}
COMMAND = [sys.executable, "tests/cluster/run.py"]


def daemons_of(user: int) -> set[str]:
    """Process ids of Slurm's daemons and munged."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() in ("munged", "slurmctld", "slurmd", "slurmstepd"):
                found.add(path.parent.name)
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def daemons(root):
    sys.path.insert(0, str(root / "tests/cluster"))
    import daemons

    return daemons


def test_a_study_runs_through_slurm(root, daemons, tmp_path):
    if daemons.missing():
        pytest.skip(f"no Slurm here: {daemons.INSTALL}")
    pytest.importorskip("snakemake_executor_plugin_slurm")
    config = {"preset": "default", "experiments": {"flow": FLOW}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    before = daemons_of(os.getuid())
    # the data sets' two jobs, a source network's and the theory's, one after the other
    targets = [f"results/tables/flow.{kind}" for kind in ("csv", "npz")]
    done = subprocess.run(
        [*COMMAND, *targets, "--config", str(tmp_path / "tiny.yaml")],
        cwd=root, capture_output=True, encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files as a local run writes them" in done.stdout
    assert daemons_of(os.getuid()) <= before


def test_without_slurm_one_line_says_what_to_install(root, tmp_path):
    done = subprocess.run(
        COMMAND, cwd=root, env=os.environ | {"PATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "apt-get install slurm-wlm munge" in line


def test_a_difference_is_told(root, daemons):
    import run

    assert run.differences({"a": b"1", "b": b"2", "c": b"3"}, {"a": b"1", "b": b"0", "d": b""}) == ["b", "c", "d"]
