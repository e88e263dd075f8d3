"""Run a configuration through Slurm on this machine and hold what it writes against a local run's, byte for byte.

    python tests/cluster/run.py --config config/ci.yaml [--images …] [--text …]

Both run in the working folder's copies of the project, so that neither finds what the other made.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from daemons import INSTALL, missing, slurm

ROOT = Path(__file__).parents[2]
COPIED = ["Snakefile", "workflow", "config", "profiles", "src", "pyproject.toml", "results/reference"]
CLUSTER = ["--slurm-no-account", "--slurm-status-command", "squeue"]
CLUSTER += ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2"]


def copy_project(folder: Path) -> Path:
    """Copy what a run needs."""
    for name in COPIED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, folder / name)
    return folder


def environment_of(project: Path, base=os.environ) -> dict[str, str]:
    """That of commands in a copy: this Python and the copy's package."""
    path = os.pathsep.join([str(Path(sys.executable).parent), base["PATH"]])
    return {**base, "PYTHONPATH": str(project / "src"), "PATH": path}


def through_slurm(project: Path, arguments: list[str]) -> None:
    """Run Snakemake with the cluster's profile on daemons of its own."""
    command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", *CLUSTER, *arguments]
    with slurm() as environment:
        subprocess.run(command, cwd=project, env=environment_of(project, environment), check=True)


def here(project: Path, arguments: list[str]) -> None:
    """Run Snakemake as a laptop does."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    subprocess.run(command, cwd=project, env=environment_of(project), check=True)


def written(project: Path) -> dict[str, bytes]:
    """Tables, arrays, verdicts and figures' numbers; manifests and pictures say when they were made."""
    folder = project / "results"
    found = [path for kind in ("csv", "npz", "json") for path in folder.rglob(f"*.{kind}")]
    kept = [path.relative_to(folder) for path in found if "manifest" not in path.name]
    return {str(path): (folder / path).read_bytes() for path in kept if path.parts[0] != "reference"}


def differences(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    """Files that only one run wrote, or that differ."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def main() -> None:
    """Run both and compare; ends with the number of files compared, or the names of those that differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="config/ci.yaml")
    parser.add_argument("--images", default="")
    parser.add_argument("--text", default="")
    parser.add_argument("targets", nargs="*", help="files to make; everything if none is named")
    given = parser.parse_args()
    if missing():
        sys.exit(f"test-slurm: {', '.join(missing())} not found: `{INSTALL}` (as root)")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the daemons end with it
    entries = [f'images={{"dataset": "cifar10", "path": "{Path(given.images).resolve()}"}}'] if given.images else []
    entries += [f'text={{"dataset": "c4", "path": "{Path(given.text).resolve()}"}}'] if given.text else []
    arguments = [*given.targets, "--configfile", given.config, *(["--config", *entries] if entries else [])]
    with tempfile.TemporaryDirectory(prefix="infwidth-slurm-") as folder:
        local, cluster = (copy_project(Path(folder, name)) for name in ("local", "cluster"))
        through_slurm(cluster, arguments)
        here(local, arguments)
        found = written(cluster)
        unlike = differences(found, written(local))
    if unlike or not found:
        sys.exit("test-slurm: differ from a local run's: " + (", ".join(unlike) or "nothing was written"))
    print(f"test-slurm: {len(found)} files as a local run writes them, byte for byte")


if __name__ == "__main__":
    main()
