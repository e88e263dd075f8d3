"""What pretraining is worth in linear networks averaged over data: when it helps, at what δ, and how many samples.

All take the arguments of :func:`infwidth.theory.averaged.solve`, broadcast in the same way (docs/averaged.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize.elementwise import find_minimum, find_root

from infwidth.numerics.checks import InputError
from infwidth.theory import averaged

LOG_COUPLINGS = np.linspace(-9.0, 12.0, 43)
"""ln(δ/λ_W) at which a minimum of the test loss is looked for, beside δ = 0 and ∞."""
LOG_RATIOS = np.linspace(np.log(1e-4), np.log(1e6), 93)
"""ln ν at which a network from scratch is looked for that does as well."""


def critical_overlap(**settings: ArrayLike) -> float | np.ndarray:
    """The overlap |α| above which frozen source features (δ = ∞) beat a target from scratch (δ = 0), eq. (A17).

    Args:
        settings: the arguments of ``averaged.solve`` but ``overlap`` and ``elastic_coupling``.

    Returns:
        α_c in [0, 1]: 0 where they help at every overlap, inf where at none.

    Raises:
        InputError: an argument out of range, or one of those two passed.
        UnconvergedError: an unconverged point.
    """
    _refuse(settings, "overlap", "elastic_coupling")
    scratch = averaged.solve(overlap=0.0, elastic_coupling=0.0, **settings).test_loss
    apart = averaged.solve(overlap=0.0, elastic_coupling=np.inf, **settings).test_loss
    along = averaged.solve(overlap=1.0, elastic_coupling=np.inf, **settings).test_loss
    excess, reach = np.maximum(apart - scratch, 0.0), apart - along  # the loss is linear in α²
    critical = np.where(excess <= reach, np.sqrt(excess / np.where(reach > 0, reach, 1.0)), np.inf)
    return critical if critical.ndim else critical.item()


def best_coupling(**settings: ArrayLike) -> tuple[float | np.ndarray, float | np.ndarray]:
    """The elastic coupling δ of the least test loss.

    Args:
        settings: the arguments of ``averaged.solve`` but ``elastic_coupling``.

    Returns:
        δ, 0 and inf included, to .1 % where it lies between, and the test loss there.

    Raises:
        InputError: an argument out of range, or ``elastic_coupling`` passed.
        UnconvergedError: an unconverged point.
    """
    _refuse(settings, "elastic_coupling")
    grid = _Grid.of(settings)
    scale = np.broadcast_to(grid.arrays.get("hidden_precision", 1.0), grid.size)
    couplings = scale[:, None] * np.concatenate([[0.0], np.exp(LOG_COUPLINGS), [np.inf]])
    losses = grid.columns(elastic_coupling=couplings)
    least = losses.argmin(-1)
    rows = np.arange(grid.size)
    delta, loss = couplings[rows, least], losses[rows, least]
    inside = np.flatnonzero((least > 1) & (least < losses.shape[1] - 2))
    if len(inside):

        def loss_at(log_coupling, index):
            return grid.points(index, elastic_coupling=scale[index] * np.exp(log_coupling))

        bracket = tuple(LOG_COUPLINGS[least[inside] - 1 + step] for step in (-1, 0, 1))
        found = find_minimum(loss_at, bracket, args=(inside,), tolerances={"xatol": 1e-3, "xrtol": 0.0})
        better = found.f_x < loss[inside]
        delta[inside] = np.where(better, scale[inside] * np.exp(found.x), delta[inside])
        loss[inside] = np.where(better, found.f_x, loss[inside])
    return grid.shaped(delta), grid.shaped(loss)


def sample_savings(**settings: ArrayLike) -> float | np.ndarray:
    """How many target samples pretraining is worth, over D: ν' − ν, where scratch at ν' has transfer's loss at ν.

    ν' is the least ratio at which a target from scratch (δ = 0) does as well, which matters where its loss is not
    monotone (interpolation of noisy labels).

    Args:
        settings: the arguments of ``averaged.solve``.

    Returns:
        (P' − P2)/D; negative where transfer hurts, −ν where no sample at all does as well, inf where ν' > 10⁶.

    Raises:
        InputError: an argument out of range.
        UnconvergedError: an unconverged point.
    """
    transfer = np.ravel(averaged.solve(**settings).test_loss)
    grid = _Grid.of(settings)
    own = grid.arrays.pop("target_ratio")
    grid.arrays["elastic_coupling"] = np.zeros(grid.size)
    enough = grid.columns(target_ratio=np.exp(LOG_RATIOS)) <= transfer[:, None]
    first = enough.argmax(-1)
    needed = np.where(enough.any(-1), 0.0, np.inf)
    between = np.flatnonzero(enough.any(-1) & (first > 0))
    if len(between):

        def excess(log_ratio, index):
            return grid.points(index, target_ratio=np.exp(log_ratio)) - transfer[index]

        ends = LOG_RATIOS[first[between] - 1], LOG_RATIOS[first[between]]
        needed[between] = np.exp(find_root(excess, ends, args=(between,), tolerances={"xatol": 1e-9}).x)
    return grid.shaped(needed - own)


def _refuse(settings: dict[str, ArrayLike], *names: str) -> None:
    for name in names:
        if name in settings:
            raise InputError(f"{name} = {settings[name]!r}: expected no such argument, it is varied here; drop it")


@dataclass(frozen=True)
class _Grid:
    """Settings broadcast to a shape and flattened, with the arguments that all of them share."""

    shape: tuple[int, ...]
    arrays: dict[str, np.ndarray]
    shared: dict[str, ArrayLike]

    @classmethod
    def of(cls, settings: dict[str, ArrayLike]) -> _Grid:
        """Check and broadcast settings."""
        varied = {name: value for name, value in settings.items() if name in averaged.RANGES and value is not None}
        arrays = averaged.check_settings(**varied)
        flat = {name: array.ravel() for name, array in arrays.items()}
        shared = {name: value for name, value in settings.items() if name not in varied}
        return cls(np.broadcast_shapes(*(array.shape for array in arrays.values())), flat, shared)

    @property
    def size(self) -> int:
        """B, how many settings there are."""
        return math.prod(self.shape)

    def columns(self, **varied: np.ndarray) -> np.ndarray:
        """Test losses (B, n) where an argument takes n values, (n,) or (B, n)."""
        arrays = {name: array[:, None] for name, array in self.arrays.items()}
        return averaged.solve(**arrays, **self.shared, **varied).test_loss

    def points(self, index: np.ndarray, **varied: np.ndarray) -> np.ndarray:
        """Test losses of these settings at one value each of an argument."""
        arrays = {name: array[index] for name, array in self.arrays.items()}
        return averaged.solve(**arrays, **self.shared, **varied).test_loss

    def shaped(self, values: np.ndarray) -> float | np.ndarray:
        """Values (B,) in the settings' shape."""
        return values.reshape(self.shape) if self.shape else values.item()
