"""What made an output: the parameters, versions, commit, device and solver statuses, beside the file."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infwidth.io.atomic import write_json
from infwidth.io.whole import describe_outputs, seal

_VERSIONED = ("infwidth", "numpy", "pandas", "scipy", "snakemake", "torch")


def write_manifest(
    path: str | Path,
    *,
    outputs: Iterable[Path],
    stage: str,
    params: Any,
    wall_time: float,
    facts: dict[str, Any],
) -> None:
    """Write a manifest.

    Args:
        path: where to.
        outputs: the files it is for, which lie beside it; their checksums go into it.
        stage: name of the stage that made the output.
        params: the resolved parameters of the job, seeds included.
        wall_time: seconds.
        facts: what the stage adds: device, dtype, statuses, largest residual, …
    """
    content = {
        "stage": stage,
        "parameters": params,
        "facts": facts,
        "wall_time_seconds": round(wall_time, 3),
        "commit": commit_of(Path(__file__).parents[3]),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in _VERSIONED},
        "folder": Path(path).absolute().parent.name,
        "outputs": describe_outputs(outputs),
    }
    write_json(path, seal(content))


def commit_of(root: Path) -> str:
    """Commit of a project, with ``-dirty`` if it has local changes; ``unknown`` unless ``root`` is its repository's."""
    # without what git says to its hooks, which would name another repository
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True, encoding="utf-8", errors="replace", env=environment, check=True, timeout=10,
        )  # fmt: skip
        return done.stdout.removesuffix("\n")

    try:
        # the package may lie unpacked inside somebody else's repository, whose commit says nothing about it
        if not os.path.samefile(git("rev-parse", "--show-toplevel"), root):
            return "unknown"
        return git("describe", "--always", "--dirty", "--abbrev=40") or "unknown"
    except (OSError, subprocess.SubprocessError):
        return "unknown"
