"""What the theories answer: one type for all of them, couplings put together, and the guard that every point passes."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.transfer_task import TransferTask

NUMERICAL = (ArithmeticError, np.linalg.LinAlgError)
"""Exceptions that say a scale is out of the range of floating-point numbers."""


PARTS = ("mean", "thermal", "source", "total", "one_percent")


@dataclass(frozen=True)
class FiniteWidth:
    """The coefficient c of E_N = E_∞ + c/N + O(1/N²), E_N the expected loss of one network; along a flow (T,) each.

    Attributes:
        mean: from the shift of the mean predictor: that of a posterior, or over the initial weights of a flow.
        thermal: from the scatter of networks of one source: of one posterior, or over the target's own initial weights.
        source: from the scatter of the source network that they are tied to, or start from; 0 without one.
        total: c, the sum of the three.
        one_percent: N_1% = 100|c|/E_∞, width at which the loss is 1 % off the limit's.
        spread: of a flow √N × the standard deviation of one network's loss; NaN of a posterior.
        stderr: name → standard error; 0 for linear networks, where nothing is sampled, but for a flow's directions.
    """

    mean: float | np.ndarray
    thermal: float | np.ndarray
    source: float | np.ndarray
    total: float | np.ndarray
    one_percent: float | np.ndarray
    spread: float | np.ndarray = np.nan
    stderr: Mapping[str, float | np.ndarray] = dataclasses.field(
        default_factory=lambda: {**dict.fromkeys(PARTS, 0.0), "spread": np.nan}
    )

    @classmethod
    def unknown(cls, *times: int) -> FiniteWidth:
        """The coefficients of a point that has no answer, of a flow at T ``times``."""
        nothing = dict.fromkeys((*PARTS, "spread"), np.full(times, np.nan)[()])
        return cls(**nothing, stderr=nothing)

    @classmethod
    def stack(cls, expansions: Sequence[FiniteWidth]) -> FiniteWidth:
        """The coefficients of several couplings in one, (n, …) each."""
        names = (*PARTS, "spread")
        parts = {name: np.array([getattr(one, name) for one in expansions]) for name in names}
        return cls(**parts, stderr={name: np.array([one.stderr[name] for one in expansions]) for name in names})


Expansion = Callable[..., FiniteWidth] | None
"""Finds the coefficient of the test loss, or with ``on_training=True`` of the loss on the target's training points."""


@dataclass(frozen=True)
class FactoredKernel:
    """Φ = F M Fᵀ of a linear network, not multiplied out.

    Attributes:
        inputs: F, the inputs over √D, (P, r).
        moment: M = E WWᵀ, (…, r, r).
    """

    inputs: np.ndarray
    moment: np.ndarray

    def dense(self) -> np.ndarray:
        """Φ, (…, P, P)."""
        return self.inputs @ self.moment @ self.inputs.T


