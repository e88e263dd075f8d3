"""From a configuration to the jobs of ADAM* studies: their cells and parameters, as transfer.py has them of transfer.

A language study has a cell for each way to train the blocks' readouts at each width, so that adding one trains nothing
else; any other study has a cell for each group of seeds.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from infwidth.adam_ntk.variants import KERNEL_OPTIMISERS, NO_MLP
from infwidth.numerics.seeds import derive_seed
from infwidth.plan.groups import study_groups, theory_alone

SEPARATOR = "__"
"""Between the parts of a cell's name; a comma would part the name where Snakemake hands it to a cluster's jobs."""


def spelt(value: float) -> str:
    """Return a number as the names of cells have it: as short as it is exact, so that no two values share a name."""
    short = f"{value:.12g}"
    return short if float(short) == value else repr(value)


class _Language(NamedTuple):
    """A cell of a language study; ``swept`` is the cell that chose its learning rate, where it has no sweep itself."""

    optimiser: str
    width: float | None
    seeds: list[int]
    swept: str | None = None


class StudyPlan:
    """The cells of the ADAM* studies of a resolved configuration.

    Args:
        config: what :func:`infwidth.plan.config.resolve_config` returns.
    """

    def __init__(self, config: Mapping[str, Any]):
        self.config = config

    def kind(self, study: str) -> str:
        """What is studied: ``language``, ``limit``, …: a name in ``studies.kinds``."""
        return next(iter(self.config["studies"][study]["study"]))

    def cells(self, study: str) -> list[str]:
        """Names of the study's jobs."""
        if self.kind(study) != "language":
            return list(self._seed_cells(study))
        return list(self._language_cells(study))

    def parameters(self, study: str, cell: str) -> dict[str, Any]:
        """Parameters of one job."""
        common = {"experiment": study, "cell": cell, "study": self.kind(study), "settings": self._settings(study)}
        if self.kind(study) != "language":
            seeds = self._seed_cells(study)[cell]
            if cell in theory_alone(self._entry(study)):
                common["settings"]["width"] = 0
            return common | {"seeds": {seed: self._seed(study, seed, "study") for seed in seeds}}
        found, settings = self._language_cells(study)[cell], dict(self._settings(study))
        rates = settings.pop("learning_rates")
        for key in ("width", "tokenizer", "vocabulary", "optimisers"):
            settings.pop(key, None)
        return common | {
            "settings": settings,
            "optimiser": found.optimiser,
            "width": "inf" if found.width == math.inf else found.width,  # JSON has no infinity
            "learning_rates": rates.get(found.optimiser, []),
            "seeds": {seed: self._seed(study, seed, "model") for seed in found.seeds},
            "sweep_seed": self._seed(study, "sweep", "model"),
            "device": self.config["device"],
        }

    def swept_cell(self, study: str, cell: str) -> str | None:
        """The cell whose sweep chose the learning rate of one that was added to a language study."""
        return self._language_cells(study)[cell].swept

    def text_parameters(self, study: str) -> dict[str, Any]:
        """Parameters of the job that reads a language study's text and splits it into tokens."""
        settings = self._settings(study)
        keys = ("tokenizer", "vocabulary", "context")
        return {"experiment": study, **self.config["text"], **{key: settings[key] for key in keys}}

    def _settings(self, study: str) -> dict[str, Any]:
        settings = dict(self.config["studies"][study]["study"][self.kind(study)])
        if settings.get("dataset") == "images":  # those the transfer experiments learn
            settings |= {"dataset": self.config["images"]["dataset"], "dataset_path": self.config["images"]["path"]}
        if settings.get("dataset") == "text":  # that of language studies
            settings |= {"text": self.config["text"]["dataset"], "dataset_path": self.config["text"]["path"]}
            settings["text_bytes"] = self.config["text"]["max_bytes"]
        return settings

    def _seed_cells(self, study: str) -> dict[str, list[int]]:
        return study_groups(self._entry(study))

    def _entry(self, study: str) -> Mapping[str, Any]:
        return self.config["studies"][study]

    def _language_cells(self, study: str) -> dict[str, _Language]:
        settings = self._settings(study)
        groups = study_groups({**self._entry(study), "seeds_per_job": sys.maxsize})  # a job has all seeds of its look
        ways: dict[str, tuple[str, float | None]] = {NO_MLP: (NO_MLP, None)} if settings["no_mlp"] else {}
        for optimiser in settings["learning_rates"]:
            for width in settings["width"]:
                if width < math.inf or optimiser in KERNEL_OPTIMISERS:  # the others have no infinite width
                    ways[f"{optimiser}{SEPARATOR}width={spelt(width)}"] = optimiser, width
        (_, first), *later = groups.items()
        cells = {name: _Language(*way, first) for name, way in ways.items()}
        for group, seeds in later:
            cells |= {f"{name}{SEPARATOR}{group}": _Language(*way, seeds, name) for name, way in ways.items()}
        return cells

    def _seed(self, study: str, seed: int | str, purpose: str) -> int:
        return derive_seed(self.config["seed"], study, seed, purpose)
