"""The feature layer of linear networks averaged over data sets, and the saddle point of both layers (docs/averaged.md).

One scalar equation is left, in the feature gain c1; it has one root, for its two sides run against each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.optimize.elementwise import find_root

from infwidth.numerics.status import Status
from infwidth.theory import elastic
from infwidth.theory.linear.averaged_data import TINY, IsotropicData, Learnt, ShiftedData

ACCURACY = 1e-8
"""Largest residual of a point that counts as converged."""
REACH = 200.0
"""Largest logarithm of c1 over its least value at which a root is looked for."""

Data = IsotropicData | ShiftedData


@dataclass(frozen=True)
class FeatureLaw:
    """A hidden layer tied to a source with one spike; a number or an array (B,) of settings in every field.

    Attributes:
        richness: γ√D, written Γ.
        tightness: 1/(Lλ_w); 0 when δ = ∞.
        carried: c/K with c = (δ/L)², K = λ_Wλ_w: what the source's bulk adds to the gain.
        spike: b, the source's spike over its bulk.
    """

    richness: np.ndarray
    tightness: np.ndarray
    carried: np.ndarray
    spike: np.ndarray

    @classmethod
    def elastic(
        cls,
        richness: np.ndarray,
        elastic_coupling: np.ndarray,
        hidden_precision: np.ndarray,
        readout_precision: np.ndarray,
        spike: np.ndarray,
    ) -> FeatureLaw:
        """The layer at elastic coupling δ; δ = ∞ is exact."""
        pull = elastic.pull(hidden_precision, elastic_coupling)
        return cls(
            richness=richness,
            tightness=1 / (elastic.stiffness(hidden_precision, elastic_coupling) * readout_precision),
            carried=pull * pull / (hidden_precision * readout_precision),
            spike=spike,
        )

    def take(self, index: np.ndarray) -> FeatureLaw:
        """The settings of these indices."""
        return FeatureLaw(self.richness[index], self.tightness[index], self.carried[index], self.spike[index])


@dataclass(frozen=True)
class Saddle:
    """The saddle point of feature and data layer.

    Attributes:
        gain: c1, eigenvalue of γ∂v/∂k on the bulk.
        spike_weight: ω = c1/(c1 + s c2), 1 without a spike.
        margin: q, 1 for a lazy network and 0 at the border of the domain.
        tilt: κ²/(Lλ_w) = 1 − q.
        test_error: E, label noise included.
        train_error: E(ζ/ν)².
        residual: the larger mismatch of eq. (A3) and, relative, of eq. (A2) where eq. (A9) holds.
        iterations: evaluations of the outer equation.
        status: one a setting.
    """

    gain: np.ndarray
    spike_weight: np.ndarray
    margin: np.ndarray
    tilt: np.ndarray
    test_error: np.ndarray
    train_error: np.ndarray
    residual: np.ndarray
    iterations: np.ndarray
    status: np.ndarray


def solve_saddle(law: FeatureLaw, data: Data) -> Saddle:
    """Solve both layers for every setting.

    Args:
        law: the hidden layer, B settings (arrays (B,)) or one (numbers).
        data: what it learns from, as many.

    Returns:
        The saddle points; look at ``status``. DIVERGED: the error is infinite (ν = 1, β = ∞, label noise).
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        low = np.log(law.tightness + law.carried) - 1e-6
        low, high, bounded = _bracket(law, data, low)
        log_gain, iterations = _root(law, data, low, high) if np.any(bounded) else (high, 0 * np.int64(bounded))
        gain = np.exp(log_gain)
        learnt = data.learn(gain)
        weight, _ = _inner(gain, law, learnt)
        margin = _margin(gain, weight, law, learnt)
        weight = margin / (margin + _brake(gain, law, learnt))
        tilt = law.tightness * (law.richness / gain) ** 2 * _polynomial(learnt.drive_powers, weight)
        error = _polynomial(learnt.error_powers, weight)
        bounded = bounded & np.isfinite(error)
        train = np.where(learnt.slack > 0, error * learnt.slack**2, 0.0)
        mismatch = np.abs(_margin(gain, weight, law, learnt) / margin - 1)
        residual = np.maximum(np.abs(1 - margin - tilt), mismatch)
    found = np.where(residual <= ACCURACY, Status.CONVERGED, Status.STALLED)
    return Saddle(
        gain=gain,
        spike_weight=weight,
        margin=margin,
        tilt=tilt,
        test_error=np.where(bounded, error, np.inf),
        train_error=train,
        residual=np.where(bounded, residual, np.inf),
        iterations=iterations,
        status=np.where(bounded, found, Status.DIVERGED),
    )