@dataclass(frozen=True, kw_only=True)
class Solution:
    """What every theory answers for a transfer task. A sequence of n couplings δ puts a leading axis n before every
    shape but those of ``SHARED``; a number adds none.

    Attributes:
        prediction: f on the test points, (Pt,), of a flow (T, Pt).
        train_loss: mean of (f − y)² over the target training points.
        test_loss: mean of (f − y)² over the test points.
        kernel_form: Φ = E φφᵀ on the target training points, (P2, P2), as found; ``kernel`` multiplies it out.
        status: how the solver ended; a tuple for a sequence of couplings. No number where it is NaN.
        residual: the certificate, ≥ 0.
        iterations: what it took.
        stderr: observable → standard error, of the observable's shape; 0 where nothing is sampled.
        extras: further numbers of a certificate, by name.
        elastic_coupling: δ, as it was asked for.
        expand: finds ``finite_width`` and ``train_finite_width`` when first asked for, where they are known; a tuple
            for a sequence of couplings.
    """

    prediction: np.ndarray
    train_loss: float | np.ndarray
    test_loss: float | np.ndarray
    kernel_form: np.ndarray | FactoredKernel
    status: Status | tuple[Status, ...]
    residual: float | np.ndarray
    iterations: int | np.ndarray
    stderr: Mapping[str, float | np.ndarray]
    extras: Mapping[str, float | np.ndarray] = dataclasses.field(default_factory=dict)
    elastic_coupling: float | np.ndarray = np.nan
    expand: Expansion | tuple[Expansion, ...] = dataclasses.field(default=None, repr=False, compare=False)

    # Observables that have a standard error, what a converged point has to be finite in, what all couplings share.
    OBSERVABLES: ClassVar[tuple[str, ...]] = ("prediction", "train_loss", "test_loss", "kernel")
    FINITE: ClassVar[tuple[str, ...]] = ("prediction", "train_loss", "test_loss", "residual")
    SHARED: ClassVar[tuple[str, ...]] = ()

    @cached_property
    def kernel(self) -> np.ndarray:
        """Φ = E φφᵀ on the target training points, (P2, P2), made when first asked for."""
        return self.kernel_form.dense() if isinstance(self.kernel_form, FactoredKernel) else self.kernel_form

    @cached_property
    def finite_width(self) -> FiniteWidth:
        """The coefficient c of E_N = E_∞ + c/N and its parts (docs/finite_width.md), found when first asked for.

        Known of posteriors, and of linear networks under gradient flow; else NaN.
        """
        return self._expansion(on_training=False)

    @cached_property
    def train_finite_width(self) -> FiniteWidth:
        """The same of the loss on the target's training points, of a posterior's mean predictor or along a flow."""
        return self._expansion(on_training=True)

    def _expansion(self, *, on_training: bool) -> FiniteWidth:
        shape = np.shape(self.test_loss)
        if isinstance(self.status, Status):
            return _expanded(self.expand, shape, on_training=on_training)
        several = [None] * len(self.status) if self.expand is None else self.expand
        return FiniteWidth.stack([_expanded(expand, shape[1:], on_training=on_training) for expand in several])

    @property
    def diagnosis(self) -> tuple[str, ...]:
        """Names of the failure signatures it shows by itself; ``theory.diagnosis.diagnose`` sees more beside others."""
        # by name, so that no solver depends on it
        return importlib.import_module("infwidth.theory.diagnosis").diagnose(self)

    @classmethod
    def exact(cls) -> dict[str, float]:
        """``stderr`` where nothing is sampled."""
        return dict.fromkeys(cls.OBSERVABLES, 0.0)

    def effort(self) -> str:
        """What it took and where it ended, in words, for one coupling."""
        return f"residual {self.residual:.1e} after {self.iterations} evaluations"

    @classmethod
    def _blank(cls, task: TransferTask, *times: int) -> dict[str, Any]:
        """The shared fields of a point that has no answer, of a flow at T ``times``."""
        loss, size = np.full(times, np.nan)[()], len(task.y_target)
        fields = {"prediction": np.full((*times, *task.y_test.shape), np.nan), "train_loss": loss, "test_loss": loss}
        kernel = np.broadcast_to(np.nan, (size, size))
        stderr = dict.fromkeys(cls.OBSERVABLES, np.nan) | fields | {"kernel": kernel}
        return {**fields, "kernel_form": kernel, "residual": np.nan, "iterations": 0, "stderr": stderr}

    def judged(self) -> Self:
        """Return the point, diverged if it claims to have converged on numbers that are not finite."""
        numbers = [getattr(self, name) for name in self.FINITE]
        numbers.append(self.kernel_form.moment if isinstance(self.kernel_form, FactoredKernel) else self.kernel_form)
        sound = self.status is not Status.CONVERGED or all(np.isfinite(number).all() for number in numbers)
        return self if sound else dataclasses.replace(self, status=Status.DIVERGED)


def _expanded(expand: Expansion, shape: tuple[int, ...], *, on_training: bool) -> FiniteWidth:
    """What an expansion finds; nothing where a point has none or numbers leave their range."""
    try:
        with np.errstate(all="ignore"):
            return FiniteWidth.unknown(*shape) if expand is None else expand(on_training=on_training)
    except NUMERICAL:
        return FiniteWidth.unknown(*shape)


