"""Gaussian inputs whose covariance has a power-law spectrum, rotated or not (docs/theory.md §5, eq. (10))."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from infwidth.numerics.checks import InputError, check_number
from infwidth.numerics.seeds import generator

STEEPEST = 10.0
"""Exponent beyond which inputs vary along one direction alone, whatever D."""
KEYS = ("exponent", "rotated")


@dataclass(frozen=True)
class Spectrum:
    """What is said of the inputs' covariance Σ, of trace D.

    Attributes:
        exponent: e in λ_k ∝ k^−e; 0 is Σ = I.
        rotated: whether Σ's principal axes are a random rotation of the coordinates'.
    """

    exponent: float = 0.0
    rotated: bool = False

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any] | None) -> Spectrum:
        """Read ``{"exponent": e, "rotated": r}``; None is Σ = I. Raises InputError, which calls it by ``name``."""
        if given is None:
            return cls()
        if not isinstance(given, Mapping) or "exponent" not in given or set(given) - set(KEYS):
            raise InputError(f"{name} = {given!r}: expected keys exponent and, if wanted, rotated; name these alone")
        exponent = check_number(f"{name}.exponent", given["exponent"], minimum=0, maximum=STEEPEST)
        rotated = given.get("rotated", False)
        if not isinstance(rotated, bool | np.bool_):
            raise InputError(f"{name}.rotated = {rotated!r}: expected true or false; change it")
        return cls(float(exponent), bool(rotated) and exponent > 0)

    def __str__(self) -> str:
        if self.exponent == 0:
            return "flat"
        return f"k^−{self.exponent:g}{' rotated' if self.rotated else ''}"


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs x ~ N(0, Σ), Σ = Q diag(λ) Qᵀ.

    Attributes:
        variances: λ, (D,), of mean 1; None where Σ = I.
        axes: Q, (D, D), principal axes as columns; None where they are the coordinates'.
    """

    variances: np.ndarray | None
    axes: np.ndarray | None

    @classmethod
    def of(cls, spectrum: Spectrum, dimension: int, *path: int | str) -> Inputs:
        """Inputs of a dimension D; a rotation is drawn from the stream that ``path`` names."""
        if spectrum.exponent == 0:
            return cls(None, None)
        variances = power_law(dimension, spectrum.exponent)
        return cls(variances, _rotation(dimension, generator(*path)) if spectrum.rotated else None)

    def draw(self, white: np.ndarray) -> np.ndarray:
        """The inputs (P, D) that Σ makes of white ones (P, D), x = Q diag(√λ) ξ."""
        if self.variances is None:
            return white
        scaled = white * np.sqrt(self.variances)
        # not scaled @ axes.T: a BLAS may sum a row differently when there are more of them
        return scaled if self.axes is None else np.einsum("pk,dk->pd", scaled, self.axes)

    def variance(self, direction: np.ndarray) -> float:
        """wᵀΣw/|w|², the variance of x along a direction (D,)."""
        if self.variances is None:
            return 1.0
        along = direction if self.axes is None else direction @ self.axes
        return float(np.square(along) @ self.variances / np.square(along).sum())


def power_law(dimension: int, exponent: float) -> np.ndarray:
    """λ_k = k^−e/⟨k^−e⟩, k = 1 … D: variances of mean 1, (D,)."""
    powers = np.arange(1.0, dimension + 1) ** -exponent
    return powers / powers.mean()


def _rotation(dimension: int, stream: np.random.Generator) -> np.ndarray:
    """A rotation (D, D) drawn from the Haar measure: QR of a Gaussian matrix, the signs of R's diagonal made +."""
    q, r = np.linalg.qr(stream.standard_normal((dimension, dimension)))
    return q * np.sign(np.diagonal(r))
