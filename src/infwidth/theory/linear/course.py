"""Source and target stages of gradient flow in a linear network, each by the route that is exact for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from infwidth.numerics.status import Status, tied, worst
from infwidth.theory.frozen import faded, frozen_course
from infwidth.theory.linear.design import Design
from infwidth.theory.linear.fixed_points import FixedPoint, anchored_fixed_point, free_fixed_point
from infwidth.theory.linear.moments import Moments, integrate_moments
from infwidth.theory.problem import FlowProblem

# Times of the slowest decay after which a course may have ended at its fixed point, so that later times are alike ...
LATE = 1e3
# ... if a run at this tolerance, or a given one that is looser, forgets its errors on the way there ...
COARSE = 1e-3
# ... and comes as near to it as this many tolerances.
NEAR = 100.0


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
    def of(cls, inputs: np.ndarray, labels: np.ndarray, strength: float, readout_decay: float, hidden_decay: float):
        """Prepare inputs X/√D, (P, D)."""
        return cls(Design.of(inputs), labels, strength, readout_decay, hidden_decay)

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
        hidden_moment: E WWᵀ, (r, r), in the basis of the inputs; NaN if the integrator stopped early.
        readout_moment: E w²; likewise.
        predictor: u = E wW, (r,); likewise.
        variance_outside: E W² along each of the D − r directions no input has.
        dimension: D.
        residual: relative violation of stationarity, 0 at finite times.
        evaluations: right-hand sides or root-finding steps.
        status: how the stage ended.
    """

    hidden_moment: np.ndarray
    readout_moment: float
    predictor: np.ndarray
    variance_outside: float
    dimension: int
    residual: float
    evaluations: int
    status: Status

    def start(self, problem: FlowProblem) -> Moments:
        """The moments that a target starts from: on these weights or turned ones, with these readouts or fresh ones."""
        turned = problem.origin == "random"
        hidden_moment = self.isotropic() if turned else self.hidden_moment
        if problem.readout == "fresh":
            return Moments.fresh_readout(hidden_moment)
        return Moments.continued(self.readout_moment, 0 * self.predictor if turned else self.predictor, hidden_moment)

    def isotropic(self) -> np.ndarray:
        """E WWᵀ, (r, r), of weights turned at random, neuron by neuron: (tr E WWᵀ/D) I."""
        r = len(self.hidden_moment)
        trace = np.trace(self.hidden_moment) + (self.dimension - r) * self.variance_outside
        return trace / self.dimension * np.eye(r)


