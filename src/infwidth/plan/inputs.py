"""The files outside the project that a configuration names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infwidth.tasks.image_sources import check_image_file
from infwidth.tasks.text_sources import check_text_file


def image_files(config: Mapping[str, Any]) -> list[str]:
    """The configured image archive, if it is one and not a folder: a change of it re-runs what is made of it."""
    path = config["images"]["path"]
    return [_as_input(path)] if path and (path.endswith(".npz") or os.path.isfile(os.path.expanduser(path))) else []


def text_files(config: Mapping[str, Any]) -> list[str]:
    """The configured file of text, if any."""
    path = config["text"]["path"]
    return [_as_input(path)] if path else []


def check_files(config: Mapping[str, Any]) -> None:
    """Raise InputError, before any job starts, for a file that is not there or is not what it should be."""
    if image_files(config):
        check_image_file(config["images"]["path"])
    if text_files(config):
        check_text_file(config["text"]["path"])


def _as_input(path: str) -> str:
    """A name under which Snakemake can track a file: its own, or where that holds a wildcard's braces, a link's."""
    path = os.path.expanduser(path)
    if not set("{}") & set(path) or not os.path.exists(path):
        return path
    link = Path(".snakemake/inputs", hashlib.sha256(os.path.abspath(path).encode()).hexdigest()[:16])
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(os.path.abspath(path))
    changed = os.stat(path)  # a link's own time, which Snakemake compares, is that of its making
    os.utime(link, ns=(changed.st_atime_ns, changed.st_mtime_ns), follow_symlinks=False)
    return str(link)
