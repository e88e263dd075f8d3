"""How rich should a source be? Linear teachers, the readout tuned on frozen source features (docs/version_two.md).

Version 2 of arXiv 2507.04448 reports that the best richness of the source is finite, and falls with the target's
samples. One run is one setting of it: what the source's labels, its training and the readout's are like. Single data
sets of dimension D stand beside their average over data sets, D → ∞.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from infwidth.numerics.checks import check_choice, check_count, check_number
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.studies.populations import population
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import averaged, fine_tuning
from infwidth.theory.averaged import RANGES, check_array
from infwidth.theory.linear.posterior import solve_posterior
from infwidth.theory.linear.spiked_flow import Modes, spiked_flow, tuned_readouts

TASKS = ("source", "target")


def run(
    *,
    seed: int,
    dimension: int = 256,
    data_sets: int = 12,
    source_richness: Sequence[float] = (0.5, 1, 2, 4, 8, 16, 32, 64),
    target_ratios: Sequence[float] = (0.25, 0.5, 0.75),
    source_ratio: float = 0.75,
    overlap: float = 0.9,
    source_noise: float = 0.0,
    target_noise: float = 0.0,
    engine: str = "flow",
    source_time: float = math.inf,
    target_time: float = math.inf,
    source_decay: float = 0.0,
    target_decay: float = 0.0,
    source_inverse_temperature: float = 1.0,
    inverse_temperature: float = 20.0,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Solve the theory of data sets, and its average over data sets, over the richness of the source.

    Args:
        seed: whole number ≥ 0 that the data derive from.
        dimension: D of the data sets.
        data_sets: how many, 2 at least.
        source_richness: γ̄√D > 0, written Γ̄, increasing.
        target_ratios: P2/D.
        source_ratio: P1/D.
        overlap: α.
        source_noise: σ̄, standard deviation of the source's label noise.
        target_noise: σ, that of the target, test labels included.
        engine: "flow" is gradient flow, "bayes" the posterior, for which times and decays are without effect.
        source_time: time for which the source trains; inf needs source_decay = 0.
        target_time: time for which the readout trains.
        source_decay: λ̄ of both layers of the source.
        target_decay: λ of the readout.
        source_inverse_temperature: β̄ of the source's posterior; without effect on the flow, like the next.
        inverse_temperature: β of the target's.
        progress: called with the fraction done.

    Returns:
        Rows at δ = ∞ for each Γ̄ and P2/D: ``test_loss`` and ``source_alignment`` m = |w·ŝ|/√D, means over the data
        sets with their standard errors, and ``averaged_test_loss``. For each P2/D, of the data sets' mean and at
        dimension ∞ of the average, ``best_source_richness``: where the test loss is least, inf where it falls to the
        last Γ̄. Strengths of rows are γ̄ = Γ̄/√D; at dimension ∞, where ``n_source`` and ``n_target`` are P/D, Γ̄.

    Raises:
        InputError: a setting is out of range.
        UnconvergedError: an unconverged point.
    """
    check_choice("engine", engine, ("flow", "bayes"))
    check_count("data_sets", data_sets, minimum=2)
    richness = check_array("source_richness", source_richness, **RANGES["source_richness"])
    ratios = check_array("target_ratios", target_ratios, **RANGES["target_ratio"])
    fine_tuning.check_training(source_decay, target_decay, source_time, target_time)
    numbers = {"source_ratio": source_ratio, "overlap": overlap, "source_noise": source_noise}
    numbers |= {"target_noise": target_noise, "inverse_temperature": inverse_temperature}
    numbers |= {"source_inverse_temperature": source_inverse_temperature}
    for name, value in numbers.items():
        check_number(name, value, **RANGES[name])
    setting = Setting(
        dimension=check_count("dimension", dimension, minimum=2),
        ratios=(float(source_ratio), ratios),
        overlap=float(overlap),
        noises=(float(source_noise), float(target_noise)),
        bayes=engine == "bayes",
        times=(float(source_time), float(target_time)),
        decays=(float(source_decay), float(target_decay)),
        temperatures=(1 / source_inverse_temperature, 1 / inverse_temperature),
    )
    counter, found = Counter(progress, data_sets + len(ratios)), []
    for index in range(data_sets):
        found.append(setting.of_data_set(richness, derive_seed(seed, "source richness", index)))
        counter.advance()
    losses, alignments = (np.array(values) for values in zip(*found, strict=True))  # (data sets, ratios, Γ̄)
    rows: list[dict[str, Any]] = []
    for place, samples in enumerate(setting.samples):
        rows += _rows(setting, samples, richness, losses[:, place], alignments)
        counter.advance()
    return rows


