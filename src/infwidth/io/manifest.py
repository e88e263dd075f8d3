"""What made an output: the parameters, versions, commit, device and solver statuses, beside the file."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from infwidth.io.atomic import write_json

_VERSIONED = ("infwidth", "numpy", "pandas", "scipy", "snakemake", "torch")


def write_manifest(path: str | Path, *, stage: str, params: Any, wall_time: float, facts: dict[str, Any]) -> None:
    """Write a manifest.

    Args:
        path: where to.
        stage: name of the stage that made the output.
        params: the resolved parameters of the job, seeds included.
        wall_time: seconds.
        facts: what the stage adds: device, dtype, statuses, largest residual, …
    """
    write_json(
        path,
        {
            "stage": stage,
            "parameters": params,
            "facts": facts,
            "wall_time_seconds": round(wall_time, 3),
            "commit": _commit(),
            "python": platform.python_version(),
            "machine": platform.machine(),
            "versions": {name: version(name) for name in _VERSIONED},
        },
    )


def _commit() -> str:
    """Commit of the source tree that runs, with ``-dirty`` if it has local changes, or ``unknown``."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
