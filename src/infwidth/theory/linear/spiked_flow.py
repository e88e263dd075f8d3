"""Gradient flow of linear networks from isotropic weights, closed but for the predictor (docs/version_two.md).

With equal decays on readout and hidden weights the second moments follow from v alone, eq. (V2): hidden weights stay
isotropic but for one spike along v. What is left is one equation a mode of the inputs, (V3), the same for one data
set, whose modes are those of XᵀX/D, and for the average over data sets, whose modes follow Marchenko and Pastur.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.integrate import solve_ivp

from infwidth.numerics.status import Status, UnconvergedError
from infwidth.theory.frozen import frozen_course

NODES = 96
"""Modes that stand for the law of Marchenko and Pastur."""
RTOL = 1e-7
"""Relative tolerance of the integrator's steps."""
LEFT = 1e3
"""Multiples of the absolute tolerance below which a response that decays is the integrator's own error."""
STIFF = 1e4
"""Fastest rate × time beyond which implicit steps are cheaper."""


@dataclass(frozen=True)
class Modes:
    """Directions of the inputs, as labels excite them: v = Σ_j G_j b_j along them, b = Xᵀy/√D.

    Attributes:
        rates: eigenvalues e of XᵀX/D, (n,), zero ones left out.
        excitation: b_j²/D, or its mean over data sets, (n,).
        signal: b_j w_j/D likewise, w the teacher, (n,).
    """

    rates: np.ndarray
    excitation: np.ndarray
    signal: np.ndarray

    @classmethod
    def of_data(cls, design: np.ndarray, labels: np.ndarray, teacher: np.ndarray) -> tuple[Modes, np.ndarray]:
        """The modes of one data set, and their directions times b, (n, D): v = G @ that.

        Args:
            design: X/√D, (P, D).
            labels: y, (P,).
            teacher: w, (D,), |w|² = D.
        """
        left, singular, right = np.linalg.svd(design, full_matrices=False)
        kept = singular > 1e-12 * singular[0]
        force = (singular * (left.T @ labels))[kept]
        directions = force[:, None] * right[kept]
        dimension = design.shape[1]
        return cls(singular[kept] ** 2, force**2 / dimension, directions @ teacher / dimension), directions

    @classmethod
    def averaged(cls, ratio: float, label_noise: float, nodes: int = NODES) -> Modes:
        """The mean over data sets as D → ∞: eigenvalues of XᵀX/D by their limiting law, Gauss's nodes of it.

        Args:
            ratio: ν = P/D.
            label_noise: σ, standard deviation of the label noise.
            nodes: n.
        """
        rates, weights = marchenko_pastur(ratio, nodes)
        return cls(rates, weights * (rates**2 + rates * label_noise**2), weights * rates)


