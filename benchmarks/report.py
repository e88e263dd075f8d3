"""Where benchmarks write what they found, and on what."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from infwidth.io.manifest import commit_of

RESULTS = Path(__file__).parent / "results"


def environment(*modules: ModuleType) -> dict[str, str | int | None]:
    """What numbers and times depend on: versions, of ``modules`` too, the processor, cores, threads, the commit."""
    versions = {module.__name__: module.__version__ for module in (np, torch, *modules)}
    threads = {"cpu": _processor(), "cpu_count": os.cpu_count(), "threads": torch.get_num_threads()}
    return {"python": platform.python_version(), **versions, **threads, "commit": commit_of(RESULTS.parents[1])}


def _processor() -> str:
    """The processor's name, as far as the system tells."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def write(name: str, report: Mapping[str, Any], *modules: ModuleType) -> Path:
    """Write a report and its environment to results/``name``.json; returns the path."""
    path = RESULTS / f"{name}.json"
    text = json.dumps({**report, "environment": environment(*modules)}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path
