"""What is wrong between the settings of a study that are each right, and what a known data set can't give."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infwidth.adam_ntk.variants import KERNEL_OPTIMISERS, TRAINED
from infwidth.plan.complaints import show

ARCHIVE = ".npz"
LONGEST = 1e8
"""Time up to which networks follow a gradient flow, in steps of 1 at most."""
WITH_NETWORKS = frozenset({"forgetting", "distribution_shift"})
"""Kinds that hold networks against the theory; of width 0 they solve the theory alone."""
SCALE = 1e12
"""Largest size of a study's numbers, and one over their least. Rates, strengths, noise and times are of order 1; the
powers up to the third of what is let through are numbers in single precision too."""


@dataclass(frozen=True)
class Sizes:
    """How many images a known data set has: of a class at most, and in all."""

    train: int
    test: int
    all_train: int
    all_test: int
    classes: int = 10


KNOWN = {"cifar10": Sizes(5000, 1000, 50_000, 10_000), "digits": Sizes(147, 36, 1442, 355)}


def of_study(where: str, kind: str, settings: Mapping[str, Any], images: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each contradiction in a study's settings; ``images`` says where images come from."""
    yield from _beyond_scale(where, settings)
    yield from _KINDS.get(kind, _single_block)(where, settings)
    if {"dataset", "samples"} <= set(settings):
        yield from _sample(where, settings, *known(settings["dataset"], images))
    if {"dataset", "problems"} <= set(settings):
        yield from _pairs(where, settings, *known(settings["dataset"], images))


