"""What experiments are called where people read: by their `title`, or by what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infwidth.studies.kinds import KINDS

_ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU"}


def experiment_titles(config: Mapping[str, Any], experiments: Iterable[str]) -> dict[str, str]:
    """Experiment → its title, for experiments of a resolved configuration; never its key."""
    return {name: _title(config, name) for name in experiments}


def _title(config: Mapping[str, Any], name: str) -> str:
    transfer = config["experiments"].get(name)
    settings = config["studies"][name] if transfer is None else transfer
    if settings["title"]:
        return settings["title"]
    if transfer is None:
        (kind,) = settings["study"]
        return getattr(KINDS[kind], "called", kind.replace("_", " "))
    activation = transfer["activation"]
    return f"{_ACTIVATIONS.get(activation, activation)} networks"
