"""Source and target stages of gradient flow in a linear network, each by the route that is exact for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from infwidth.numerics.status import Status
from infwidth.theory.linear.concave_dual import Design
from infwidth.theory.linear.fixed_points import anchored_fixed_point, free_fixed_point, frozen_course
from infwidth.theory.linear.moments import Moments, integrate_moments


@dataclass(frozen=True)
class Training:
    """One task's training data and rates.

    Attributes:
        design: the training inputs.
        labels: y, (P,).
        strength: γ.
        readout_decay: λ_w.
        hidden_decay: λ_W.
    """

    design: Design
    labels: np.ndarray
    strength: float
    readout_decay: float
    hidden_decay: float

    @classmethod
    def of(cls, design: np.ndarray, labels: np.ndarray, strength: float, readout_decay: float, hidden_decay: float):
        """Prepare inputs X/√D, (P, D)."""
        return cls(Design.of(design), labels, strength, readout_decay, hidden_decay)

    @property
    def rates(self) -> dict[str, float]:
        """Strength and decays as keywords of the solvers below this module."""
        return {
            "strength": self.strength,
            "readout_decay": self.readout_decay,
            "hidden_decay": self.hidden_decay,
        }


@dataclass(frozen=True)
class SourceEnd:
    """The source's hidden weights when its training ends.

    Attributes:
        hidden: E WWᵀ, (r, r), in the basis of the inputs; NaN if the integrator stopped early.
        outside: E W² along each of the D − r directions no input has.
        dimension: D.
        residual: relative violation of stationarity, 0 at finite times.
        evaluations: right-hand sides or root-finding steps.
        status: how the stage ended.
    """

    hidden: np.ndarray
    outside: float
    dimension: int
    residual: float
    evaluations: int
    status: Status

    def isotropic(self) -> np.ndarray:
        """E WWᵀ, (r, r), of weights turned at random, neuron by neuron: (tr E WWᵀ/D) I."""
        r = len(self.hidden)
        trace = np.trace(self.hidden) + (self.dimension - r) * self.outside
        return trace / self.dimension * np.eye(r)


@dataclass(frozen=True)
class Course:
    """A target network's course.

    Attributes:
        weights: v(t), (T, r); NaN at times that were not reached.
        hidden: E WWᵀ at the last time, (r, r).
        residual: relative violation of stationarity at t = ∞, else 0.
        evaluations: right-hand sides and Newton steps.
        status: how the stage ended.
    """

    weights: np.ndarray
    hidden: np.ndarray
    residual: float
    evaluations: int
    status: Status

    def after(self, source: SourceEnd) -> Course:
        """Return this course with what the source stage took, and how it ended, added."""
        return replace(
            self,
            residual=max(self.residual, source.residual),
            evaluations=self.evaluations + source.evaluations,
            status=self.status if source.status is Status.CONVERGED else source.status,
        )


def source_moment(training: Training, end: float, dimension: int, *, rtol: float, max_evaluations: int) -> SourceEnd:
    """Train a source from W, w ~ N(0, 1) until ``end`` (inf: its fixed point).

    Args:
        training: the source's data and rates.
        end: training time.
        dimension: D; training inputs may be given in a smaller basis.
        rtol: the integrator's tolerance.
        max_evaluations: right-hand sides allowed.

    Returns:
        The second moment of the hidden weights.
    """
    outside = math.exp(-2 * training.hidden_decay * end)
    if math.isinf(end):
        last = free_fixed_point(training.design, training.labels, **training.rates)
        return SourceEnd(last.hidden, outside, dimension, last.residual, last.iterations, last.status)
    r = training.design.matrix.shape[1]
    path = integrate_moments(
        Moments.fresh_readout(np.eye(r)),
        training.design.matrix,
        training.labels,
        np.array([end]),
        rtol=rtol,
        max_evaluations=max_evaluations,
        **training.rates,
    )
    hidden = path.moments[-1].hidden if path.moments else np.full((r, r), np.nan)
    return SourceEnd(hidden, outside, dimension, 0.0, path.evaluations, path.status)


def target_course(
    training: Training,
    anchor: np.ndarray,
    elastic_coupling: float,
    times: np.ndarray,
    *,
    rtol: float,
    max_evaluations: int,
) -> Course:
    """Train a target with a fresh readout from hidden weights W̄, tied to W̄ by δ.

    Args:
        training: the target's data and rates.
        anchor: E W̄W̄ᵀ, (r, r).
        elastic_coupling: δ; 0 only starts at W̄, inf freezes W there.
        times: increasing times ≥ 0, the last may be inf, (T,).
        rtol: the integrator's tolerance.
        max_evaluations: right-hand sides allowed.

    Returns:
        The course.
    """
    design, labels = training.design, training.labels
    if not np.isfinite(anchor).all():
        nothing = np.full((len(times), len(anchor)), np.nan)
        return Course(nothing, anchor, 0.0, 0, Status.DIVERGED)
    if math.isinf(elastic_coupling):
        weights = frozen_course(design.matrix, labels, anchor, times, readout_decay=training.readout_decay)
        return Course(weights, anchor, 0.0, 0, Status.CONVERGED)
    weights = np.full((len(times), len(anchor)), np.nan)
    hidden, residual, evaluations, status = np.full_like(anchor, np.nan), 0.0, 0, Status.CONVERGED
    finite = times[np.isfinite(times)]
    if len(finite):
        path = integrate_moments(
            Moments.fresh_readout(anchor),
            design.matrix,
            labels,
            finite,
            elastic_coupling=elastic_coupling,
            rtol=rtol,
            max_evaluations=max_evaluations,
            **training.rates,
        )
        evaluations, status = path.evaluations, path.status
        for i, moments in enumerate(path.moments):
            weights[i] = moments.predictor / training.strength
        if len(path.moments) == len(times):
            hidden = path.moments[-1].hidden
    if len(finite) < len(times):
        last = anchored_fixed_point(design, labels, anchor, elastic_coupling=elastic_coupling, **training.rates)
        weights[-1], hidden, residual = last.weights, last.hidden, last.residual
        evaluations += last.iterations
        status = status if status is not Status.CONVERGED else last.status
    return Course(weights, hidden, residual, evaluations, status)
