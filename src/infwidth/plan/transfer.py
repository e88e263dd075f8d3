"""From a configuration to cells: which jobs a study consists of, their files and their parameters.

A cell is one point of an experiment's outer axes; its name spells out their values, so adding a value to a list
renames nothing. Inner axes (δ, γ, controls, seeds of a group) are batched inside a job. Each job's parameters
hold what it needs and nothing else: a changed key re-runs just the jobs whose parameters hold it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import product
from typing import Any

from infwidth.engines import ENGINES, Engine
from infwidth.numerics.seeds import derive_seed
from infwidth.plan.config import results_folder, selected
from infwidth.plan.groups import Groups
from infwidth.plan.studies import SEPARATOR, StudyPlan, spelt
from infwidth.tasks.families import FAMILIES, Family

Cell = dict[str, Any]


_NAMED = 8
"""Experiments that one line names."""


class Plan:
    """The cells of a resolved configuration.

    Args:
        config: what :func:`infwidth.plan.config.resolve_config` returns.

    Attributes:
        results: folder of all results; `results` for the default preset, else `results/<preset>`.
        experiments: names of the transfer experiments that run.
        studies: names of the ADAM* studies that run.
        figures: figure → its experiments, for the figures all of whose experiments run.
    """

    def __init__(self, config: Mapping[str, Any]):
        self.config = config
        self.results = results_folder(config)
        self.experiments = selected(config, "experiments")
        self.studies = selected(config, "studies")
        running = {*self.experiments, *self.studies}
        self.figures = {f: es for f, es in config["figures"].items() if set(es) <= running}

    def family(self, experiment: str) -> Family:
        """What the experiment learns."""
        return FAMILIES[self._family(experiment)]

    def engine(self, experiment: str) -> Engine:
        """How it learns."""
        return ENGINES[self._training(experiment)]

    def source_data_cells(self, experiment: str) -> dict[str, Cell]:
        """Name → cell of each source data set: the source's axes and a group of seeds."""
        return self._cells(self._task_axes(experiment, source=True), self._data_groups(experiment))

    def target_data_cells(self, experiment: str) -> dict[str, Cell]:
        """Name → cell of each target data set."""
        return self._cells(self._task_axes(experiment), self._data_groups(experiment))

    def source_cells(self, experiment: str) -> dict[str, Cell]:
        """Name → cell of each batch of source networks; depends on source axes only. Empty where no width is named."""
        settings, axes = self._experiment(experiment), self._task_axes(experiment, source=True)
        axes |= {key: settings[key] for key in ("width", "source_strength")}
        return self._cells(axes, Groups.of(settings).networks)

    def network_cells(self, experiment: str) -> dict[str, Cell]:
        """Name → cell of each batch of target networks: source axes and target axes."""
        settings, axes = self._experiment(experiment), self._task_axes(experiment)
        axes |= {key: settings[key] for key in ("width", "source_strength")}
        return self._cells(axes, Groups.of(settings).networks)

    def theory_cells(self, experiment: str) -> dict[str, Cell]:
        """Name → cell of each theory solve; the theory knows no width. Empty where it is switched off."""
        settings = self._experiment(experiment)
        if not settings["theory"]:
            return {}
        axes = self._task_axes(experiment) | {"source_strength": settings["source_strength"]}
        return self._cells(axes, self._theory_groups(experiment))

    def shows_representation(self, experiment: str) -> bool:
        """Whether kernels and preactivations are recorded."""
        return self._experiment(experiment)["representation"]

    def project(self, cell: Cell, cells: Mapping[str, Cell]) -> str:
        """Name of the cell among ``cells`` that ``cell`` builds on: the one that agrees on all axes they share."""
        for name, other in cells.items():
            if all(cell[axis] == value for axis, value in other.items()):
                return name
        raise KeyError(f"no cell among {list(cells)} agrees with {cell}")

    def pool_parameters(self, experiment: str) -> dict[str, Any]:
        """Parameters of the job that checks the images and keeps the classes and sizes the experiment needs."""
        task, images = self._task(experiment), dict(self.config["images"])
        # what leaves images as they are stays unsaid, as parameters of jobs are compared
        look = {"grayscale": images.pop("grayscale"), "size": images.pop("size")}
        return {
            **self._label(experiment, "images"),
            **images,
            **{key: value for key, value in look.items() if value},
            "source_classes": task["source_classes"],
            "target_classes": task["target_classes"],
            "n_source": max(task["n_source"]),
            "n_target": max(task["n_target"]),
            "n_test": task["n_test"],
        }

    def data_parameters(self, experiment: str, cell_name: str, part: str) -> dict[str, Any]:
        """Parameters of a data job; ``part`` is ``source`` or ``target``."""
        cells = self.source_data_cells(experiment) if part == "source" else self.target_data_cells(experiment)
        cell = cells[cell_name]
        task = {**self._task(experiment), **{axis: value for axis, value in cell.items() if axis != "seeds"}}
        if part == "source":  # nothing of the target may enter: every target shares this file
            task = {key: value for key, value in task.items() if key not in self.family(experiment).any_target}
        return {
            **self._label(experiment, cell_name),
            "part": part,
            "family": self._family(experiment),
            "task": task,
            "seeds": {seed: derive_seed(self.config["seed"], experiment, seed, "data") for seed in cell["seeds"]},
        }

    def source_parameters(self, experiment: str, cell_name: str) -> dict[str, Any]:
        """Parameters of a job that trains or samples source networks."""
        cell = self.source_cells(experiment)[cell_name]
        settings = self._experiment(experiment)
        return {
            **self._label(experiment, cell_name),
            **self._networks(experiment, cell, "source"),
            "activation": settings["activation"],
            "source_strength": cell["source_strength"],
            "width": cell["width"],
            "settings": self.engine(experiment).source_settings(self._settings(experiment)),
        }

    def network_parameters(self, experiment: str, cell_name: str) -> dict[str, Any]:
        """Parameters of a job that trains or samples target networks."""
        cell = self.network_cells(experiment)[cell_name]
        settings = self._experiment(experiment)
        return {
            **self._label(experiment, cell_name),
            **self._networks(experiment, cell, "target"),
            **self._inner_axes(experiment),
            "activation": settings["activation"],
            "representation": settings["representation"],
            "settings": self.engine(experiment).target_settings(self._settings(experiment)),
            "axes": _axes_of(cell),
        }

    def theory_parameters(self, experiment: str, cell_name: str) -> dict[str, Any]:
        """Parameters of a job that solves the theory."""
        cell = self.theory_cells(experiment)[cell_name]
        settings = self._experiment(experiment)
        linear = settings["activation"] == "linear"
        return {
            **self._label(experiment, cell_name),
            **self._inner_axes(experiment),
            "training": self._training(experiment),
            "activation": settings["activation"],
            "representation": settings["representation"],
            "settings": self.engine(experiment).theory_settings(self._settings(experiment), linear=linear),
            "axes": _axes_of(cell),
            "particle_seeds": {s: derive_seed(self.config["seed"], experiment, s, "theory") for s in cell["seeds"]},
            **({"device": self.config["device"]} if self.has_particles(experiment) else {}),
        }

    def has_particles(self, experiment: str) -> bool:
        """Whether the theory of an experiment moves particles, which a GPU can do; linear networks' has none."""
        return self._experiment(experiment)["activation"] != "linear" and bool(
            self.engine(experiment).particle_settings
        )

    def collect_parameters(self, experiment: str) -> dict[str, Any]:
        """Parameters of the job that joins an experiment's parts: whose networks are of the same data sets, if any."""
        if experiment in self.studies:
            return {}
        cells = self.network_cells(experiment)
        if all(cell["networks"][0] == 0 for cell in cells.values()):
            return {}
        return {"networks": {name: cell["networks"] for name, cell in cells.items()}}

    def describe(self) -> str:
        """One line: experiments, the first of them by name, and cells."""
        cells = sum(len(self.network_cells(e)) or len(self.theory_cells(e)) for e in self.experiments)
        cells += sum(len(StudyPlan(self.config).cells(study)) for study in self.studies)
        names = [*self.experiments, *self.studies]
        more = ["…"] if len(names) > _NAMED else []
        return f"{len(names)} experiments ({', '.join([*names[:_NAMED], *more])}), {cells} cells"

    def _experiment(self, experiment: str) -> Mapping[str, Any]:
        return self.config["experiments"][experiment]

    def _family(self, experiment: str) -> str:
        return next(iter(self._experiment(experiment)["task"]))

    def _training(self, experiment: str) -> str:
        return next(iter(self._experiment(experiment)["training"]))

    def _task(self, experiment: str) -> Mapping[str, Any]:
        return self._experiment(experiment)["task"][self._family(experiment)]

    def _settings(self, experiment: str) -> Mapping[str, Any]:
        return self._experiment(experiment)["training"][self._training(experiment)]

    def _task_axes(self, experiment: str, *, source: bool = False) -> dict[str, list[Any]]:
        family, task = self.family(experiment), self._task(experiment)
        return {axis: task[axis] for axis in (family.source_axes if source else family.axes)}

    def _theory_groups(self, experiment: str) -> dict[str, Cell]:
        return {name: {"seeds": seeds} for name, seeds in Groups.of(self._experiment(experiment)).theory.items()}

    def _data_groups(self, experiment: str) -> dict[str, Cell]:
        """Groups of all data sets that networks have, with those that the theory alone is solved on."""
        settings = self._experiment(experiment)
        found = [group["seeds"] for group in Groups.of(settings).networks.values()]
        if settings["theory"]:
            found += [group["seeds"] for group in self._theory_groups(experiment).values()]
        return {f"seeds={seeds[0]}-{seeds[-1]}": {"seeds": seeds} for seeds in found}

    def _cells(self, axes: Mapping[str, list[Any]], groups: Mapping[str, Cell]) -> dict[str, Cell]:
        """Name → cell of each point of the axes with each group."""
        cells = {}
        for *values, group in product(*axes.values(), groups):
            cell = dict(zip(axes, values, strict=True))
            named = [f"{axis}={spelt(value)}" for axis, value in cell.items()]
            cells[SEPARATOR.join([*named, group])] = {**cell, **groups[group]}
        return cells

    def _networks(self, experiment: str, cell: Cell, purpose: str) -> dict[str, Any]:
        """How the networks of a job are made: device, precision and the seed of each, data sets outermost."""
        settings = self._experiment(experiment)
        root, numbers = self.config["seed"], cell["networks"]
        seeds = {s: [derive_seed(root, experiment, s, purpose, number) for number in numbers] for s in cell["seeds"]}
        return {
            "training": self._training(experiment),
            "network_seeds": seeds,
            "device": self.config["device"],
            "precision": settings["precision"],
        }

    def _inner_axes(self, experiment: str) -> dict[str, Any]:
        settings = self._experiment(experiment)
        return {key: settings[key] for key in ("target_strength", "elastic_coupling", "controls")}

    def _label(self, experiment: str, cell_name: str) -> dict[str, str]:
        return {"experiment": experiment, "cell": cell_name}


def _axes_of(cell: Cell) -> dict[str, Any]:
    """A cell without its group."""
    return {axis: value for axis, value in cell.items() if axis not in ("seeds", "networks")}


def as_argument(parameters: Mapping[str, Any]) -> str:
    """Parameters as the one line of JSON that a stage takes on its command line."""
    return json.dumps(parameters, sort_keys=True, ensure_ascii=False)
