"""What jobs would need in memory, time and number: refused before they start where no machine could do it.

These are lower bounds: arrays that a job can't do without, the multiplications that pass over them and the steps that
follow one another. Each is a sum of products of settings, so that a message names the largest of them.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BYTES = 8
"""Of a number."""
RATE = 1e13
"""Multiplications a second, of one fast GPU at its best."""
PACE = 1e4
"""Steps a second that follow one another, however small."""
TURNS = 1e3
"""Problems a second, however small, that are solved one after another."""


@dataclass(frozen=True)
class Limit:
    """How much there may be of something.

    Attributes:
        most: what is let through, of products of settings.
        unit: what a message calls it, in units of ``one``.
        one: products of settings in a unit.
        why: what sets it.
        here: from where on this machine can't, or hardly; inf where it does not matter.
    """

    most: float
    unit: str
    one: float = 1.0
    why: str = ""
    here: float = math.inf


def _memory_here() -> float:
    """Numbers that this machine's memory holds; inf where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / BYTES
    except (AttributeError, OSError, ValueError):
        return math.inf


_DAY, _MONTHS = 24 * 3600, 100 * 24 * 3600
MEMORY = Limit(1e12 / BYTES, "GB of memory", 1e9 / BYTES, "what the largest machines have", _memory_here())
WORK = Limit(_MONTHS * RATE, "hours", 3600 * RATE, f"at {RATE:g} multiplications a second", _DAY * RATE)
STEPS = Limit(_MONTHS * PACE, "hours", 3600 * PACE, f"at {PACE:g} steps a second", _DAY * PACE)
SOLVED = Limit(_MONTHS * TURNS, "hours", 3600 * TURNS, f"at {TURNS:g} problems a second", _DAY * TURNS)
SEEDS = Limit(1e5, "seeds", why="each is a job or a part of one, of which the workflow keeps book")
CHAIN = Limit(1e6, "million steps", 1e6, "what a chain takes, none of them longer than a unit of time")
NETWORKS = Limit(4000, "networks in a job", why="their seeds stand on its command line, which the system limits")

Demand = tuple[Limit, str, tuple[str, ...]]
"""What limits it, what it is of, and the products of settings whose sum it is. A product is the names that there are of
some, or where these are joined by * all of them or none."""
_SAMPLING: tuple[Demand, ...] = (
    *((CHAIN, "sampling", (time,)) for time in ("burn_in_time", "sampling_time")),
    *(
        (WORK, "sampling", (f"{time} seeds_per_job network_seeds width dimension {samples}",))
        for time in ("burn_in_time", "sampling_time")
        for samples in ("n_source", "n_target")
    ),
)
TRANSFER: tuple[Demand, ...] = (
    (SEEDS, "the experiment", ("data_seeds",)),
    (SEEDS, "the theory", ("theory_data_seeds",)),
    (NETWORKS, "the experiment", ("seeds_per_job network_seeds",)),
    (
        MEMORY,
        "a job's data and networks",
        (  # both twice: data as drawn and in the solver's units, networks as they began and as they are
            *(f"seeds_per_job dimension {samples}" for samples in ("n_source", "n_target", "n_test") * 2),
            *("seeds_per_job network_seeds width dimension",) * 2,
        ),
    ),
    (MEMORY, "its kernels", tuple(f"{n} {n} n_outputs n_outputs" for n in ("n_source", "n_target"))),
    (MEMORY, "its theory", ("particles dimension",)),
    (SOLVED, "its theory", ("replicas",)),
    (MEMORY, "a pair of images", ("size size",)),
    *_SAMPLING,
)
_RATIOS = ("source_ratio", "target_ratio", "target_ratios")
_SIZES = ("dimension", "dimensions")
_SAMPLES = ("samples", "test_samples", "validation_samples")
_NETWORKS = ("network_seeds", "network_repeats")
_TASKS = ("n_source", "n_target", "n_test", "source_samples", "target_samples", "most_target_samples", "test_samples")
STUDY: tuple[Demand, ...] = (
    *((SEEDS, "the study", (count,)) for count in ("seeds", "theory_seeds", "added")),
    (NETWORKS, "the study", ("seeds_per_job",)),
    (MEMORY, "a model", ("layers model_width width", "layers model_width model_width", "vocabulary model_width")),
    (MEMORY, "attention", ("batch context context",)),
    *((STEPS, "training", (steps,)) for steps in ("steps", "sweep_steps", "trained_steps")),
    *((WORK, "training", (f"{steps} batch context layers model_width width",)) for steps in ("steps", "sweep_steps")),
    *(
        (MEMORY, "features", (f"{samples} {width}",))
        for samples in (*_SAMPLES, *_SIZES)
        for width in ("width", "widths", "trained_widths")
    ),
    *((MEMORY, "inputs", tuple(f"{samples} {size}" for samples in _SAMPLES)) for size in _SIZES),
    (MEMORY, "its tasks", tuple(f"{samples} dimension" for samples in _TASKS)),
    *((MEMORY, "a kernel", (f"{samples} {samples}",)) for samples in _TASKS if "test" not in samples),
    *((MEMORY, "data sets", tuple(f"{ratio} * {size} * {size}" for ratio in _RATIOS)) for size in _SIZES),
    (MEMORY, "its theory", ("particles dimension",)),
    (MEMORY, "its networks", ("network_seeds width dimension",)),
    *_SAMPLING,
    *((SOLVED, "the study", (count,)) for count in ("data_sets", "problems", "replicas", *_NETWORKS)),
    *((SOLVED, "the study", (f"widths {draws}",)) for draws in ("draws", "feature_draws")),
    (WORK, "training", ("steps batch widths",)),
    (WORK, "the theory of data sets", ("data_sets dimensions dimensions dimensions",)),
    (WORK, "training", ("trained_steps trained_batch trained_widths",)),
    *((WORK, "features", (f"samples widths {draws}",)) for draws in ("draws", "feature_draws")),
    (MEMORY, "features", ("samples sampled_features",)),
)


