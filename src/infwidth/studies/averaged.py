"""Does the theory of a data set come down to its average over data sets? Linear teachers, as the dimension grows.

At fixed P/D and γ√D the theory conditioned on one data set scatters around its average over data sets as D^−½, and its
mean departs from the average's limit D → ∞, which knows neither P nor D, as 1/D (docs/averaged.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from infwidth.numerics.checks import check_count, check_number
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.numerics.status import Status, worst
from infwidth.studies.populations import population
from infwidth.theory import averaged, bayes
from infwidth.theory.averaged import RANGES, check_array

LEAST = 4
"""Data sets of a dimension, of which a standard deviation is taken."""


def run(
    *,
    seed: int,
    dimensions: Sequence[int] = (12, 24, 50, 100, 200, 400),
    data_sets: int = 192,
    full_until: int = 50,
    overlaps: Sequence[float] = (0.3, 0.8),
    elastic_couplings: Sequence[float] = (0, 1, 10),
    source_ratio: float = 2.0,
    target_ratio: float = 0.5,
    source_richness: float = 3.0,
    target_richness: float = 2.0,
    inverse_temperature: float = 20.0,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Solve the theory of data sets of several dimensions, and its average over data sets.

    Args:
        seed: whole number ≥ 0 that the data derive from.
        dimensions: D ≥ 2.
        data_sets: data sets of a dimension, the same for all overlaps.
        full_until: dimension above which there are fewer, as 1/D², but four at least.
        overlaps: α in [−1, 1].
        elastic_couplings: δ ≥ 0, inf allowed.
        source_ratio: P1/D; P1 is rounded to a whole number ≥ 1, and the average taken at what that gives.
        target_ratio: P2/D, likewise.
        source_richness: γ̄√D > 0.
        target_richness: γ√D > 0.
        inverse_temperature: β > 0 of both tasks.
        progress: called with the fraction done.

    Returns:
        Rows for each dimension, overlap and δ: ``test_loss``, the population's, mean over data sets with its standard
        error; ``averaged_test_loss``, D → ∞ at these ratios; ``bias``, the first less the second, and ``scatter``, the
        standard deviation over data sets, both relative to the second.

    Raises:
        InputError: a setting is out of range.
    """
    dimensions = [check_count(f"dimensions[{place}]", value, minimum=2) for place, value in enumerate(dimensions)]
    check_count("data_sets", data_sets, minimum=LEAST)
    check_count("full_until", full_until)
    alphas = check_array("overlaps", overlaps, **RANGES["overlap"])
    couplings = check_array("elastic_couplings", elastic_couplings, **RANGES["elastic_coupling"])
    counter = Counter(progress, len(alphas) * len(dimensions))
    rows: list[dict[str, Any]] = []
    for dimension in dimensions:
        count = max(LEAST, round(data_sets * min(1.0, (full_until / dimension) ** 2)))
        seeds = [derive_seed(seed, "averaged data", dimension, index) for index in range(count)]
        setting = Setting.of(
            dimension, (source_ratio, target_ratio), (source_richness, target_richness), inverse_temperature
        )
        sources: dict = {}  # solved once for all overlaps
        for overlap in alphas:
            limit = setting.averaged(overlap, couplings)
            losses, status = setting.of_data_sets(overlap, couplings, seeds, sources)
            rows += [
                setting.columns | {"overlap": float(overlap), "elastic_coupling": float(coupling)} | row
                for place, coupling in enumerate(couplings)
                for row in _compared(losses[:, place], float(limit[place]), status[place])
            ]
            counter.advance()
    return rows


@dataclass(frozen=True)
class Setting:
    """What all overlaps and couplings of a dimension share.

    Attributes:
        dimension: D.
        sizes: P1 and P2.
        richness: γ√D of source and target.
        inverse_temperature: β.
    """

    dimension: int
    sizes: tuple[int, int]
    richness: tuple[float, float]
    inverse_temperature: float

    @classmethod
    def of(
        cls, dimension: int, ratios: tuple[float, float], richness: tuple[float, float], inverse_temperature: float
    ) -> Setting:
        """The setting with these P/D, rounded to whole numbers of samples."""
        names = ("source_ratio", "target_ratio")
        ratios = tuple(check_number(name, value, **RANGES[name]) for name, value in zip(names, ratios, strict=True))
        sizes = tuple(max(1, round(ratio * dimension)) for ratio in ratios)
        return cls(dimension, sizes, richness, inverse_temperature)

    @property
    def columns(self) -> dict[str, Any]:
        """What rows of the table have of it."""
        strengths = [value / math.sqrt(self.dimension) for value in self.richness]
        return {
            "kind": "theory",
            "dataset": "linear teachers",
            "condition": "transfer",
            "n_source": float(self.sizes[0]),
            "n_target": float(self.sizes[1]),
            "dimension": float(self.dimension),
            "source_strength": strengths[0],
            "target_strength": strengths[1],
        }

    def averaged(self, overlap: float, couplings: np.ndarray) -> np.ndarray:
        """The test losses (n,) averaged over data sets as D → ∞ at these P/D and γ√D."""
        return averaged.solve(
            source_ratio=self.sizes[0] / self.dimension,
            target_ratio=self.sizes[1] / self.dimension,
            source_richness=self.richness[0],
            target_richness=self.richness[1],
            overlap=overlap,
            elastic_coupling=couplings,
            inverse_temperature=self.inverse_temperature,
        ).test_loss

    def of_data_sets(
        self, overlap: float, couplings: np.ndarray, seeds: Sequence[int], sources: dict
    ) -> tuple[np.ndarray, list[Status]]:
        """The population's test losses (seeds, n) of the theory of each data set, and the worst status of each δ.

        ``sources`` keeps what was solved of their sources, see ``bayes.solve``.
        """
        found = [
            bayes.solve(
                population(self.dimension, float(overlap), self.sizes, seed),
                activation="linear",
                source_strength=self.columns["source_strength"],
                target_strength=self.columns["target_strength"],
                elastic_coupling=couplings.tolist(),
                inverse_temperature=self.inverse_temperature,
                evidence=False,
                strict=False,
                sources=sources,
            )
            for seed in seeds
        ]
        status = [worst(one.status[place] for one in found) for place in range(len(couplings))]
        return np.array([one.test_loss for one in found]), status


def _compared(losses: np.ndarray, limit: float, status: Status) -> list[dict[str, Any]]:
    """Losses (n,) of data sets beside what they tend to."""
    mean, spread, count = losses.mean(), losses.std(ddof=1), len(losses)
    error = spread / math.sqrt(count)
    values = {
        "test_loss": (mean, error),
        "averaged_test_loss": (limit, 0.0),
        "bias": (mean / limit - 1, error / limit),
        "scatter": (spread / limit, spread / limit / math.sqrt(2 * (count - 1))),
    }
    return [
        {"metric": metric, "value": float(value), "stderr": float(stderr), "status": status.value}
        for metric, (value, stderr) in values.items()
    ]
