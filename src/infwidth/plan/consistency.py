"""What is wrong between the keys of a configuration that are each right."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from infwidth.adam_ntk.variants import KERNEL_OPTIMISERS, TRAINED
from infwidth.engines import ENGINES
from infwidth.figures.catalogue import FIGURES, Figure
from infwidth.plan.complaints import nearest, show
from infwidth.plan.demand import excesses

RESERVED = (
    *("reference", "redrawn", "data", "source", "target", "theory", "language", "tables", "claims", "figures"),
    *("logs", "benchmarks", "checkpoints", "results"),
)
"""Folders of results/ in which a preset of that name would write. (`study` is a preset of ours; nothing of it and of
the default's studies has the same path.)"""
CLASSES = 10
"""Of CIFAR-10, and of the digits that stand in for it."""
TRAIN_IMAGES = {"cifar10": 5000, "digits": 147}
"""Training images of a class, at most."""
TEST_IMAGES = {"cifar10": 1000, "digits": 36}
ARCHIVE = ".npz"


def contradictions(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each contradiction in a configuration whose keys are each right."""
    names = [*config["experiments"], *config["adam_ntk"]]
    if config["preset"] in RESERVED:
        found = show(config["preset"])
        yield f"preset = {found}: expected a name that results/ does not use for a folder of its own; choose another"
    for name, experiment in config["experiments"].items():
        yield from _experiment(f"experiments.{name}", experiment, config["images"])
    for name, study in config["adam_ntk"].items():
        if name in config["experiments"]:
            yield f"adam_ntk.{name}: expected a name that experiments does not use; rename one of them"
        ((kind, settings),) = study["study"].items()
        check = _language if kind == "language" else _single_block
        yield from check(f"adam_ntk.{name}.study.{kind}", settings)
    for figure, experiments in config["figures"].items():
        if FIGURES[figure].one and len(experiments) > 1:
            yield f"figures.{figure} = {show(experiments)}: expected one, as it shows one alone; remove the others"
        for i, experiment in enumerate(experiments):
            for why in _unshowable(config, FIGURES[figure], experiment, names):
                yield f"figures.{figure}[{i}] = {show(experiment)}: {why}"
    if not names:
        yield "experiments = {}: expected at least one entry there or in adam_ntk; add one"
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
    if found and not engine.over_time:
        yield f"{where}.controls = {found}: expected none under {training} (δ = 0 is from scratch); remove them"
    if experiment["representation"] and experiment["activation"] == "linear":
        yield f"{where}.representation = True: expected false for activation linear; remove it"
    if engine.paired:
        for i, width in enumerate(experiment["width"]):
            if width % 2:
                yield f"{where}.width[{i}] = {width}: expected an even number (neurons come in ± pairs); change it"
        if (settings["particles"] or 0) % 2:
            found = settings["particles"]
            yield f"{where}.training.{training}.particles = {found}: expected an even number (± pairs); add 1"
    times = settings.get("target_times", [])
    if times != sorted(times):
        yield f"{where}.training.{training}.target_times = {show(times)}: expected increasing times; sort them"
    if family == "images":
        yield from _images(f"{where}.task.images", task, images)


def _images(where: str, task: Mapping[str, Any], images: Mapping[str, Any]) -> Iterator[str]:
    """What known data sets cannot give; an archive of one's own is looked into by the job that reads it."""
    if images["path"] and images["path"].endswith(ARCHIVE):
        return
    for key in ("source_classes", "target_classes"):
        for i, index in enumerate(task[key]):
            if index >= CLASSES:
                yield f"{where}.{key}[{i}] = {index}: expected 0 … {CLASSES - 1}, the classes of the images; change it"
    known = "digits" if images["dataset"] == "digits" else "cifar10"
    shared = set(task["source_classes"]) & set(task["target_classes"])
    for key, available in (("n_source", TRAIN_IMAGES), ("n_target", TRAIN_IMAGES), ("n_test", TEST_IMAGES)):
        sizes = task[key] if isinstance(task[key], list) else [task[key] or 0]
        for i, size in enumerate(sizes):
            if size > 2 * available[known]:
                path = f"{where}.{key}[{i}]" if isinstance(task[key], list) else f"{where}.{key}"
                most = 2 * available[known]
                yield f"{path} = {size}: expected ≤ {most}, what two classes of {known} have at most; reduce it"
    together = max(task["n_source"]) + max(task["n_target"])
    if shared and together > 2 * TRAIN_IMAGES[known] >= max(*task["n_source"], *task["n_target"]):
        most = 2 * TRAIN_IMAGES[known]
        yield f"{where}.n_target: n_source + n_target = {together}: expected ≤ {most} as they share a class; reduce it"


def _language(where: str, settings: Mapping[str, Any]) -> Iterator[str]:
    rates = settings["learning_rates"]
    if len({len(values) for values in rates.values()}) > 1:
        counts = {name: len(values) for name, values in rates.items()}
        yield f"{where}.learning_rates: {counts} values: expected as many for each, an equal budget; add or remove some"
    if settings["model_width"] % settings["heads"]:
        found = settings["heads"]
        yield f"{where}.heads = {found}: expected a divisor of model_width = {settings['model_width']}; change one"
    if math.inf in settings["width"] and not set(rates) & set(KERNEL_OPTIMISERS):
        yield f"{where}.width: inf: expected one of {', '.join(KERNEL_OPTIMISERS)} in learning_rates; add one"
    elif settings["width"] == [math.inf] and set(rates) - set(KERNEL_OPTIMISERS):
        without = ", ".join(sorted(set(rates) - set(KERNEL_OPTIMISERS)))
        yield f"{where}.learning_rates: {without}: expected a finite width, as these have no infinite one; add one"


def _single_block(where: str, settings: Mapping[str, Any]) -> Iterator[str]:
    needed = [*settings.get("optimisers", ()), *([TRAINED] if "trained_widths" in settings else ())]
    for name in needed:
        if name not in settings.get("learning_rates", {name: 0}):
            yield f"{where}.learning_rates.{name}: missing; expected a learning rate for each optimiser; add it"
    for batch, samples in (("batch", "samples"), ("trained_batch", "samples")):
        if batch in settings and settings[batch] > settings[samples]:
            found, most = settings[batch], settings[samples]
            yield f"{where}.{batch} = {found}: expected ≤ {samples} = {most}; reduce it"


def _unshowable(config: Mapping[str, Any], figure: Figure, experiment: str, names: list[str]) -> Iterator[str]:
    """Why a figure cannot show an experiment, if so."""
    if experiment not in names:
        yield f"no such experiment; {nearest(experiment, names, 'choose one of ' + ', '.join(names))}"
        return
    study = config["adam_ntk"].get(experiment)
    ((kind, settings),) = study["study"].items() if study else [("transfer", {})]
    shown = figure.studies or ("transfer",)
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
    if training != figure.training:
        yield f"learns by {training}, expected {figure.training}; name another"
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
