"""The data layer of linear networks averaged over data sets: what a ridge regression learns (docs/averaged.md).

A layer is given by its data; asked at a feature gain c1 it answers in polynomials of the spike's weight ω, so that the
feature layer has to solve a scalar equation alone. Every field may hold one number or an array of settings (B,).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

TINY = 1e-150
"""Stands for zero in a denominator; its square is still a number."""


@dataclass(frozen=True)
class Learnt:
    """What the data layer answers at one feature gain c1, in powers of the spike's weight ω, eqs. (A6) to (A8).

    Attributes:
        shrinkage: s = 1 − χ⟨ŝ²g⟩, in (0, 1].
        signal: a0 = ⟨ŝwgΣ⟩, the predictor's part along the spike at ω = 1.
        drive_powers: (j0, j1, j2) of c1²κ²/Γ² = j0 + j1 ω + j2 ω².
        error_powers: (e0, e1, e2) of the test error E = e0 + e1 ω + e2 ω².
        slack: ζ/ν: the train error is E (ζ/ν)².
    """

    shrinkage: np.ndarray
    signal: np.ndarray
    drive_powers: tuple[np.ndarray, np.ndarray, np.ndarray]
    error_powers: tuple[np.ndarray, np.ndarray, np.ndarray]
    slack: np.ndarray


@dataclass(frozen=True)
class IsotropicData:
    """P samples of a teacher of unit power seen through inputs x ~ N(0, I_D), eq. (A4) in closed form.

    Attributes:
        ratio: ν = P/D.
        temperature: 1/β.
        noise_power: σ².
        aligned: m², the teacher's power along the spike.
    """

    ratio: np.ndarray
    temperature: np.ndarray
    noise_power: np.ndarray
    aligned: np.ndarray

    @classmethod
    def spikeless(cls, ratio: np.ndarray, temperature: np.ndarray, noise_power: np.ndarray) -> IsotropicData:
        """Data seen by features without a spike."""
        return cls(ratio, temperature, noise_power, 0.0 * ratio)

    def take(self, index: np.ndarray) -> IsotropicData:
        """The settings of these indices."""
        return IsotropicData(self.ratio[index], self.temperature[index], self.noise_power[index], self.aligned[index])

    def learn(self, gain: np.ndarray) -> Learnt:
        """What is learnt at the feature gain c1."""
        nu, ridge = self.ratio, self.temperature / gain
        offset = 1 + ridge - nu
        large = 0.5 * (np.abs(offset) + np.sqrt(offset * offset + 4 * nu * ridge))
        small = nu * ridge / np.maximum(large, TINY)  # the two roots that νχ and ζ share
        scarce = offset >= 0
        chi, zeta = np.where(scarce, large, small) / nu, np.where(scarce, small, large)
        kept = 1 / (1 + chi)
        lost = chi * kept
        gap = zeta + kept * lost  # ν − h²
        rest = 1 - self.aligned
        missed = _quotient(self.noise_power + lost * lost * rest, gap)
        missed_spike = _quotient(lost * lost * self.aligned, gap)
        square, zero = kept * kept, 0.0 * nu
        return Learnt(
            shrinkage=kept,
            signal=np.sqrt(self.aligned) * kept,
            drive_powers=(square * (rest + missed), zero, square * (self.aligned + missed_spike)),
            error_powers=(nu * missed, zero, nu * missed_spike),
            slack=zeta / nu,
        )

    def seen_from(self, source: IsotropicData, gain: np.ndarray, overlap: np.ndarray) -> IsotropicData:
        """The data with the spike along what ``source`` learnt at its gain c̄1: m² = α²/(1 + τ̄²), eq. (A5)."""
        return replace(self, aligned=overlap**2 / (1 + source.learn(gain).error_powers[0] / source.ratio))

    @property
    def alignment(self) -> np.ndarray:
        """|w·ŝ|/√D, which is m."""
        return np.sqrt(self.aligned)


@dataclass(frozen=True)
class ShiftedData:
    """P samples seen through inputs of diagonal covariance Σ, eqs. (A12) to (A15); n coordinates stand for D.

    Attributes:
        ratio: ν = P/D.
        temperature: 1/β.
        noise_power: σ².
        spectrum: Σ_i, (n,).
        teacher: w_i², mean 1 over coordinates, (n,).
        direction: ŝ_i², mean 1 over coordinates, (…, n).
        cross: ŝ_i w_i, (…, n).
        rotated: whether the axes are a random rotation of those of the data that the spike was learnt on.
    """

    ratio: np.ndarray
    temperature: np.ndarray
    noise_power: np.ndarray
    spectrum: np.ndarray
    teacher: np.ndarray
    direction: np.ndarray
    cross: np.ndarray
    rotated: bool = False

    @classmethod
    def spikeless(
        cls,
        ratio: np.ndarray,
        temperature: np.ndarray,
        noise_power: np.ndarray,
        spectrum: np.ndarray,
        teacher: np.ndarray,
        rotated: bool = False,
    ) -> ShiftedData:
        """Data seen by features without a spike."""
        nothing = np.zeros((*np.shape(ratio), len(spectrum)))
        return cls(ratio, temperature, noise_power, spectrum, teacher, nothing, nothing, rotated)

    def take(self, index: np.ndarray) -> ShiftedData:
        """The settings of these indices."""
        scalars = (self.ratio[index], self.temperature[index], self.noise_power[index])
        spike = (self.direction[index], self.cross[index])
        return ShiftedData(*scalars, self.spectrum, self.teacher, *spike, self.rotated)

    def resolvent(self, gain: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """χ, ζ and g_i = 1/(Σ_i + χ), the root of ρ/χ + ⟨Σg⟩ = ν.

        χ times that equation is concave in χ and not negative at 0, so Newton's method comes down to the root from
        any point above it.
        """
        nu, ridge, sigma = self.ratio, self.temperature / gain, self.spectrum
        chi = (ridge + sigma.mean()) / nu
        for _ in range(100):
            g = 1 / (sigma + chi[..., None])
            share = (sigma * g).mean(-1)
            value = ridge + chi * (share - nu)
            slope = (sigma * sigma * g * g).mean(-1) - nu
            step = np.where(value < 0, value / np.minimum(slope, -TINY), 0.0)
            chi = np.maximum(chi - step, 0.0)
            if np.all(step <= 1e-15 * chi):
                break
        chi = np.where((ridge == 0) & (nu >= 1), 0.0, chi)
        g = 1 / (sigma + chi[..., None])
        zeta = np.where(nu >= 1, nu - 1 + chi * g.mean(-1), ridge / np.maximum(chi, TINY))
        return chi, zeta, g

    def learn(self, gain: np.ndarray) -> Learnt:
        """What is learnt at the feature gain c1."""
        nu, sigma = self.ratio, self.spectrum
        chi, zeta, g = self.resolvent(gain)

        def mean(values):
            return values.mean(-1)

        g2 = g * g
        overlap = mean(self.direction * g)
        shrinkage = 1 - chi * overlap
        signal = mean(self.cross * sigma * g)
        lever = chi * signal / shrinkage
        crossed, weight = mean(sigma * g2 * self.cross), mean(sigma * g2)
        gap = np.maximum(nu - mean(sigma * sigma * g2), 0.0)
        # in powers of o = 1 − ω
        error_powers = (
            nu * _quotient(self.noise_power + chi * chi * mean(sigma * g2 * self.teacher), gap),
            -2 * nu * _quotient(chi * lever * crossed, gap),
            nu * _quotient(lever * lever * mean(sigma * g2 * self.direction), gap),
        )
        drive_powers = (
            mean(sigma * sigma * g2 * self.teacher) + weight * error_powers[0] / nu,
            2 * lever * crossed - 2 * signal * signal / shrinkage + weight * error_powers[1] / nu,
            signal * signal + lever * lever * (mean(g2 * self.direction) - overlap**2) + weight * error_powers[2] / nu,
        )
        return Learnt(shrinkage, signal, _complement(drive_powers), _complement(error_powers), zeta / nu)

    def seen_from(self, source: ShiftedData, gain: np.ndarray, overlap: np.ndarray) -> ShiftedData:
        """The data with the spike along what ``source`` learnt at its gain c̄1, eq. (A15); rotated, eq. (12)."""
        tau = (source.learn(gain).error_powers[0] / source.ratio)[..., None]
        _, _, g = source.resolvent(gain)
        sigma, teacher = source.spectrum, source.teacher
        power = g * g * sigma * (sigma * teacher + tau)
        total = power.mean(-1)[..., None]
        direction, cross = power / total, overlap[..., None] * g * sigma * teacher / np.sqrt(total)
        if self.rotated:
            cross = np.broadcast_to(cross.mean(-1)[..., None], cross.shape)
            direction = np.ones_like(direction)
        return replace(self, direction=direction, cross=cross)

    @property
    def alignment(self) -> np.ndarray:
        """|w·ŝ|/√D, which is m."""
        return np.abs(self.cross.mean(-1))


def _quotient(power: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """power/gap, 0 where there is no power and inf where there is no gap (ν = 1 without a ridge)."""
    return np.where(power != 0, power / gap, 0.0)


def _complement(powers: tuple[np.ndarray, np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The coefficients in ω of a polynomial given in 1 − ω."""
    constant, linear, square = powers
    return constant + linear + square, -linear - 2 * square, square
