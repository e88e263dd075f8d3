"""Readouts tuned on the frozen features of a rich linear source, by gradient flow, averaged over data sets.

Version 2 of arXiv 2507.04448 asks how rich a source should be. Linear networks have the answer at a cost that knows
neither P nor D: in closed form where source and target train to the end without decay, eqs. (V4) and (V5), and from one
equation a mode at finite times and with decay (docs/version_two.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from infwidth.numerics.checks import InputError, check_number
from infwidth.theory.averaged import RANGES, check_array, check_settings
from infwidth.theory.linear.averaged_data import IsotropicData
from infwidth.theory.linear.spiked_flow import Modes, SpikedFlow, integrated, marchenko_pastur, spiked_flow

LONGEST = 300.0
"""Decay × time of a source beyond which its features across the spike, as e^{−2λt}, are no numbers any more."""


@dataclass(frozen=True)
class FineTuned:
    """Averages over data sets as D → ∞, one for each richness of the source, (G,).

    Attributes:
        test_loss: E of the target, its label noise σ² included.
        alignment: m = |w·ŝ|/√D, cosine between the target's teacher and what the source learnt.
        spike: E W̄W̄ᵀ of the source's hidden weights along what it learnt.
        bulk: E W̄W̄ᵀ across it, the same for every richness.
    """

    test_loss: np.ndarray
    alignment: np.ndarray
    spike: np.ndarray
    bulk: float


def interpolated(
    *,
    source_ratio: ArrayLike,
    target_ratio: ArrayLike,
    source_richness: ArrayLike,
    overlap: ArrayLike,
    source_noise: ArrayLike = 0.0,
    target_noise: ArrayLike = 0.0,
) -> float | np.ndarray:
    """The target's test loss where both tasks train to t = ∞ without decay, eq. (V4), in closed form.

    Arguments broadcast. Without noise it is (V5) for ν̄ ≥ 1, where the source knows its teacher, and (V6) for ν̄ < 1.

    Args:
        source_ratio: ν̄ = P1/D > 0, not 1 where there is source noise.
        target_ratio: ν = P2/D in (0, 1).
        source_richness: γ̄√D > 0, written Γ̄.
        overlap: α in [−1, 1].
        source_noise: σ̄ ≥ 0.
        target_noise: σ ≥ 0, also in the test labels.

    Returns:
        E, of the shape of the arguments.

    Raises:
        InputError: an argument out of range.
    """
    checked = check_settings(
        source_ratio=source_ratio,
        target_ratio=target_ratio,
        source_richness=source_richness,
        overlap=overlap,
        source_noise=source_noise,
        target_noise=target_noise,
    )
    nu, source, noise = checked["target_ratio"], checked["source_ratio"], checked["source_noise"] ** 2
    if (nu >= 1).any():
        raise InputError(f"target_ratio = {nu.max():g}: expected < 1, as the readout has to interpolate; lower it")
    if ((source == 1) & (noise > 0)).any():
        raise InputError("source_ratio = 1: expected another with source noise, whose loss diverges there; change it")
    kept = np.minimum(source, 1.0)  # h̄
    square = kept * (1 + noise / np.where(noise > 0, np.abs(1 - source), 1.0))  # v̄² = h̄²(1 + τ̄²)
    aligned = checked["overlap"] ** 2 * kept**2 / square
    spike = np.sqrt(1 + checked["source_richness"] ** 2 * square) - 1
    missed = 1 - aligned + aligned / (1 + spike * nu) ** 2
    loss = (checked["target_noise"] ** 2 + (1 - nu) ** 2 * missed) / (1 - nu)
    return loss if loss.ndim else loss.item()


def solve(
    *,
    source_ratio: float,
    target_ratio: float,
    source_richness: ArrayLike,
    overlap: float,
    source_noise: float = 0.0,
    target_noise: float = 0.0,
    source_decay: float = 0.0,
    target_decay: float = 0.0,
    source_time: float = math.inf,
    target_time: float = math.inf,
) -> FineTuned:
    """Train a source of each richness, and a readout on its frozen features, eqs. (V2), (V3), (V8) to (V10).

    Args:
        source_ratio: ν̄ = P1/D > 0.
        target_ratio: ν = P2/D > 0.
        source_richness: γ̄√D > 0, written Γ̄, (G,).
        overlap: α in [−1, 1].
        source_noise: σ̄ ≥ 0, standard deviation of the source's label noise.
        target_noise: σ ≥ 0, that of the target, in training and test labels.
        source_decay: λ̄ ≥ 0 of both layers of the source.
        target_decay: λ ≥ 0 of the readout.
        source_time: time for which the source trains; inf needs source_decay = 0.
        target_time: time for which the readout trains.

    Returns:
        The averages.

    Raises:
        InputError: an argument out of range.
        UnconvergedError: an integrator gave up.
    """
    numbers = {"source_ratio": source_ratio, "target_ratio": target_ratio, "overlap": overlap}
    numbers |= {"source_noise": source_noise, "target_noise": target_noise}
    for name, value in numbers.items():
        check_number(name, value, **RANGES[name])
    richness = np.atleast_1d(check_array("source_richness", source_richness, **RANGES["source_richness"]))
    check_training(source_decay, target_decay, source_time, target_time)
    source = spiked_flow(Modes.averaged(source_ratio, source_noise), richness, time=source_time, decay=source_decay)
    aligned = (overlap * source.alignment) ** 2
    layer = _at_the_end if math.isinf(target_time) else _in_time
    loss = layer(source, aligned, float(target_ratio), float(target_noise), float(target_decay), float(target_time))
    return FineTuned(loss, np.sqrt(aligned), source.spike, source.bulk)


def check_training(source_decay: float, target_decay: float, source_time: float, target_time: float) -> None:
    """Raise InputError for decays or times out of range."""
    for name, value in (("source_decay", source_decay), ("target_decay", target_decay)):
        check_number(name, value, minimum=0.0)
    for name, value in (("source_time", source_time), ("target_time", target_time)):
        check_number(name, value, minimum=0.0, allow_inf=True)
    if source_decay and source_decay * source_time > LONGEST:
        raise InputError(
            f"source_time = {source_time:g}: expected ≤ {LONGEST:g}/source_decay at source_decay = {source_decay:g}, "
            "as later nothing but the spike is left; pass a time that is long against 1/source_decay"
        )


def _at_the_end(source: SpikedFlow, aligned, ratio, noise, decay, _) -> np.ndarray:
    """E at t = ∞: ridge regression on the frozen features, (V8)."""
    shape = np.zeros(len(aligned))
    data = IsotropicData(shape + ratio, shape + decay, shape + noise**2, aligned)
    learnt = data.learn(shape + source.bulk)
    weight = 1 / (1 + learnt.shrinkage * (source.spike / source.bulk - 1))
    return np.polynomial.polynomial.polyval(weight, learnt.error_powers, tensor=False)


def _in_time(source: SpikedFlow, aligned, ratio, noise, decay, time) -> np.ndarray:
    """E at a finite time: the modes of the target's inputs, coupled by the spike, (V9) and (V10)."""
    rates, weights = marchenko_pastur(ratio)
    bulk, excess, along = source.bulk, source.spike - source.bulk, np.sqrt(aligned)
    pace = np.append(bulk * rates + decay, decay)  # the last mode is none of the inputs'
    heard, mass = weights * rates, np.append(weights, 1 - weights.sum())

    def grown(t: float) -> np.ndarray:
        """∫₀ᵗ e^{−pace·t'} dt' of each mode."""
        return np.where(pace > 0, -np.expm1(-pace * t) / np.where(pace > 0, pace, 1.0), t)

    def derivative(t: float, flat: np.ndarray) -> np.ndarray:
        lent = flat.reshape(len(along), len(pace))
        left = 1 - bulk * rates * grown(t)[:-1]
        pull = along * (left @ heard) - lent[:, :-1] @ heard
        return ((excess * pull)[:, None] - pace * lent).ravel()

    start = np.zeros(len(along) * len(pace))
    lent = start.reshape(len(along), -1)
    if time > 0:
        fastest = float(rates.max()) * bulk + decay + float(excess.max()) * ratio
        lent = integrated(derivative, start, time, fastest=fastest, scale=0.01).reshape(lent.shape)
    own = grown(time)
    left = 1 - np.append(bulk * rates, 0.0) * own
    error = (left**2 - 2 * along[:, None] * left * lent + lent**2) @ mass
    return noise**2 * (1 + (bulk * own[:-1]) ** 2 @ heard) + error


def best_richness(loss_at: Callable[[np.ndarray], np.ndarray], grid: ArrayLike) -> tuple[float, float]:
    """The richness of the least test loss, and that loss.

    Args:
        loss_at: Γ̄ (G,) ↦ E (G,).
        grid: increasing values Γ̄ > 0 among which it is looked for; between them by Brent's method in ln Γ̄.

    Returns:
        Γ̄* and E there; inf and the loss at the grid's end where it falls all the way.
    """
    logs = np.log(np.asarray(grid, dtype=np.float64))
    losses = loss_at(np.exp(logs))
    least = int(losses.argmin())
    if least == len(logs) - 1:
        return math.inf, float(losses[-1])
    if least == 0:
        return float(np.exp(logs[0])), float(losses[0])

    def at(log_richness: float) -> float:
        return float(loss_at(np.exp(np.array([log_richness])))[0])

    bracket = tuple(logs[least - 1 : least + 2])
    found = minimize_scalar(at, bracket=bracket, method="brent", options={"xtol": 1e-4})
    return float(np.exp(found.x)), float(found.fun)
