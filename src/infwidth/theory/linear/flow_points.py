"""The flow theory of linear networks: the source once, the target at every coupling (docs/theory.md §2)."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from infwidth.numerics.losses import mean_squared_error
from infwidth.numerics.status import Status
from infwidth.theory.linear.course import Course, SourceEnd, Training, source_moment, target_course
from infwidth.theory.linear.flow_width import FlowExpansion
from infwidth.theory.linear.moments import Moments
from infwidth.theory.problem import Designs, FlowProblem
from infwidth.theory.solution import FactoredKernel, FlowSolution, attempt

# The residual compares with a run at this many times the tolerance ...
LOOSER = 100.0
# ... and may exceed that run's tolerance, which is per step, by this factor.
ACCUMULATION = 100.0


def solve_linear(problem: FlowProblem, sources: dict | None = None) -> list[FlowSolution]:
    """Train the source once, and the target at every coupling; both once more at a looser tolerance.

    Args:
        problem: the checked problem, of the linear activation.
        sources: where trained sources are kept, see ``flow.solve``.

    Returns:
        One point a coupling.
    """
    task, designs = problem.task, Designs.of(problem.task)
    source_decay, decay = problem.decays
    sources = {} if sources is None else sources
    key = (designs.source.shape, designs.source.tobytes(), task.y_source.tobytes(), designs.dimension)
    key += (problem.strengths[0], source_decay, problem.source_time, problem.max_evaluations)
    source = Training.of(designs.source, task.y_source, problem.strengths[0], source_decay, source_decay)
    target = Training.of(designs.target, task.y_target, problem.strengths[1], decay, decay)
    rank = designs.target.shape[1]
    nothing = {"weights": np.full((len(problem.times), rank), np.nan), "hidden_moment": np.full((rank, rank), np.nan)}

    expansion = FlowExpansion(problem, designs, sources.setdefault((*key, "around it"), []))

    def trained(rtol: float) -> SourceEnd:
        place, limits = (*key, rtol), {"rtol": rtol, "max_evaluations": problem.max_evaluations}
        if place not in sources:
            sources[place] = source_moment(source, problem.source_time, designs.dimension, **limits)
        return sources[place]

    @functools.cache
    def course(elastic_coupling: float, rtol: float) -> Course:
        limits = {"rtol": rtol, "max_evaluations": problem.max_evaluations}
        if problem.origin == "scratch":
            fresh = Moments.fresh_readout(np.eye(rank))
            return target_course(target, fresh, elastic_coupling, problem.times, **limits)
        end = trained(rtol)
        if not np.isfinite(end.hidden_moment).all():
            return Course(**nothing, residual=end.residual, evaluations=end.evaluations, status=end.status)
        return target_course(target, end.start(problem), elastic_coupling, problem.times, **limits).after(end)

    def point(elastic_coupling: float) -> list[FlowSolution]:
        # From scratch there is no anchor: every δ is the same.
        elastic_coupling = 0.0 if problem.origin == "scratch" else elastic_coupling
        found = course(elastic_coupling, problem.rtol)
        check = course(elastic_coupling, problem.rtol * LOOSER) if found.status is Status.CONVERGED else None
        expand = functools.partial(expansion.expand, elastic_coupling, found.weights)
        return [replace(_observe(problem, designs, found, check), expand=expand)]

    def missing(status: Status) -> FlowSolution:
        features = FactoredKernel(designs.target, nothing["hidden_moment"])
        fields = {
            "weights": designs.expand(nothing["weights"]),
            "stderr": FlowSolution.exact(),
            "kernel_form": features,
        }
        return FlowSolution.missing(task, status, problem.times, **fields)

    return [attempt(functools.partial(point, elastic_coupling), missing)[0] for elastic_coupling in problem.couplings]


def _observe(problem: FlowProblem, designs: Designs, course: Course, check: Course | None) -> FlowSolution:
    """What one coupling's course implies; ``check`` is the same one at a looser tolerance, if it converged."""
    task = problem.task
    fit = course.weights @ designs.target.T
    prediction = course.weights @ designs.test.T
    status, residual = course.status, np.nan
    if check is not None:
        drift = np.sqrt(mean_squared_error(fit, check.weights @ designs.target.T))
        scale = np.sqrt(np.mean(task.y_target**2)) or 1.0
        residual = float(np.fmax.reduce([course.residual, *drift / scale]))
        if not residual <= ACCUMULATION * LOOSER * problem.rtol:
            status = Status.STALLED
    return FlowSolution(
        times=problem.times,
        prediction=prediction,
        train_loss=mean_squared_error(fit, task.y_target),
        test_loss=mean_squared_error(prediction, task.y_test),
        kernel_form=FactoredKernel(designs.target, course.hidden_moment),
        weights=designs.expand(course.weights),
        status=status,
        residual=residual,
        iterations=course.evaluations,
        stderr=FlowSolution.exact(),
    )
