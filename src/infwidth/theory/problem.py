"""What the public solvers share: checks of their arguments, and inputs in the smallest basis that holds them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError, check_number
from infwidth.tasks.transfer_task import TransferTask


def check_activation(name: str, covered: Collection[str]) -> str:
    """Return ``name`` if the theory covers it; raises InputError for an unknown or uncovered activation."""
    get_activation(name)
    if name not in covered:
        names = ", ".join(map(repr, covered))
        raise InputError(
            f"activation = {name!r}: the theory covers {names} so far; networks (infwidth.networks) cover the rest"
        )
    return name


def check_couplings(elastic_coupling: float | Sequence[float]) -> tuple[list[float], bool]:
    """Return the couplings δ ≥ 0 (inf allowed) as a list, and whether a single number was passed."""
    single = np.ndim(elastic_coupling) == 0
    values = [elastic_coupling] if single else list(elastic_coupling)
    if not values:
        raise InputError("elastic_coupling = []: expected a number or a non-empty sequence; name at least one")
    return [check_number("elastic_coupling", value, minimum=0.0, allow_inf=True) for value in values], single


@dataclass(frozen=True)
class Designs:
    """A task's inputs over √D, in an orthonormal basis of the span of all training inputs if that is smaller.

    A linear network at N = ∞ is isotropic outside that span and its predictor has no part there, so nothing
    is lost.

    Attributes:
        source: (P1, r).
        target: (P2, r).
        test: (Pt, r).
        basis: (D, r) with orthonormal columns, or None where r = D and the inputs stand as they are.
        dimension: D.
    """

    source: np.ndarray
    target: np.ndarray
    test: np.ndarray
    basis: np.ndarray | None
    dimension: int

    @classmethod
    def of(cls, task: TransferTask) -> Designs:
        """Scale, and if P1 + P2 < D compress, a task's inputs."""
        scaled = [x / np.sqrt(task.dimension) for x in (task.x_source, task.x_target, task.x_test)]
        basis = None
        if len(scaled[0]) + len(scaled[1]) < task.dimension:
            basis = np.linalg.qr(np.concatenate(scaled[:2]).T)[0]
            scaled = [x @ basis for x in scaled]
        return cls(*scaled, basis=basis, dimension=task.dimension)

    def expand(self, weights: np.ndarray) -> np.ndarray:
        """Weights (…, r) as vectors (…, D)."""
        return weights if self.basis is None else weights @ self.basis.T


def mean_squared_error(prediction: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Mean of (f − y)² over the last axis, without ½."""
    return np.mean((prediction - labels) ** 2, axis=-1)


def check_times(name: str, times: Sequence[float], *, weight_decay: float) -> np.ndarray:
    """Return ``times`` as an array (T,) of increasing times ≥ 0; inf needs decay, or there is no unique end."""
    if np.ndim(times) != 1 or len(times) == 0:
        raise InputError(f"{name} = {times!r}: expected a non-empty sequence of increasing times ≥ 0; pass a list")
    array = np.array([check_number(name, time, minimum=0.0, allow_inf=True) for time in times])
    if not (array[1:] > array[:-1]).all():
        raise InputError(f"{name} = {array.tolist()}: expected increasing times; sort them and drop repeats")
    if np.isinf(array[-1]) and weight_decay == 0:
        raise InputError(f"{name} = inf: expected a finite time at weight decay 0; set a weight decay > 0")
    return array
