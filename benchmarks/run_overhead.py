"""What a run costs beside its jobs: Snakemake on the ci preset, with jobs that wait and touch their outputs.

    OMP_NUM_THREADS=1 python benchmarks/run_overhead.py [--against REVISION] [--wait SECONDS]

Writes benchmarks/results/run_overhead.json: seconds of the processor of a run of an earlier revision and of ours, which
go on side by side, the commands of their jobs included.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from report import write

ROOT = Path(__file__).parents[1]
COPIED = ("Snakefile", "workflow", "config", "profiles", "src")
JOB = """#!/bin/sh
[ "$2" = infwidth.stages ] || exec {python} "$@"
for word; do
  case "$last" in --output) path="${{word#*=}}"; mkdir -p "${{path%/*}}"; : > "$path";; esac
  last="$word"
done
exec sleep {wait}
"""
"""What stands for Python in the commands of jobs."""


def start(folder: Path, archive: bytes, wait: float) -> subprocess.Popen:
    """Start a run of the ci preset by the code of an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    programs = folder / "bin"
    programs.mkdir()
    (programs / "python").write_text(JOB.format(python=sys.executable, wait=wait))
    (programs / "python").chmod(0o755)
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(folder / "src"), "INFWIDTH_FORK_SERVER": "off"}
    command = [sys.executable, "-m", "snakemake", "--configfile", "config/ci.yaml"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, cwd=folder, env=environment, **quiet)


def archived(revision: str) -> bytes:
    """A revision's files as a tar archive."""
    return subprocess.run(["git", "archive", revision, *COPIED], cwd=ROOT, check=True, capture_output=True).stdout


def ours() -> bytes:
    """The same of the files as they are."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w") as tar:
        for name in COPIED:
            tar.add(ROOT / name, name)
    return found.getvalue()


def main() -> None:
    """Run both at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", default="b8dd467", help="revision to compare with")
    parser.add_argument("--wait", type=float, default=0.5, help="seconds that a job takes")
    arguments = parser.parse_args()
    seconds = {}
    with tempfile.TemporaryDirectory() as parent:
        runs = {}
        for name, archive in ((arguments.against, archived(arguments.against)), ("ours", ours())):
            folder = Path(parent, name)
            folder.mkdir()
            runs[start(folder, archive, arguments.wait).pid] = name
        for _ in range(len(runs)):
            pid, status, used = os.wait3(0)
            if status:
                sys.exit(f"the run of {runs[pid]} failed")
            seconds[runs[pid]] = round(used.ru_utime + used.ru_stime, 1)
            shutil.rmtree(Path(parent, runs[pid]))
    write("run_overhead", {"wait": arguments.wait, "processor_seconds": seconds})


if __name__ == "__main__":
    main()
