"""What a shift between source and target does to the gain of transfer: linear teachers, Bayesian, theory and networks.

Inputs of other spectra or other axes, noisy labels of source or target, a target direction turned away from that of the
source (docs/theory.md §5). One data set is drawn for all shifts: the same white inputs, noise and directions make them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from infwidth.networks import langevin
from infwidth.networks.two_layer.ensemble import TargetPoint
from infwidth.numerics.checks import check_count
from infwidth.numerics.losses import mean_squared_error
from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.seeds import derive_seed
from infwidth.numerics.status import Status, tied
from infwidth.studies.populations import population
from infwidth.tasks.gaussian_teachers import Given
from infwidth.tasks.spectra import Spectrum, power_law
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import averaged, bayes

FLAT = "flat spectra, clean labels"


@dataclass(frozen=True)
class Shift:
    """How source and target differ.

    Attributes:
        words: what the table calls it.
        overlap: α.
        spectra: of the source's and of the target's inputs, as tasks take them.
        noises: σ of the labels of source and target.
    """

    words: str
    overlap: float
    spectra: tuple[Given, Given] = (None, None)
    noises: tuple[float, float] = (0.0, 0.0)


def shifts(
    overlaps: Sequence[float], exponent: float, source_noises: Sequence[float], target_noises: Sequence[float]
) -> list[Shift]:
    """The shifts of a study: each by itself, at the first overlap but for those that turn the target's direction."""
    none = Shift(FLAT, float(overlaps[0]))
    steep, name, flat = {"exponent": float(exponent)}, f"k^−{exponent:g}", {"exponent": 0.0}
    spectra = {
        f"{name} → {name}": (steep, None),
        f"{name} → {name} rotated": (steep, steep | {"rotated": True}),
        f"{name} → flat": (steep, flat),
        f"flat → {name}": (None, steep),
    }
    return [
        *(replace(none, overlap=float(overlap)) for overlap in overlaps),
        *(replace(none, words=f"spectrum {words}", spectra=pair) for words, pair in spectra.items()),
        *(replace(none, words=f"source label noise {s:g}", noises=(float(s), 0.0)) for s in source_noises),
        *(replace(none, words=f"target label noise {s:g}", noises=(0.0, float(s))) for s in target_noises),
    ]