@dataclass(frozen=True, kw_only=True)
class FlowSolution(Solution):
    """The target network's course at infinite width; all couplings share ``times``.

    Attributes:
        times: the target times, (T,).
        prediction: f on the test points, (T, Pt).
        train_loss: mean of (f − y)² over the target training points, (T,). With particles an estimate from which
            their number's bias is removed, see ``dynamics.solve.average_loss``; so is test_loss.
        test_loss: mean of (f − y)² over the test points, (T,).
        kernel_form: Φ = E φφᵀ on the target training points at the last time, (P2, P2), as found; ``kernel`` multiplies
            it out.
        weights: v with f(x) = x·v/√D, (T, D), of a linear network; else None.
        status: how the solver ended; a tuple for a sequence of couplings. Times that were not reached hold NaN.
        residual: linear: the largest, over times, of rms(f − f̃)/rms(y) on the target training points, where f̃ is
            the answer at a hundred times the tolerance (an estimate of f̃'s error, so on the safe side for f), and
            of the relative violation of stationarity at infinite times. Particles: the largest estimate, over
            steps of source and target and over replicas, of one step's error in f, rms(f − f_pred)/rms(y) on the
            training points: the difference of the second- and the first-order solution. The integrator keeps
            it below ``rtol``. The error of the number of particles is not in it but in ``stderr``, as is an estimate
            of what all steps together leave.
        iterations: linear: right-hand sides and Newton steps of the source and this target; particles: right-hand
            sides of the source and this target, the largest over replicas.
        stderr: observable → standard error, of the observable's shape. Particles: over replicas, and in quadrature
            the integrator's error, by a third of what ten times the tolerance changes in the first replica (NaN for one
            replica, or where that did not end). 0 for the linear network, where nothing is sampled and the integrator's
            error is ``residual``.
    """

    times: np.ndarray
    weights: np.ndarray | None

    SHARED: ClassVar[tuple[str, ...]] = ("times",)

    @classmethod
    def missing(cls, task: TransferTask, status: Status, times: np.ndarray, **found: Any) -> Self:
        """A point of which no time was reached: no number but those ``found``."""
        return cls(status=status, times=times, **cls._blank(task, len(times)) | {"weights": None} | found)


S = TypeVar("S", bound=Solution)


def attempt(
    solve: Callable[[], Sequence[S]],
    missing: Callable[[Status], S],
    *,
    count: int = 1,
    exceptions: tuple[type[Exception], ...] = NUMERICAL,
) -> list[S]:
    """Solve points so that numbers out of range are their status, and not the loss of others.

    Args:
        solve: finds the points.
        missing: makes a point that has no answer, given its status.
        count: points there are.
        exceptions: those that mean numbers out of range.
    """
    try:
        with np.errstate(all="ignore"):
            return [point.judged() for point in solve()]
    except exceptions:
        return [missing(Status.DIVERGED)] * count


def assemble(solutions: Sequence[S], couplings: Sequence[float], *, theory: str, strict: bool, single: bool) -> S:
    """Put the points of all couplings together.

    Args:
        solutions: one a coupling.
        couplings: δ, as many.
        theory: its name, for the message.
        strict: whether an unconverged point raises.
        single: whether a number was passed for δ, not a sequence.

    Raises:
        UnconvergedError: an unconverged point, if ``strict``.
    """
    for coupling, point in zip(couplings, solutions, strict=True):
        if strict and point.status is not Status.CONVERGED:
            raise UnconvergedError(f"{theory} at elastic_coupling = {coupling:g}: {point.effort()}", point.status)
    solutions = [
        dataclasses.replace(point, elastic_coupling=coupling)
        for coupling, point in zip(couplings, solutions, strict=True)
    ]
    if single:
        return solutions[0]
    columns = {}
    for field in dataclasses.fields(solutions[0]):
        values = [getattr(point, field.name) for point in solutions]
        columns[field.name] = values[0] if field.name in solutions[0].SHARED else _column(values)
    return type(solutions[0])(**columns)


def _column(values: Sequence[Any]) -> Any:
    """One field of all points with δ in front: numbers and arrays stack, anything else becomes a tuple."""
    first = values[0]
    if isinstance(first, Mapping):
        return _mapping(values)
    if isinstance(first, FactoredKernel):
        return FactoredKernel(first.inputs, np.array([value.moment for value in values]))
    if all(isinstance(value, np.ndarray | np.generic | int | float) for value in values):
        return np.array(values)
    return None if all(value is None for value in values) else tuple(values)


def _mapping(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Named numbers of all points: those that a point lacks are NaN, and what is exactly 0 in all needs no axis."""
    like = {name: number for mapping in values for name, number in mapping.items()}
    filled = {name: [mapping.get(name, np.full(np.shape(like[name]), np.nan)) for mapping in values] for name in like}
    return {
        name: 0.0 if all(np.ndim(one) == 0 and one == 0 for one in numbers) else np.array(numbers)
        for name, numbers in filled.items()
    }