def excesses(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each experiment that no machine could run, with the key to change."""
    for need in _beyond(config, lambda limit: limit.most):
        yield (
            f"{need}, expected at most {need.limit.most / need.limit.one:g} ({need.limit.why}); reduce it, to "
            f"{need.least:.1g} with the rest as it is"
        )


def cautions(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each experiment that this machine can't run, or not within a day."""
    for need in _beyond(config, lambda limit: limit.here):
        found = f"this machine has {need.limit.here / need.limit.one:.0f}" if need.limit is MEMORY else need.limit.why
        yield f"{need} or more ({found}); reduce it, or run it where that is at hand"


@dataclass(frozen=True)
class _Need:
    """A demand's amount, log10 as it may be too large for a float, and the setting that makes most of it."""

    limit: Limit
    what: str
    amount: float
    path: str
    value: float
    power: int

    @property
    def least(self) -> float:
        """The setting's value where the limit would be kept, were the amount this product alone."""
        return 10 ** (math.log10(self.value) - (self.amount - math.log10(self.limit.most)) / self.power)

    def __str__(self) -> str:
        units = self.amount - math.log10(self.limit.one)
        spoken = f"{10**units:.3g}" if units < 6 else f"10^{units:.0f}"
        return f"{self.path} = {self.value:g}: {self.what} would need {spoken} {self.limit.unit}"


def _beyond(config: Mapping[str, Any], bound: Callable[[Limit], float]) -> Iterator[_Need]:
    """The demand of each experiment that is furthest beyond a bound, if any is: others are likely of the same key."""
    for section, demands, seeds in (("experiments", TRANSFER, "data_seeds"), ("studies", STUDY, "seeds")):
        for name, entry in config[section].items():
            values: dict[str, tuple[str, float]] = {}
            for key, leaf in _leaves(entry, f"{section}.{name}."):
                values[key] = max(leaf, values.get(key, leaf), key=lambda found: found[1])
            path, count = values[seeds]
            if "language" in entry.get("study", {}):  # a job of it has all seeds
                values["seeds_per_job"] = values[seeds]
            elif count < entry["seeds_per_job"]:
                values["seeds_per_job"] = (path, count)
            found = [need for demand in demands for need in _need(demand, values)]
            excess = {need.amount - math.log10(bound(need.limit)): need for need in found}
            if max(excess) > 0:
                yield excess[max(excess)]


def _need(demand: Demand, values: Mapping[str, tuple[str, float]]) -> Iterator[_Need]:
    """The amount of a demand, of which an experiment may have no setting."""
    limit, what, products = demand
    whole = (names for names in products if "*" not in names or all(name in values for name in names.split(" * ")))
    found = [[values[name] for name in names.split() if name in values] for names in whole]
    amounts = [sum(math.log10(value) for _, value in factors) for factors in found if factors]
    if not amounts:
        return
    largest = max(amounts)
    factors = next(f for f in found if f and sum(math.log10(value) for _, value in f) == largest)
    path, value = max(factors, key=lambda factor: factor[1])
    total = largest + math.log10(sum(10 ** (amount - largest) for amount in amounts))
    yield _Need(limit, what, total, path, value, sum(1 for one, _ in factors if one == path))


def _leaves(value: Mapping[str, Any], path: str) -> Iterator[tuple[str, tuple[str, float]]]:
    """Each setting's name → its path and largest value, if that is finite and above 1."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _leaves(inner, f"{path}{name}.")
            continue
        for i, one in enumerate(inner if isinstance(inner, list) else ()):
            if isinstance(one, Mapping):
                yield from _leaves(one, f"{path}{name}[{i}].")
        numbers = [one for one in (inner if isinstance(inner, list) else [inner]) if isinstance(one, int | float)]
        finite = [float(one) for one in numbers if not isinstance(one, bool) and math.isfinite(one)]
        yield name, (path + name, max([1.0, *finite]))
