"""The answer to how a posterior's loss depends on width (docs/finite_width.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

PARTS = ("mean", "thermal", "source", "total", "one_percent")


@dataclass(frozen=True)
class FiniteWidth:
    """The coefficient c of E_N = E_∞ + c/N + O(1/N²), E_N the expected test loss of one network from the posterior.

    Attributes:
        mean: from the shift of the posterior's mean predictor.
        thermal: from the scatter of networks of one posterior.
        source: from the scatter of the source network that the posterior is tied to; 0 at δ = 0.
        total: c, the sum of the three.
        one_percent: N_1% = 100|c|/E_∞, width at which the loss is 1 % off the limit's.
        stderr: name → standard error; 0 for linear networks, where nothing is sampled.
    """

    mean: float | np.ndarray
    thermal: float | np.ndarray
    source: float | np.ndarray
    total: float | np.ndarray
    one_percent: float | np.ndarray
    stderr: Mapping[str, float | np.ndarray] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))


def unknown() -> FiniteWidth:
    """The coefficients of a point that has no answer."""
    return FiniteWidth(**dict.fromkeys(PARTS, np.nan), stderr=dict.fromkeys(PARTS, np.nan))


def stack(widths: Sequence[FiniteWidth]) -> FiniteWidth:
    """The coefficients of several couplings in one, (n,) each."""
    parts = {name: np.array([getattr(one, name) for one in widths]) for name in PARTS}
    return FiniteWidth(**parts, stderr={name: np.array([one.stderr[name] for one in widths]) for name in PARTS})
