"""What is wrong between the keys of a configuration that are each right."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from infwidth.engines import ENGINES
from infwidth.figures.catalogue import FIGURES, Figure
from infwidth.plan.complaints import nearest, show
from infwidth.plan.demand import excesses
from infwidth.plan.study_consistency import known, of_repetitions, of_study, too_long
from infwidth.tasks.families import FAMILIES

RESERVED = (
    *("reference", "redrawn", "data", "source", "target", "theory", "language", "tables", "claims", "figures"),
    *("logs", "benchmarks", "checkpoints", "results"),
)
"""Folders of results/ in which a preset of that name would write. (`study` is a preset of ours; nothing of it and of
the default's studies has the same path.)"""


def contradictions(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each contradiction in a configuration whose keys are each right."""
    names = [*config["experiments"], *config["studies"]]
    if config["preset"] in RESERVED:
        found = show(config["preset"])
        yield f"preset = {found}: expected a name that results/ does not use for a folder of its own; choose another"
    for name, experiment in config["experiments"].items():
        yield from _experiment(f"experiments.{name}", experiment, config["images"])
    for name, study in config["studies"].items():
        if name in config["experiments"]:
            yield f"studies.{name}: expected a name that experiments does not use; rename one of them"
        ((kind, settings),) = study["study"].items()
        yield from of_repetitions(f"studies.{name}", kind, study)
        yield from of_study(f"studies.{name}.study.{kind}", kind, settings, config["images"])
    for figure, experiments in config["figures"].items():
        if FIGURES[figure].one and len(experiments) > 1:
            yield f"figures.{figure} = {show(experiments)}: expected one, as it shows one alone; remove the others"
        for i, experiment in enumerate(experiments):
            for why in _unshowable(config, FIGURES[figure], experiment, names):
                yield f"figures.{figure}[{i}] = {show(experiment)}: {why}"
    if not names:
        yield "experiments = {}: expected at least one entry there or in studies; add one"
    for section, alone in (("images", "digits"), ("text", "cpython")):
        source = config[section]
        if source["dataset"] == alone and source["path"]:
            comes = {"digits": "digits come with scikit-learn", "cpython": "its text comes with Python"}[alone]
            yield f"{section}.path = {show(source['path'])}: expected none, as {comes}; remove it"
    if config["only"] and not any(name.startswith(config["only"]) for name in names):
        yield f"only = {show(config['only'])}: matches no experiment; choose one of {', '.join(names)}"
    yield from excesses(config)


def _experiment(where: str, experiment: Mapping[str, Any], images: Mapping[str, Any]) -> Iterator[str]:
    ((training, settings),) = experiment["training"].items()
    ((family, task),) = experiment["task"].items()
    engine, found = ENGINES[training], experiment["controls"]
    if not experiment["theory"] and not experiment["width"]:
        yield f"{where}.width = []: expected at least one width where theory is false; name one or set theory: true"
    more, shared = experiment["theory_data_seeds"], experiment["data_seeds"]
    if more is not None and (more < shared or not experiment["theory"]):
        expected = f"at least data_seeds = {shared}" if experiment["theory"] else "none where theory is false"
        yield f"{where}.theory_data_seeds = {more}: expected {expected}; raise or remove it"
    if found and not engine.over_time:
        yield f"{where}.controls = {found}: expected none under {training} (δ = 0 is from scratch); remove them"
    if experiment["representation"] and experiment["activation"] == "linear":
        yield f"{where}.representation = True: expected false for activation linear; remove it"
    if engine.paired:
        for i, width in enumerate(experiment["width"]):
            if width % 2:
                yield f"{where}.width[{i}] = {width}: expected an even number (neurons come in ± pairs); change it"
        found = settings.get("particles")
        if found and found % 2:
            yield f"{where}.training.{training}.particles = {found}: expected an even number (± pairs); add 1"
    if engine.over_time and experiment["width"]:
        yield from too_long(f"{where}.training.{training}", settings, "source_time", "target_times")
    times = settings.get("target_times", [])
    if times != sorted(times):
        yield f"{where}.training.{training}.target_times = {show(times)}: expected increasing times; sort them"
    if FAMILIES[family].from_images:
        yield from _images(f"{where}.task.images", task, images)


def _images(where: str, task: Mapping[str, Any], images: Mapping[str, Any]) -> Iterator[str]:
    """What a known data set cannot give to a task."""
    name, sizes = known("images", images)
    if sizes is None:
        return
    for key in ("source_classes", "target_classes"):
        for i, index in enumerate(task[key]):
            if index >= sizes.classes:
                yield f"{where}.{key}[{i}] = {index}: expected 0 … {sizes.classes - 1}, classes of {name}; change it"
    for key, most in (("n_source", 2 * sizes.train), ("n_target", 2 * sizes.train), ("n_test", 2 * sizes.test)):
        several = isinstance(task[key], list)
        for i, size in enumerate(task[key] if several else [task[key] or 0]):
            if size > most:
                path = f"{where}.{key}[{i}]" if several else f"{where}.{key}"
                yield f"{path} = {size}: expected ≤ {most}, what two classes of {name} have at most; reduce it"
    together = max(task["n_source"]) // 2 + max(task["n_target"]) // 2
    if set(task["source_classes"]) & set(task["target_classes"]) and together > sizes.train:
        both = f"n_source/2 + n_target/2 = {together}"
        yield f"{where}.n_target: {both}: expected ≤ {sizes.train}, as they share a class of {name}; reduce one"


def _unshowable(config: Mapping[str, Any], figure: Figure, experiment: str, names: list[str]) -> Iterator[str]:
    """Why a figure cannot show an experiment, if so."""
    if experiment not in names:
        yield f"no such experiment; {nearest(experiment, names, 'choose one of ' + ', '.join(names))}"
        return
    study = config["studies"].get(experiment)
    ((kind, settings),) = study["study"].items() if study else [("transfer", {})]
    shown = (*figure.studies, *(["transfer"] if figure.training else []))
    if kind not in shown:
        yield f"is a {kind} study, expected {' or '.join(shown)}; name another"
    elif kind == "language":
        finite = any(width < math.inf for width in settings["width"])
        missing = {"finite": not finite, "infinite": math.inf not in settings["width"]}
        if missing.get(figure.language_width):
            yield f"has no {figure.language_width} width, which the figure shows; add one there or name another"
    elif kind == "transfer":
        yield from _unshown_transfer(figure, config["experiments"][experiment])


def _unshown_transfer(figure: Figure, shown: Mapping[str, Any]) -> Iterator[str]:
    (training,), ((family, task),) = shown["training"], shown["task"].items()
    ways = (figure.training,) if isinstance(figure.training, str) else figure.training
    if training not in ways:
        yield f"learns by {training}, expected {' or '.join(ways)}; name another"
    if figure.families and family not in figure.families:
        yield f"learns {family}, expected {' or '.join(figure.families)}; name another"
    if figure.nonlinear and shown["activation"] == "linear":
        yield "has activation linear, expected a nonlinear one; name another"
    for key in figure.needs:
        if not shown[key]:
            yield f"{_NEEDED[key]} there"
    axes = {key: shown[key] for key in ("source_strength", "target_strength")}
    axes |= {key: task[key] for key in ("n_source", "n_target", "overlap") if key in task}
    for key, values in axes.items():
        if key not in figure.axes and len(values) > 1:
            yield f"shows one {key}, not {show(values)}; make an experiment of each"


_NEEDED = {
    "representation": "shows kernels or preactivations; set representation: true",
    "theory": "shows the theory; set theory: true",
    "width": "shows networks; name a width",
}