@dataclass(frozen=True)
class Course:
    """A target network's course.

    Attributes:
        weights: v(t), (T, r); NaN at times that were not reached.
        hidden_moment: E WWᵀ at the last time, (r, r).
        residual: relative violation of stationarity at t = ∞, else 0.
        evaluations: right-hand sides and Newton steps.
        status: how the stage ended.
    """

    weights: np.ndarray
    hidden_moment: np.ndarray
    residual: float
    evaluations: int
    status: Status

    def after(self, source: SourceEnd) -> Course:
        """Return this course with what the source stage took, and how it ended, added."""
        return replace(
            self,
            residual=max(self.residual, source.residual),
            evaluations=self.evaluations + source.evaluations,
            status=tied(source.status, self.status),
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
    variance_outside = math.exp(-2 * training.hidden_decay * end)
    r = training.design.matrix.shape[1]
    start, limits = Moments.fresh_readout(np.eye(r)), {"rtol": rtol, "max_evaluations": max_evaluations}
    late, gap, spent = late_time(training), 0.0, 0
    if late < end:
        rates = {"strength": training.strength, "readout_decay": training.readout_decay}
        last = free_fixed_point(training.design, training.labels, stiffness=training.hidden_decay, **rates)
        spent = last.iterations
        if math.isfinite(end):
            gap, more = _gap(training, start, 0.0, late, last, **limits)
            spent += more
        if gap <= NEAR * rtol:
            found = last.hidden_moment, last.readout_moment, training.strength * last.weights
            return SourceEnd(*found, variance_outside, dimension, last.residual, spent, last.status)
    moments, status = Moments.fresh_readout(np.full((r, r), np.nan), np.nan), Status.STALLED
    if not math.isnan(gap):
        design, labels = training.design.matrix, training.labels
        path = integrate_moments(start, design, labels, np.array([end]), **limits, **training.rates)
        moments, status, spent = (*path.moments, moments)[0], path.status, spent + path.evaluations
    found = moments.hidden_moment, moments.readout_moment, moments.predictor
    return SourceEnd(*found, variance_outside, dimension, 0.0, spent, status)


def late_time(training: Training) -> float:
    """Time after which a course may be at its fixed point; inf where nothing decays."""
    slowest = min(training.readout_decay, training.hidden_decay)
    return LATE / slowest if slowest else math.inf


def _gap(
    training: Training,
    start: Moments,
    elastic_coupling: float,
    late: float,
    end: FixedPoint,
    *,
    rtol: float,
    max_evaluations: int,
) -> tuple[float, int]:
    """How far from a fixed point the course is at ``late``, relative, and right-hand sides that it took to tell.

    NaN where it could not be followed so far.
    """
    path = integrate_moments(
        start,
        training.design.matrix,
        training.labels,
        np.array([late]),
        elastic_coupling=elastic_coupling,
        rtol=max(rtol, COARSE),
        max_evaluations=max_evaluations,
        **training.rates,
    )
    if not path.moments:
        return math.nan, path.evaluations
    gap = np.linalg.norm(path.moments[-1].predictor / training.strength - end.weights)
    return float(gap / (np.linalg.norm(end.weights) or 1.0)), path.evaluations


def target_course(
    training: Training,
    initial_moments: Moments,
    elastic_coupling: float,
    times: np.ndarray,
    *,
    rtol: float,
    max_evaluations: int,
) -> Course:
    """Train a target from hidden weights W̄, tied to W̄ by δ.

    Args:
        training: the target's data and rates.
        initial_moments: its moments at time 0, W = W̄.
        elastic_coupling: δ; 0 only starts at W̄, inf freezes W there.
        times: increasing times ≥ 0, the last may be inf, (T,).
        rtol: the integrator's tolerance.
        max_evaluations: right-hand sides allowed.

    Returns:
        The course.
    """
    design, labels, anchor_moment = training.design, training.labels, initial_moments.anchor_moment
    if math.isinf(elastic_coupling):
        features, decay = design.matrix @ anchor_moment, {"readout_decay": training.readout_decay}
        first = initial_moments.predictor / training.strength
        dual = frozen_course(features @ design.matrix.T, labels, times, **decay, initial_output=design.matrix @ first)
        left = faded(times, training.readout_decay)[:, None] * first
        return Course(left + dual @ features, anchor_moment, 0.0, 0, Status.CONVERGED)
    limits = {"rtol": rtol, "max_evaluations": max_evaluations}
    rates = {"elastic_coupling": elastic_coupling, **training.rates}
    late, last, evaluations = late_time(training), None, 0
    followed = times[np.isfinite(times)]
    if late < times[-1]:
        last = anchored_fixed_point(design, labels, anchor_moment, **rates)
        evaluations = last.iterations
    if np.any(followed > late):
        gap, spent = _gap(training, initial_moments, elastic_coupling, late, last, **limits)
        evaluations += spent
        if not gap > NEAR * rtol:
            followed = times[times < late]
        if math.isnan(gap):
            last = None
    weights = np.full((len(times), len(anchor_moment)), np.nan)
    hidden_moment, residual, status = np.full_like(anchor_moment, np.nan), 0.0, Status.CONVERGED
    if len(followed):
        path = integrate_moments(initial_moments, design.matrix, labels, followed, **limits, **rates)
        evaluations, status = evaluations + path.evaluations, path.status
        for i, moments in enumerate(path.moments):
            weights[i] = moments.predictor / training.strength
        if len(path.moments) == len(times):
            hidden_moment = path.moments[-1].hidden_moment
    if len(followed) < len(times):
        if last is None:
            status = worst((status, Status.STALLED))
        else:
            weights[len(followed) :], hidden_moment, residual = last.weights, last.hidden_moment, last.residual
            status = worst((status, last.status))
    return Course(weights, hidden_moment, residual, evaluations, status)