def marchenko_pastur(ratio: float, nodes: int = NODES) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for the nonzero eigenvalues of XᵀX/D, X a Gaussian P × D matrix, D → ∞ at P/D = ν.

    The density √((e₊−e)(e−e₋))/(2πe) between e± = (1 ± √ν)² has mass min(1, ν); with e = 1 + ν + 2√ν cos θ it is a
    Gauss–Chebyshev rule of the second kind.
    """
    angles = np.arange(1, nodes + 1) * np.pi / (nodes + 1)
    rates = 1 + ratio + 2 * math.sqrt(ratio) * np.cos(angles)
    return rates, 2 * ratio * np.sin(angles) ** 2 / ((nodes + 1) * rates)


@dataclass(frozen=True)
class SpikedFlow:
    """Networks of G values of the richness at one time.

    Attributes:
        response: G_j of v_j = G_j b_j, (G, n).
        bulk: E WWᵀ off v, its value λ-decayed: e^{−2λt}.
        spike: E WWᵀ along v, which is E w² too: √(bulk² + Γ²|v|²/D), (G,).
        square: |v|²/D, (G,).
        alignment: v·w/(|v|√D), (G,); 0 where v = 0.
    """

    response: np.ndarray
    bulk: float
    spike: np.ndarray
    square: np.ndarray
    alignment: np.ndarray

    @classmethod
    def of(cls, modes: Modes, richness: np.ndarray, response: np.ndarray, bulk: float) -> SpikedFlow:
        """What a response implies, eq. (V2)."""
        square = response**2 @ modes.excitation
        along = response @ modes.signal
        norm = np.sqrt(square)
        alignment = np.divide(along, norm, out=np.zeros_like(norm), where=norm > 0)
        return cls(response, bulk, np.sqrt(bulk**2 + richness**2 * square), square, alignment)


def spiked_flow(modes: Modes, richness: np.ndarray, *, time: float, decay: float = 0.0) -> SpikedFlow:
    """Train linear networks of several values of the richness, eq. (V3).

    Args:
        modes: the data.
        richness: γ√D > 0, written Γ, (G,).
        time: t ≥ 0; inf, the interpolation of least norm, needs decay 0: with it only the spike is left in the end.
        decay: λ ≥ 0 of readout and hidden weights.

    Returns:
        The networks at that time.

    Raises:
        UnconvergedError: the integrator gave up, or decay has left nothing that it resolves.
    """
    richness = np.asarray(richness, dtype=np.float64)
    shape = (len(richness), len(modes.rates))
    if math.isinf(time):
        return SpikedFlow.of(modes, richness, np.broadcast_to(1 / modes.rates, shape), 1.0)

    def derivative(t: float, flat: np.ndarray) -> np.ndarray:
        response = flat.reshape(shape)
        bulk = math.exp(-2 * decay * t)
        spike = np.sqrt(bulk**2 + richness**2 * (response**2 @ modes.excitation))
        left = 1 - response * modes.rates
        gain = spike + bulk
        self_driven = richness**2 * ((response * left) @ modes.excitation) / gain - 2 * decay
        return (gain[:, None] * left + self_driven[:, None] * response).ravel()

    start = np.zeros(shape[0] * shape[1])
    if time == 0:
        return SpikedFlow.of(modes, richness, start.reshape(shape), 1.0)
    fastest = float(modes.rates.max()) * (2 + float(richness.max()) * math.sqrt(float(modes.excitation.sum())))
    fastest += 2 * decay
    scale = 1 / float(modes.rates.max())
    response = integrated(derivative, start, time, fastest=fastest, scale=scale).reshape(shape)
    bulk = math.exp(-2 * decay * time)
    if bulk < RTOL and np.abs(response).max(1).min() < LEFT * RTOL * scale:
        left = f"networks at t = {time:g} with decay {decay:g} have no weights left that the integrator resolves"
        raise UnconvergedError(left, Status.STALLED)
    return SpikedFlow.of(modes, richness, response, bulk)


def integrated(
    derivative: Callable[[float, np.ndarray], np.ndarray],
    initial: np.ndarray,
    time: float,
    *,
    fastest: float,
    scale: float,
) -> np.ndarray:
    """Return the state at a finite time > 0: by explicit steps, by implicit ones where the fastest rate holds those up.

    Raises:
        UnconvergedError: the integrator gave up.
    """
    method = "DOP853" if fastest * time < STIFF else "LSODA"
    found = solve_ivp(derivative, (0.0, time), initial, method=method, rtol=RTOL, atol=RTOL * scale, t_eval=[time])
    if not found.success or not np.isfinite(found.y).all():
        raise UnconvergedError(f"modes of a linear flow until t = {time:g}: {found.message}", Status.STALLED)
    return found.y[:, -1]


def tuned_readouts(
    design: np.ndarray,
    labels: np.ndarray,
    directions: np.ndarray,
    spikes: np.ndarray,
    *,
    bulk: float,
    decay: float = 0.0,
    time: float = math.inf,
) -> np.ndarray:
    """Readouts trained on frozen features E W̄W̄ᵀ = c_b I + (c_s − c_b) ŝŝᵀ, one data set, eq. (V7).

    Args:
        design: X/√D, (P, D).
        labels: y, (P,).
        directions: ŝ, unit vectors, (G, D).
        spikes: c_s, (G,).
        bulk: c_b > 0.
        decay: λ ≥ 0 of the readout; at t = ∞ it is the ridge 1/β of a posterior too.
        time: t; inf without decay interpolates, or has the least training loss where P > D.

    Returns:
        v, (G, D), of the predictors f(x) = x·v/√D.
    """
    if tall := design.shape[0] > design.shape[1]:  # Xᵀ(y − Xv), all that the readout sees, is that of D samples
        rotated, design = np.linalg.qr(design)
        labels = rotated.T @ labels
    if math.isinf(time) and tall:
        return _ridge(design, labels, directions, spikes, bulk, decay)
    seen, excess = design @ directions.T, spikes - bulk  # (P, G)
    kernel = bulk * design @ design.T
    if math.isinf(time):
        both = np.linalg.solve(kernel + decay * np.eye(len(labels)), np.column_stack([labels, seen]))
        plain, along = both[:, :1], both[:, 1:]
        pulled = excess * (seen.T @ plain)[:, 0] / (1 + excess * np.sum(seen * along, 0))
        duals = plain - along * pulled
    else:
        kernels = (kernel + gain * np.outer(u, u) for gain, u in zip(excess, seen.T, strict=True))
        duals = np.stack([frozen_course(one, labels, [time], readout_decay=decay)[0] for one in kernels], 1)
    return bulk * duals.T @ design + (excess * np.sum(seen * duals, 0))[:, None] * directions


def _ridge(
    design: np.ndarray, labels: np.ndarray, directions: np.ndarray, spikes: np.ndarray, bulk: float, decay: float
) -> np.ndarray:
    """The readouts at t = ∞ by v itself, |Xv − y|² + λ v·(E W̄W̄ᵀ)⁻¹v least: with P > D the kernel has no full rank."""
    dimension, found = design.shape[1], []
    target = np.concatenate([labels, np.zeros(dimension)])
    for direction, spike in zip(directions, spikes, strict=True):
        root = np.eye(dimension) / math.sqrt(bulk)
        root += (1 / math.sqrt(spike) - 1 / math.sqrt(bulk)) * np.outer(direction, direction)
        found.append(np.linalg.lstsq(np.vstack([design, math.sqrt(decay) * root]), target, rcond=None)[0])
    return np.array(found)
