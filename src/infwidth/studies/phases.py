"""When transfer helps, at what δ, and how many samples it is worth: linear teachers averaged over data sets.

Nothing is drawn: the theory knows neither P nor D (docs/averaged.md). Rows have dimension ∞, where ``n_source`` and
``n_target`` are samples a dimension, P/D, and strengths are richness, γ√D.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from infwidth.numerics.progress import Counter, Progress
from infwidth.numerics.status import Status
from infwidth.theory import averaged, worth
from infwidth.theory.averaged import RANGES, check_array

DATASET = "linear teachers, label noise {noise:g}"


def run(
    *,
    seed: int,
    overlaps: Sequence[float] = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1),
    target_ratios: Sequence[float] = (0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10),
    target_richness: Sequence[float] = (1, 10),
    target_noise: Sequence[float] = (0, 0.5),
    source_ratio: float = 2.0,
    source_richness: float = 3.0,
    source_noise: float = 0.0,
    inverse_temperature: float = 20.0,
    progress: Progress = None,
) -> list[dict[str, Any]]:
    """Solve the averaged theory on a grid of overlaps and target samples, for each richness and label noise.

    Args:
        seed: without effect.
        overlaps: α in [−1, 1].
        target_ratios: P2/D > 0.
        target_richness: γ√D > 0 of the target.
        target_noise: σ ≥ 0, standard deviation of the target's label noise, named in the table's dataset.
        source_ratio: P1/D > 0.
        source_richness: γ̄√D > 0.
        source_noise: σ̄ ≥ 0.
        inverse_temperature: β > 0 of both tasks; inf interpolates where it can.
        progress: called with the fraction done.

    Returns:
        Rows with metrics ``test_loss`` at δ = 0 and ∞; ``best_test_loss``, at the δ that has the least; and
        ``sample_savings`` at that δ, in samples a dimension (inf where no number of them does as well). Without an
        overlap ``critical_overlap``, above which frozen source features beat a target from scratch (inf: none).

    Raises:
        InputError: a setting is out of range.
        UnconvergedError: an unconverged point.
    """
    alphas = check_array("overlaps", overlaps, **RANGES["overlap"])
    ratios = check_array("target_ratios", target_ratios, **RANGES["target_ratio"])
    richness = check_array("target_richness", target_richness, **RANGES["target_richness"])
    noises = check_array("target_noise", target_noise, **RANGES["target_noise"])
    shared = {"source_ratio": source_ratio, "source_richness": source_richness, "source_noise": source_noise}
    shared |= {"inverse_temperature": inverse_temperature, "target_ratio": ratios}
    columns = {"kind": "theory", "condition": "transfer", "dimension": math.inf, "n_source": float(source_ratio)}
    columns |= {"source_strength": float(source_richness), "stderr": 0.0, "status": Status.CONVERGED.value}
    counter = Counter(progress, len(richness) * len(noises))
    rows: list[dict[str, Any]] = []
    for strength in richness:
        for noise in noises:
            settings = shared | {"target_richness": strength, "target_noise": noise}
            which = {"dataset": DATASET.format(noise=noise), "target_strength": float(strength)}
            rows += [columns | which | row for row in _phases(alphas, ratios, settings)]
            counter.advance()
    return rows


def _phases(alphas: np.ndarray, ratios: np.ndarray, settings: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows of one richness and noise: those of each ratio, then those of each overlap and ratio."""
    for ratio, critical in zip(ratios, worth.critical_overlap(**settings), strict=True):
        yield {"n_target": float(ratio), "metric": "critical_overlap", "value": float(critical)}
    grid = settings | {"overlap": alphas[:, None]}
    coupling, loss = worth.best_coupling(**grid)
    savings = worth.sample_savings(**grid, elastic_coupling=coupling)
    found = {
        "best_test_loss": (coupling, loss),
        "sample_savings": (
            coupling,
            np.where(coupling > 0, savings, 0.0),
        ),  # to rounding it is that where nothing helps
    }
    for end in (0.0, math.inf):
        losses = averaged.solve(**grid, elastic_coupling=end).test_loss
        found[f"test_loss {end}"] = np.full_like(losses, end), losses
    for name, (couplings, values) in found.items():
        for (place, position), value in np.ndenumerate(values):
            yield {
                "overlap": float(alphas[place]),
                "n_target": float(ratios[position]),
                "elastic_coupling": float(couplings[place, position]),
                "metric": name.split()[0],
                "value": float(value),
            }
