"""The files outside the project that a configuration names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from infwidth.tasks.image_sources import check_image_file
from infwidth.tasks.text_sources import check_text_file


def image_files(config: Mapping[str, Any]) -> list[str]:
    """The configured image archive, if it is one and not a folder: a change of it re-runs what is made of it."""
    path = config["images"]["path"]
    return [path] if path and (path.endswith(".npz") or os.path.isfile(path)) else []


def text_files(config: Mapping[str, Any]) -> list[str]:
    """The configured file of text, if any."""
    path = config["text"]["path"]
    return [path] if path else []


def check_files(config: Mapping[str, Any]) -> None:
    """Raise InputError, before any job starts, for a file that is not there or is not what it should be."""
    for path in image_files(config):
        check_image_file(path)
    for path in text_files(config):
        check_text_file(path)
