"""What the public solvers share: checks of their arguments, and inputs in the smallest basis that holds them."""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.activations import get_activation
from infwidth.numerics.arrays import real_array
from infwidth.numerics.checks import InputError, check_number, scalar, spell
from infwidth.numerics.observed import Observer
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.span import orthonormal_basis

FEWEST_NEURONS = 16
"""Neurons of a given source below which there are no blocks of them to compare."""
POSITIVE = {"minimum": 0.0, "open_minimum": True}


def check_task(task: TransferTask) -> TransferTask:
    """Return ``task`` if it is one; raises InputError otherwise."""
    if not isinstance(task, TransferTask):
        raise InputError(f"task = {spell(task)}: expected a TransferTask; make one with infwidth.tasks")
    return task


def check_weights(source_weights: np.ndarray | None, task: TransferTask) -> np.ndarray | None:
    """Return a given source's W̄ (N, D) in float64, or None; raises InputError for others."""
    if source_weights is None:
        return None
    array = real_array("source_weights", source_weights, "(neurons, dimension)")
    if array.ndim != 2 or array.shape[1] != task.dimension or len(array) < FEWEST_NEURONS:
        raise InputError(
            f"source_weights has shape {array.shape}: expected at least {FEWEST_NEURONS} neurons of the task's "
            f"{task.dimension} inputs; pass the first layer's weights, (neurons, dimension)"
        )
    if not np.isfinite(array).all():
        raise InputError("source_weights holds NaN or infinite entries: expected finite ones; check the training")
    return array


def check_strengths(source_strength: float, target_strength: float) -> tuple[float, float]:
    """Return γ̄ and γ as floats > 0; raises InputError otherwise."""
    source = check_number("source_strength", source_strength, **POSITIVE)
    return source, check_number("target_strength", target_strength, **POSITIVE)


def check_device(device: str) -> None:
    """Raise InputError if torch can't use that device."""
    import torch

    try:
        torch.zeros((), device=device)
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device = {spell(device)}: expected one torch can use ({reason}); pass 'cpu'") from error


def check_no_observer(observe: Observer | None) -> None:
    """Raise InputError if there is an observer: the linear activation is solved without particles to show."""
    if observe is not None:
        raise InputError("observe: expected None for the linear activation, which is solved without particles; drop it")


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
    single = isinstance(elastic_coupling, str) or not hasattr(scalar(elastic_coupling), "__len__")
    values = [elastic_coupling] if single else list(elastic_coupling)
    if not values:
        raise InputError("elastic_coupling = []: expected a number or a non-empty sequence; name at least one")
    return [check_number("elastic_coupling", value, minimum=0.0, allow_inf=True) for value in values], single


@dataclass(frozen=True)
class Problem:
    """A theory's problem, checked.

    Attributes:
        task: the data.
        activation: φ's name.
        strengths: γ̄ and γ.
        couplings: δ ≥ 0, inf allowed, n of them.
    """

    task: TransferTask
    activation: str
    strengths: tuple[float, float]
    couplings: Sequence[float]


@dataclass(frozen=True)
class BayesProblem(Problem):
    """What a Bayesian theory is asked beside.

    Attributes:
        inverse_temperatures: β of source and target.
        prior_precision: λ of all weights.
        max_iterations: Newton steps allowed a saddle point.
        source_weights: W̄ of a given source, (N, D), in place of the posterior of the source's data; or None.
        folds: the fold of each target sample, (P2,); None for no cross-validation.
        folds_solved: folds to solve again.
        leave_each: whether to solve again without each of their samples alone, too.
    """

    inverse_temperatures: tuple[float, float]
    prior_precision: float
    max_iterations: int
    folds: np.ndarray | None = None
    folds_solved: int = 0
    leave_each: bool = False
    source_weights: np.ndarray | None = None

    @property
    def source_key(self) -> tuple[Hashable, ...]:
        """What the source's posterior depends on, but for the particles that stand for it."""
        data = [part for array in (self.task.x_source, self.task.y_source) for part in (array.shape, array.tobytes())]
        scales = self.strengths[0], self.inverse_temperatures[0], self.prior_precision, self.max_iterations
        return (*data, self.activation, *scales)

    @property
    def shared(self) -> dict[str, float]:
        """What source and target have in common, as keywords of the linear saddle point."""
        precisions = dict.fromkeys(("readout_precision", "hidden_precision"), self.prior_precision)
        return {**precisions, "max_iterations": self.max_iterations}


@dataclass(frozen=True)
class FlowProblem(Problem):
    """What a flow theory is asked beside.

    Attributes:
        decays: λ of source and target.
        source_time: for which the source trains.
        times: at which the target is observed, (T,).
        origin: what the target starts from, and is tied to: "source", "random" or "scratch".
        readout: "fresh", or "continued" from the source's.
        rtol: relative tolerance of a step.
        max_evaluations: right-hand sides allowed an integration.
    """

    decays: tuple[float, float]
    source_time: float
    times: np.ndarray
    origin: str
    readout: str
    rtol: float
    max_evaluations: int


def check_ends(problem: FlowProblem) -> None:
    """Raise InputError where an end at t = ∞ is asked for that only an integration could look for."""
    frozen = problem.origin != "scratch" and all(math.isinf(coupling) for coupling in problem.couplings)
    for name, time, known in (
        ("source_time", problem.source_time, False),
        ("target_times", problem.times[-1], frozen),
    ):
        if math.isinf(time) and not known:
            raise InputError(
                f"{name} = inf: expected a finite time for {problem.activation!r}, whose target's end is known at "
                "elastic_coupling = inf alone; pass a time that is long against 1/weight_decay"
            )


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
    def of(cls, task: TransferTask, *, whole: bool = False) -> Designs:
        """Scale, and if P1 + P2 < D and not the ``whole`` space is wanted compress, a task's inputs."""
        scaled = [x / np.sqrt(task.dimension) for x in (task.x_source, task.x_target, task.x_test)]
        basis = None
        if len(scaled[0]) + len(scaled[1]) < task.dimension and not whole:
            basis = orthonormal_basis(np.concatenate(scaled[:2]))
            if not basis.size:  # all inputs are 0, and one direction is as good as another
                basis = np.eye(task.dimension, 1)
            scaled = [x @ basis for x in scaled]
        return cls(*scaled, basis=basis, dimension=task.dimension)

    def expand(self, weights: np.ndarray) -> np.ndarray:
        """Weights (…, r) as vectors (…, D)."""
        return weights if self.basis is None else weights @ self.basis.T


def check_times(name: str, times: Sequence[float], *, weight_decay: float) -> np.ndarray:
    """Return ``times`` as an array (T,) of increasing times ≥ 0; inf needs decay, or there is no unique end."""
    if isinstance(times, str) or not hasattr(scalar(times), "__len__") or len(times) == 0:
        raise InputError(f"{name} = {spell(times)}: expected a non-empty sequence of increasing times ≥ 0; pass a list")
    array = np.array([check_number(name, time, minimum=0.0, allow_inf=True) for time in times])
    if not (array[1:] > array[:-1]).all():
        raise InputError(f"{name} = {spell(array.tolist())}: expected increasing times; sort them and drop repeats")
    if np.isinf(array[-1]) and weight_decay == 0:
        raise InputError(f"{name} = inf: expected a finite time at weight decay 0; set a weight decay > 0")
    return array