def run(
    *,
    seed: int,
    overlaps: Sequence[float] = (0.9, 0.6, 0.3, 0),
    exponent: float = 1.5,
    source_noise: Sequence[float] = (0.5, 1),
    target_noise: Sequence[float] = (0.5, 1),
    elastic_couplings: Sequence[float] = (0, 1, 10, 100),
    dimension: int = 16,
    n_source: int = 16,
    n_target: int = 8,
    source_richness: float = 4.0,
    target_richness: float = 3.0,
    inverse_temperature: float = 20.0,
    width: int = 800,
    burn_in_time: float = 20.0,
    sampling_time: float = 100.0,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Solve the theory of one data set and sample networks on it, for each shift.

    Args:
        seed: whole number ≥ 0 that data and networks derive from.
        overlaps: α; the first is that of all other shifts.
        exponent: e of the spectra k^−e.
        source_noise: σ̄ > 0 of the source's labels.
        target_noise: σ > 0 of the target's.
        elastic_couplings: δ, 0 among them.
        dimension: D.
        n_source: P1.
        n_target: P2.
        source_richness: γ̄√D.
        target_richness: γ√D.
        inverse_temperature: β of both tasks.
        width: N; 0 samples no networks.
        burn_in_time: of their chains.
        sampling_time: likewise.
        progress: called with the fraction done.

    Returns:
        Rows with the shift in the dataset's name: ``test_loss`` over the population, labels without noise, of theory
        and networks, ``test_loss_deviation``, c of the theory's E_N = E_∞ + c/N, and, of dimension inf,
        ``averaged_test_loss``, the theory's average over all data sets at these P/D, γ√D and spectra as D → ∞.

    Raises:
        InputError: a setting is out of range.
    """
    check_count("width", width, minimum=0)
    arms = shifts(overlaps, exponent, source_noise, target_noise)
    tasks = [
        population(dimension, arm.overlap, (n_source, n_target), seed, noises=arm.noises, spectra=arm.spectra)
        for arm in arms
    ]
    strengths = {
        "source_strength": source_richness / math.sqrt(dimension),
        "target_strength": target_richness / math.sqrt(dimension),
    }
    common = {"n_source": float(n_source), "n_target": float(n_target), "condition": "transfer", **strengths}
    ratios = {"source_ratio": n_source / dimension, "target_ratio": n_target / dimension}
    ratios |= {"source_richness": source_richness, "target_richness": target_richness}
    ratios |= {"inverse_temperature": inverse_temperature}
    counter, rows = Counter(progress, 2), []
    for arm, task in zip(arms, tasks, strict=True):
        which = common | {"dataset": arm.words, "overlap": arm.overlap}
        found = [*_theory(task, elastic_couplings, strengths, inverse_temperature)]
        rows += [which | row for row in (*found, *_average(arm, elastic_couplings, dimension, ratios))]
    counter.advance()
    if width:
        times = {"burn_in_time": burn_in_time, "sampling_time": sampling_time}
        settings = {"inverse_temperature": inverse_temperature, "width": width, **times}
        found = _networks(tasks, elastic_couplings, strengths, derive_seed(seed, "networks"), **settings)
        for arm, lines in zip(arms, found, strict=True):
            rows += [common | {"dataset": arm.words, "overlap": arm.overlap} | line for line in lines]
    counter.advance()
    return rows


def _theory(
    task: TransferTask, couplings: Sequence[float], strengths: Mapping[str, float], inverse_temperature: float
) -> Iterator[dict[str, Any]]:
    """The theory's rows of one shift."""
    found = bayes.solve(
        task,
        activation="linear",
        elastic_coupling=list(couplings),
        inverse_temperature=inverse_temperature,
        evidence=False,
        strict=False,
        **strengths,
    )
    deviation = found.finite_width.mean + found.finite_width.source  # the posterior's mean has no thermal scatter
    for metric, values in {"test_loss": found.test_loss, "test_loss_deviation": deviation}.items():
        for coupling, value, status in zip(couplings, values, found.status, strict=True):
            place = {"kind": "theory", "width": math.inf, "dimension": float(task.dimension), "metric": metric}
            place |= {"elastic_coupling": float(coupling)}
            yield place | {"value": float(value), "stderr": 0.0, "status": status.value}


def _average(
    shift: Shift, couplings: Sequence[float], dimension: int, ratios: Mapping[str, float]
) -> Iterator[dict[str, Any]]:
    """The rows of the theory averaged over data sets, eqs. (A1) to (A15) and (12)."""
    source, target = (Spectrum.of("spectrum", given) for given in shift.spectra)
    target = source if shift.spectra[1] is None else target
    found = averaged.solve(
        overlap=shift.overlap,
        elastic_coupling=list(couplings),
        source_noise=shift.noises[0],
        target_noise=shift.noises[1],
        source_spectrum=power_law(dimension, source.exponent),
        target_spectrum=power_law(dimension, target.exponent),
        rotated=target.rotated,
        strict=False,
        **ratios,
    )
    for coupling, loss, status in zip(couplings, found.test_loss - shift.noises[1] ** 2, found.status, strict=True):
        place = {"kind": "theory", "width": math.inf, "dimension": math.inf, "elastic_coupling": float(coupling)}
        yield place | {
            "metric": "averaged_test_loss", "value": float(loss), "stderr": 0.0, "status": Status(status).value,
        }  # fmt: skip


def _networks(
    tasks: Sequence[TransferTask],
    couplings: Sequence[float],
    strengths: Mapping[str, float],
    seed: int,
    *,
    width: int,
    sampling_time: float,
    **settings: float,
) -> Iterator[list[dict[str, Any]]]:
    """The networks' rows of each shift; all networks have one seed, so that what shifts is the data alone."""
    stacked = {
        name: np.stack([getattr(task, name) for task in tasks])
        for name in ("x_source", "y_source", "x_target", "y_target", "x_test", "y_test")
    }
    options = {"activation": "linear", "seeds": [seed] * len(tasks), "dtype": torch.float32, **settings}
    sources = langevin.sample_source(
        stacked["x_source"], stacked["y_source"], source_strength=strengths["source_strength"], width=width, **options
    )
    points = [TargetPoint(float(coupling), strengths["target_strength"], "source", "source") for coupling in couplings]
    data = [stacked[name] for name in ("x_target", "y_target", "x_test")]
    found = langevin.sample_target(sources, *data, points=points, sampling_time=sampling_time, **options)
    losses = mean_squared_error(found.prediction, stacked["y_test"][:, None])
    for index, row in enumerate(losses):
        yield [
            {
                "kind": "network",
                "width": float(width),
                "dimension": float(stacked["x_test"].shape[-1]),
                "elastic_coupling": float(coupling),
                "metric": "test_loss",
                "value": float(loss),
                "stderr": math.nan,
                "status": tied(sources.status[index], end).value,
            }
            for coupling, loss, end in zip(couplings, row, found.status[index], strict=True)
        ]
