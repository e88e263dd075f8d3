"""What jobs would need in memory, work and number, said before they start where no machine could do it.

These are lower bounds: arrays that a job can't do without, and the multiplications that pass over them. Each is a
product of settings, so that a refusal names the largest of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limit:
    """The most that is let through of something, generous on purpose; ``unit`` is what a message calls it."""

    most: float
    unit: str


MEMORY = Limit(1e12, "numbers in memory")  # more than any one machine holds that people train on
WORK = Limit(1e21, "multiplications")  # months of a machine with eight GPUs
SEEDS = Limit(1e5, "seeds")  # each is a job or a part of one, of which the workflow keeps book
NETWORKS = Limit(4000, "networks in a job")  # their seeds stand on its command line, which the system limits

Demand = tuple[Limit, str, str]
"""What limits it, what it is of, and the settings whose product it is."""
TRANSFER: tuple[Demand, ...] = (
    (SEEDS, "the experiment", "data_seeds"),
    (SEEDS, "the theory", "theory_data_seeds"),
    (NETWORKS, "the experiment", "seeds_per_job network_seeds"),
    *((MEMORY, "its data", f"seeds_per_job dimension {samples}") for samples in ("n_source", "n_target", "n_test")),
    *((MEMORY, "a kernel", f"{samples} {samples}") for samples in ("n_source", "n_target")),
    (MEMORY, "its networks", "seeds_per_job network_seeds width dimension"),
    (MEMORY, "its theory", "particles dimension"),
    *(
        (WORK, "sampling", f"{time} seeds_per_job network_seeds width dimension n_source")
        for time in ("burn_in_time", "sampling_time")
    ),
)
STUDY: tuple[Demand, ...] = (
    (SEEDS, "the study", "seeds"),
    (NETWORKS, "the study", "seeds_per_job"),
    (MEMORY, "a model", "layers model_width width"),
    (MEMORY, "a model", "layers model_width model_width"),
    (MEMORY, "attention", "batch context context"),
    *((WORK, "training", f"{steps} batch context layers model_width width") for steps in ("steps", "sweep_steps")),
    *(
        (MEMORY, "features", f"{samples} {width}")
        for samples in ("samples", "test_samples", "validation_samples", "dimension", "dimensions")
        for width in ("width", "widths", "trained_widths")
    ),
    *(
        (MEMORY, "inputs", f"{samples} {size}")
        for samples in ("samples", "test_samples")
        for size in ("dimension", "dimensions")
    ),
    (WORK, "training", "steps batch widths"),
    (WORK, "the theory of data sets", "data_sets dimensions dimensions dimensions"),
    (MEMORY, "a grid", "overlaps target_ratios target_richness target_noise"),
    (WORK, "training", "trained_steps trained_batch trained_widths"),
    *((WORK, "features", f"samples widths {draws}") for draws in ("draws", "feature_draws")),
    (MEMORY, "features", "samples sampled_features"),
)


def excesses(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each experiment that no machine could run, with the key to change."""
    for section, demands, seeds in (("experiments", TRANSFER, "data_seeds"), ("adam_ntk", STUDY, "seeds")):
        for name, entry in config[section].items():
            where, values = f"{section}.{name}", dict(_leaves(entry))
            path, count = values[seeds]
            if "language" in entry.get("study", {}):  # a job of it has all seeds
                values["seeds_per_job"] = values[seeds]
            elif count < entry["seeds_per_job"]:
                values["seeds_per_job"] = (path, count)
            # only the first: the others are likely to be of the same key
            yield from list(_excess(where, demands, values))[:1]


def _excess(where: str, demands: tuple[Demand, ...], values: Mapping[str, tuple[str, float]]) -> Iterator[str]:
    for limit, what, names in demands:
        factors = [values[name] for name in names.split() if name in values]
        # in logarithms, as the product may be too large for a float
        amount = sum(math.log10(value) for _, value in factors)
        if factors and amount > math.log10(limit.most):
            path, value = max(factors, key=lambda factor: factor[1])
            power = sum(1 for factor in factors if factor[0] == path)
            least = 10 ** (math.log10(value) - (amount - math.log10(limit.most)) / power)
            yield (
                f"{where}.{path} = {value:g}: {what} would need 10^{amount:.0f} {limit.unit}, expected at most "
                f"{limit.most:g}; reduce it, to {least:.1g} with the rest as it is"
            )


def _leaves(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, tuple[str, float]]]:
    """Each setting's name → its path and largest value, if that is finite and above 1."""
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            yield from _leaves(inner, f"{path}{name}.")
            continue
        numbers = [one for one in (inner if isinstance(inner, list) else [inner]) if isinstance(one, int | float)]
        finite = [float(one) for one in numbers if not isinstance(one, bool) and math.isfinite(one)]
        yield name, (path + name, max([1.0, *finite]))
