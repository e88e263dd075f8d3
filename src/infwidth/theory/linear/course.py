"""Source and target stages of gradient flow in a linear network, each by the route that is exact for it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from infwidth.numerics.status import Status, tied, worst
from infwidth.theory.frozen import faded, frozen_course
from infwidth.theory.linear.design import Design
from infwidth.theory.linear.fixed_points import FixedPoint, anchored_fixed_point, free_fixed_point
from infwidth.theory.linear.moment_path import MomentPath, integrate_moments
from infwidth.theory.linear.moments import Moments
from infwidth.theory.problem import FlowProblem

# Times of the slowest decay after which a course may have ended at its fixed point, so that later times are alike;
# of the start e^(−2 LATE) is left, which no later training makes visible, as it does what an integrator tolerates ...
LATE = 50.0
# ... if it has come as near to it as this many tolerances. If it hasn't, it is asked again after so many times that.
NEAR, LATER = 100.0, 100.0


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
    limits, last, ended = {"rtol": rtol, "max_evaluations": max_evaluations}, None, True
    if late_time(training) < end:
        rates = {"strength": training.strength, "readout_decay": training.readout_decay}
        last = free_fixed_point(training.design, training.labels, stiffness=training.hidden_decay, **rates)
    path, spent = MomentPath((), 0, Status.CONVERGED), last.iterations if last else 0
    if math.isfinite(end):
        path, ended = _follow(training, Moments.fresh_readout(np.eye(r)), 0.0, np.array([end]), last, **limits)
        spent += path.evaluations
    if last and ended:
        found = last.hidden_moment, last.readout_moment, training.strength * last.weights
        return SourceEnd(*found, variance_outside, dimension, last.residual, spent, last.status)
    moments = (*path.moments, Moments.fresh_readout(np.full((r, r), np.nan), np.nan))[0]
    hidden_moment, readout_moment = moments.hidden_moment, moments.readout_moment
    if path.moments and training.readout_decay == training.hidden_decay:
        hidden_moment, readout_moment = spiked_moments(moments.predictor, variance_outside)
    found = hidden_moment, readout_moment, moments.predictor
    return SourceEnd(*found, variance_outside, dimension, 0.0, spent, path.status)


def spiked_moments(predictor: np.ndarray, bulk: float) -> tuple[np.ndarray, float]:
    """E WWᵀ and E w² of a network with equal decays from its predictor, as long training needs them.

    From W, w ~ N(0, 1) neurons are boosted, so that E WWᵀ is isotropic but for one spike (docs/version_two.md):
    directions that decay alone keep their size to the last digit, which a target on frozen features may train long
    enough to see. What an integrator tolerates is far above it.

    Args:
        predictor: u = E wW, (r,).
        bulk: e^{−2λt}.
    """
    size = float(np.linalg.norm(predictor))
    spike, unit = math.hypot(bulk, size), predictor / (size or 1.0)
    return bulk * np.eye(len(unit)) + (spike - bulk) * np.outer(unit, unit), spike


def late_time(training: Training) -> float:
    """Time after which a course may be at its fixed point; inf where nothing decays."""
    slowest = min(training.readout_decay, training.hidden_decay)
    return LATE / slowest if slowest else math.inf


def _follow(
    training: Training,
    start: Moments,
    elastic_coupling: float,
    times: np.ndarray,
    end: FixedPoint | None,
    *,
    rtol: float,
    max_evaluations: int,
) -> tuple[MomentPath, bool]:
    """The moments at finite times, but for those at which the course has come to its fixed point, and whether it has.

    Steps as long as the latest times leave no digit to moments that have long been at the fixed point. What is slower
    than the decays, as neurons that hardly grow, arrives later: whether all has is asked again, at ever longer times.
    """
    options = {"elastic_coupling": elastic_coupling, "rtol": rtol, **training.rates}
    now, asked, spent = 0.0, late_time(training), 0
    found: list[Moments] = []
    while True:
        legs = left = times[len(found) :]
        if left[-1] > asked:
            legs = np.append(left[left < asked], asked)
        path = integrate_moments(
            start,
            training.design.matrix,
            training.labels,
            legs - now,
            max_evaluations=max_evaluations - spent,
            **options,
        )
        spent += path.evaluations
        found += path.moments[: len(legs) - (legs is not left)]
        if legs is left or len(path.moments) < len(legs):
            return MomentPath(tuple(found), spent, path.status), False
        start, now, asked = path.moments[-1], asked, LATER * asked
        gap = np.linalg.norm(start.predictor / training.strength - end.weights)
        if gap <= NEAR * rtol * (np.linalg.norm(end.weights) or 1.0):
            return MomentPath(tuple(found), spent, Status.CONVERGED), True


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
    last, path, ended = None, MomentPath((), 0, Status.CONVERGED), False
    if late_time(training) < times[-1]:
        last = anchored_fixed_point(design, labels, anchor_moment, elastic_coupling=elastic_coupling, **training.rates)
    finite = times[np.isfinite(times)]
    if len(finite):
        path, ended = _follow(training, initial_moments, elastic_coupling, finite, last, **limits)
    weights = np.full((len(times), len(anchor_moment)), np.nan)
    hidden_moment, residual, status = np.full_like(anchor_moment, np.nan), 0.0, path.status
    for i, moments in enumerate(path.moments):
        weights[i] = moments.predictor / training.strength
    if len(path.moments) == len(times):
        hidden_moment = path.moments[-1].hidden_moment
    at_end = ~np.isfinite(times) | (ended & (np.arange(len(times)) >= len(path.moments)))
    if at_end.any():
        weights[at_end], hidden_moment, residual = last.weights, last.hidden_moment, last.residual
        status = worst((status, last.status))
    return Course(weights, hidden_moment, residual, path.evaluations + (last.iterations if last else 0), status)