@dataclass(frozen=True)
class Setting:
    """What all values of the source's richness share; pairs are of source and target.

    Attributes:
        dimension: D.
        ratios: P1/D, and the values of P2/D, (n,).
        overlap: α.
        noises: σ.
        bayes: whether posteriors are meant.
        times: of training.
        decays: λ.
        temperatures: 1/β.
    """

    dimension: int
    ratios: tuple[float, np.ndarray]
    overlap: float
    noises: tuple[float, float]
    bayes: bool
    times: tuple[float, float]
    decays: tuple[float, float]
    temperatures: tuple[float, float]

    @property
    def described(self) -> str:
        """The setting in words."""
        words = [f"σ = {noise:g} in {task} labels" for task, noise in zip(TASKS, self.noises, strict=True) if noise]
        if self.bayes:
            words.append("posteriors")
        else:
            words += [f"{task} decay {decay:g}" for task, decay in zip(TASKS, self.decays, strict=True) if decay]
            times = zip(TASKS, self.times, strict=True)
            words += [f"{task} until t = {time:g}" for task, time in times if math.isfinite(time)]
        return f"{', '.join(words) or 'clean labels, to the end'}; source P/D = {self.ratios[0]:g}"

    @property
    def samples(self) -> list[int]:
        """P2, whole numbers."""
        return [max(1, round(ratio * self.dimension)) for ratio in self.ratios[1]]

    @property
    def source_samples(self) -> int:
        """P1."""
        return max(1, round(self.ratios[0] * self.dimension))

    def of_data_set(self, richness: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The population's test losses (n, G) of one data set, σ² included, and m (G,)."""
        sizes = self.source_samples, max(self.samples)
        task = population(self.dimension, self.overlap, sizes, seed, noises=self.noises)
        root = math.sqrt(self.dimension)
        directions, spikes, bulk = (self._posteriors if self.bayes else self._flows)(task, richness)
        training = {"decay": self.temperatures[1]} if self.bayes else {"decay": self.decays[1], "time": self.times[1]}
        losses = []
        for count in self.samples:
            v = tuned_readouts(
                task.x_target[:count] / root, task.y_target[:count], directions, spikes, bulk=bulk, **training
            )
            losses.append(np.mean((v - task.y_test) ** 2, -1) + self.noises[1] ** 2)
        return np.array(losses), np.abs(directions @ task.y_test) / root

    def _flows(self, task: TransferTask, richness: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Directions ŝ (G, D), spikes (G,) and bulk of trained sources."""
        modes, forces = Modes.of_data(task.x_source / math.sqrt(self.dimension), task.y_source, task.y_test)
        found = spiked_flow(modes, richness, time=self.times[0], decay=self.decays[0])
        v = found.response @ forces
        return v / np.linalg.norm(v, axis=1, keepdims=True), found.spike, found.bulk

    def _posteriors(self, task: TransferTask, richness: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """The same of sources' posteriors, A1 = I + b ŝŝᵀ at λ = 1."""
        design, directions, spikes = task.x_source / math.sqrt(self.dimension), [], []
        for strength in richness / math.sqrt(self.dimension):
            saddle = solve_posterior(
                design, task.y_source, strength=strength, inverse_temperature=1 / self.temperatures[0]
            ).saddle
            if saddle.status is not Status.CONVERGED:
                raise UnconvergedError(f"posterior of the source at γ̄ = {strength:g}", saddle.status)
            directions.append(saddle.drive / np.linalg.norm(saddle.drive))
            spikes.append(1 / saddle.margin)
        return np.array(directions), np.array(spikes), 1.0

    def averaged(self, samples: int, richness: np.ndarray) -> np.ndarray:
        """The test losses (G,) averaged over data sets as D → ∞ at these P/D."""
        ratios = {"source_ratio": self.source_samples / self.dimension, "target_ratio": samples / self.dimension}
        shared = ratios | {"overlap": self.overlap, "source_noise": self.noises[0], "target_noise": self.noises[1]}
        if not self.bayes:
            decays = dict(zip(("source_decay", "target_decay"), self.decays, strict=True))
            times = dict(zip(("source_time", "target_time"), self.times, strict=True))
            return fine_tuning.solve(**shared, **decays, **times, source_richness=richness).test_loss
        return averaged.solve(
            **shared,
            source_richness=richness,
            target_richness=1.0,  # without effect on frozen features
            elastic_coupling=math.inf,
            source_inverse_temperature=1 / self.temperatures[0],
            inverse_temperature=1 / self.temperatures[1],
        ).test_loss


def _rows(
    setting: Setting, samples: int, richness: np.ndarray, losses: np.ndarray, alignments: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Rows of one P2: losses (data sets, G)."""
    root, limit = math.sqrt(setting.dimension), functools.partial(setting.averaged, samples)
    columns = {"kind": "theory", "dataset": setting.described, "condition": "transfer"}
    columns |= {"elastic_coupling": math.inf, "stderr": 0.0, "status": Status.CONVERGED.value}
    own = {"dimension": float(setting.dimension), "n_source": float(setting.source_samples), "n_target": float(samples)}
    ratios = {"n_source": setting.source_samples / setting.dimension, "n_target": samples / setting.dimension}
    averages = limit(richness)
    for metric, values in (("test_loss", losses), ("source_alignment", alignments)):
        means, errors = values.mean(0), values.std(0, ddof=1) / math.sqrt(len(values))
        for strength, mean, error in zip(richness / root, means, errors, strict=True):
            found = {"metric": metric, "source_strength": float(strength), "value": float(mean), "stderr": float(error)}
            yield columns | own | found
    for strength, loss in zip(richness / root, averages, strict=True):
        found = {"metric": "averaged_test_loss", "source_strength": float(strength), "value": float(loss)}
        yield columns | own | found
    best = {"metric": "best_source_richness"}
    yield columns | own | best | {"value": _lowest(richness, losses.mean(0))}
    found, loss = fine_tuning.best_richness(limit, richness)
    yield columns | ratios | best | {"dimension": math.inf, "value": found}
    yield columns | ratios | {"metric": "best_test_loss", "dimension": math.inf, "value": loss}


def _lowest(richness: np.ndarray, losses: np.ndarray) -> float:
    """Where a curve is least, by a cubic spline in ln Γ̄; inf where it falls to the last point."""
    logs = np.log(richness)
    least = int(losses.argmin())
    if least == len(losses) - 1:
        return math.inf
    fine = np.linspace(logs[max(least - 1, 0)], logs[least + 1], 201)
    return float(np.exp(fine[CubicSpline(logs, losses)(fine).argmin()]))