def of_repetitions(where: str, kind: str, entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line if the theory can't be solved alone on as many repetitions as a study says."""
    found = entry["theory_seeds"]
    if found is None:
        return
    if kind not in WITH_NETWORKS or not entry["study"][kind]["width"]:
        kinds = " or ".join(sorted(WITH_NETWORKS))
        yield f"{where}.theory_seeds = {found}: expected null but for {kinds} with networks (width > 0); remove it"
    elif found < entry["seeds"]:
        yield f"{where}.theory_seeds = {found}: expected ≥ seeds = {entry['seeds']}, or null; raise it"


def too_long(where: str, settings: Mapping[str, Any], *keys: str) -> Iterator[str]:
    """Yield one line for each time of networks' training that they can't reach."""
    for key in keys:
        found = settings[key]
        longest = max(found) if isinstance(found, list) else found
        if longest > LONGEST:
            yield f"{where}.{key} = {longest:g}: expected ≤ {LONGEST:g} with networks; shorten it, or train none"


def _beyond_scale(where: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each number that is neither 0 nor infinite nor of a size that studies have."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _beyond_scale(f"{where}.{key}", value)
            continue
        several = isinstance(value, list)
        for i, one in enumerate(value if several else [value]):
            number = isinstance(one, int | float) and not isinstance(one, bool)
            if number and one and math.isfinite(one) and not 1 / SCALE <= abs(one) <= SCALE:
                path = f"{where}.{key}[{i}]" if several else f"{where}.{key}"
                yield f"{path} = {one:g}: expected a size between {1 / SCALE:g} and {SCALE:g}, or 0; change it"


def known(dataset: str, images: Mapping[str, Any]) -> tuple[str, Sizes | None]:
    """A data set's name and sizes, by ``images`` for ``images``; an archive's are known to the job that reads it."""
    if dataset == "images":
        dataset = "digits" if images["dataset"] == "digits" else "cifar10"
        if images["path"] and images["path"].endswith(ARCHIVE):
            return images["path"], None
    return dataset, KNOWN.get(dataset)


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


def _source_richness(where: str, settings: Mapping[str, Any]) -> Iterator[str]:
    found = settings["source_richness"]
    if found != sorted(found):
        yield f"{where}.source_richness = {show(found)}: expected increasing values; sort them"
    if settings["engine"] == "flow" and math.isinf(settings["source_time"]) and settings["source_decay"]:
        found = settings["source_decay"]
        yield f"{where}.source_time = inf: expected a finite time at source_decay = {found:g}; name one"


def _forgetting(where: str, settings: Mapping[str, Any]) -> Iterator[str]:
    for key in ("width", "particles"):
        if settings[key] % 2:
            yield f"{where}.{key} = {settings[key]}: expected an even number (± pairs); add 1"
    if settings["width"]:
        yield from too_long(where, settings, "source_time", "target_time")


def _from_scratch(where: str, settings: Mapping[str, Any]) -> Iterator[str]:
    if 0 not in settings["elastic_couplings"]:
        yield f"{where}.elastic_couplings = {show(settings['elastic_couplings'])}: expected 0 among them; add it"


def _advice_calibration(where: str, settings: Mapping[str, Any]) -> Iterator[str]:
    yield from _from_scratch(where, settings)
    least, most = settings["least_target_samples"], settings["most_target_samples"]
    if most < least:
        yield f"{where}.most_target_samples = {most}: expected ≥ least_target_samples = {least}; raise it"


def _real_transfer(where: str, settings: Mapping[str, Any]) -> Iterator[str]:
    yield from too_long(where, settings, "training_time")
    if settings["dataset"] not in ("digits", "images") and settings["extractor"] != "pixels":
        found, of = settings["extractor"], settings["dataset"]
        yield f"{where}.extractor = {found}: expected pixels with dataset {of}; remove it"
    couplings, fixed = settings["elastic_couplings"], settings["fixed_coupling"]
    for needed, why in ((0, ""), (math.inf, ""), (fixed, ", the fixed_coupling,")):
        if needed not in couplings:
            yield f"{where}.elastic_couplings = {show(couplings)}: expected {needed:g}{why} among them; add it"
    if settings["width"] % 2:
        yield f"{where}.width = {settings['width']}: expected an even number (neurons come in ± pairs); change it"
    half, folds = settings["target_samples"] // 2, settings["network_folds"]
    for key in ("source_samples", "target_samples"):
        if settings[key] % 2:
            yield f"{where}.{key} = {settings[key]}: expected an even number, half of each class; add 1"
    if half % folds:
        yield f"{where}.network_folds = {folds}: expected a divisor of target_samples / 2 = {half}; change one"


_KINDS: dict[str, Callable[[str, Mapping[str, Any]], Iterator[str]]] = {
    "language": _language,
    "source_richness": _source_richness,
    "forgetting": _forgetting,
    "distribution_shift": _from_scratch,
    "advice_calibration": _advice_calibration,
    "real_transfer": _real_transfer,
}


def _pairs(where: str, settings: Mapping[str, Any], name: str, sizes: Sizes | None) -> Iterator[str]:
    """Likewise, to a study of pairs of classes."""
    if sizes is None:
        return
    if 2 * settings["problems"] > sizes.classes:
        found = settings["problems"]
        yield f"{where}.problems = {found}: expected ≤ {sizes.classes // 2}, pairs of classes of {name}; reduce it"
    for key in ("source_samples", "target_samples"):
        if settings[key] > 2 * sizes.train:
            most = f"≤ {2 * sizes.train}, what two classes of {name} have at most"
            yield f"{where}.{key} = {settings[key]}: expected {most}; reduce it"


def _sample(where: str, settings: Mapping[str, Any], name: str, sizes: Sizes | None) -> Iterator[str]:
    """What a known data set cannot give to a study."""
    if sizes is None:
        return
    train = settings["samples"] + settings.get("validation_samples", 0)
    key = "samples + validation_samples" if "validation_samples" in settings else "samples"
    for what, size, most in ((key, train, sizes.all_train), ("test_samples", settings["test_samples"], sizes.all_test)):
        if size and size > most:
            yield f"{where}.{what} = {size}: expected ≤ {most}, what {name} has; reduce it"