def _bracket(law: FeatureLaw, data: Data, low: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move ln c1 up from its least value until the excess changes sign; says where it does."""
    start, width = low, 1.0
    high = start + width
    excess = _excess(high, law, data)
    while (excess < 0).any() and width < REACH:
        width *= 2
        low, high = np.where(excess < 0, high, low), np.where(excess < 0, start + width, high)
        excess = _excess(high, law, data)
    return low, high, excess >= 0


def _root(law: FeatureLaw, data: Data, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the excess changes sign, as ln c1, and the evaluations it took."""
    if np.ndim(low) == 0:  # a lone point: the vectorised method's bookkeeping would take most of the time
        root, report = brentq(_excess, low, high, args=(law, data), xtol=1e-14, full_output=True)
        return np.float64(root), np.int64(report.function_calls)

    def excess(log_gain, index):
        return _excess(log_gain, law.take(index), data.take(index))

    tolerances = {"xatol": 1e-14, "xrtol": 1e-14}
    found = find_root(excess, (low, high), args=(np.arange(len(low)),), tolerances=tolerances)
    return np.where(np.isfinite(found.x), found.x, high), found.nfev


def _excess(log_gain: np.ndarray, law: FeatureLaw, data: Data) -> np.ndarray:
    """(c1 − R)/(c1 + R), eq. (A10), between −1 and 1 and increasing in c1."""
    gain = np.exp(log_gain)
    learnt = data.learn(gain)
    weight, margin = _inner(gain, law, learnt)
    left, right = gain * margin * margin, _required(gain, weight, margin, law, learnt)
    return (left - right) / (left + right)


def _required(gain, weight, margin, law: FeatureLaw, learnt: Learnt) -> np.ndarray:
    """q² times the gain that the feature layer gives back, eq. (A2)."""
    return law.tightness * margin + _held(gain, weight, law, learnt)


def _held(gain, weight, law: FeatureLaw, learnt: Learnt) -> np.ndarray:
    """(c/K)(1 + b k_s²/(Lλ_w)): what of eq. (A2) the source holds."""
    along_spike = (law.richness * learnt.signal * weight / gain) ** 2
    return law.carried * (1 + law.spike * law.tightness * along_spike)


def _brake(gain, law: FeatureLaw, learnt: Learnt) -> np.ndarray:
    """η of eq. (A9)."""
    return law.carried * law.spike * learnt.shrinkage / gain


def _margin(gain, weight, law: FeatureLaw, learnt: Learnt) -> np.ndarray:
    """The root q of eq. (A2), c1q² = q/(Lλ_w) + what the source holds, to full precision however small."""
    held = _held(gain, weight, law, learnt)
    return np.minimum((law.tightness + np.sqrt(law.tightness**2 + 4 * gain * held)) / (2 * gain), 1.0)


def _inner(gain: np.ndarray, law: FeatureLaw, learnt: Learnt) -> tuple[np.ndarray, np.ndarray]:
    """ω and q at fixed c1: the root of 1 − κ²(ω)/(Lλ_w) = ηω/(1 − ω), eq. (A11).

    The difference of the sides is concave, so Newton's method comes down to the root from any point above it. It
    starts at the lesser of two: where the right side equals the left at its greatest, and where the left is 0.
    """
    scale = law.tightness * (law.richness / gain) ** 2
    constant, linear, square = (np.where(scale > 0, scale * power, 0.0) for power in learnt.drive_powers)
    brake = _brake(gain, law, learnt)
    room = np.maximum(1 - constant, 0.0)
    most = room + np.minimum(linear, 0.0) ** 2 / (4 * np.maximum(square, TINY))
    margin_zero = 2 * room / np.maximum(linear + np.sqrt(linear * linear + 4 * square * room), TINY)
    weight = np.minimum(np.minimum(most / np.maximum(most + brake, TINY), margin_zero), 1.0)
    for _ in range(50):
        rest = np.maximum(1 - weight, TINY)
        value = room - weight * (linear + square * weight) - brake * weight / rest
        slope = linear + 2 * square * weight + brake / (rest * rest)
        step = np.minimum(value, 0.0) / np.maximum(slope, TINY)
        weight = np.maximum(weight + step, 0.0)
        if (step >= -1e-14 * weight).all():
            break
    tilt = constant + weight * (linear + square * weight)
    margin = np.where(weight < 0.5, brake * weight / (1 - weight), 1 - tilt)
    return weight, np.maximum(margin, TINY)


def _polynomial(powers: tuple[np.ndarray, np.ndarray, np.ndarray], weight: np.ndarray) -> np.ndarray:
    return powers[0] + weight * (powers[1] + weight * powers[2])
