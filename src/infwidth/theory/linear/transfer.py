"""The Bayesian theory of linear networks: source and targets by their closed form (docs/theory.md §1)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from infwidth.numerics.losses import class_error
from infwidth.numerics.status import Status
from infwidth.theory.linear.concave_dual import Potential, maximise
from infwidth.theory.linear.design import Design
from infwidth.theory.linear.finite_width import expand_posteriors
from infwidth.theory.linear.posterior import LinearPosterior, solve_posterior
from infwidth.theory.linear.several_outputs import MatrixPotential, left_out
from infwidth.theory.linear.source_response import respond
from infwidth.theory.posterior.folds import FoldsLeftOut, pairs_from_fold, pairs_from_whole
from infwidth.theory.posterior.solution import BayesSolution
from infwidth.theory.problem import BayesProblem, Designs
from infwidth.theory.solution import FactoredKernel, attempt
from infwidth.theory.span import OutputSpan

ACCURACY = 1e-8
"""Largest certificate of a point that counts as converged."""


def solve_linear(problem: BayesProblem, sources: dict | None = None) -> list[BayesSolution]:
    """Solve the source once and the target at every coupling.

    Args:
        problem: the checked problem, of the linear activation.
        sources: where solved sources are kept, see ``bayes.solve``.

    Returns:
        One point a coupling.
    """
    sources = {} if sources is None else sources
    task, designs = problem.task, Designs.of(problem.task, whole=problem.source_weights is not None)
    root, outputs = np.sqrt(task.dimension), OutputSpan.of(task.y_target)
    design = Design.of(designs.target, task.x_target, root)

    def source() -> LinearPosterior:
        key = (designs.source.shape, designs.source.tobytes(), *problem.source_key)
        if key not in sources:
            sources[key] = solve_posterior(
                Design.of(designs.source, task.x_source, root),
                OutputSpan.of(task.y_source).labels,
                strength=problem.strengths[0],
                inverse_temperature=problem.inverse_temperatures[0],
                **problem.shared,
            )
        return sources[key]

    @functools.cache
    def reduced(out: tuple[int, ...]) -> Design:
        """The target's design without some samples, the same at every δ."""
        return Design.of(np.delete(designs.target, out, axis=0))

    def target(elastic_coupling: float) -> list[BayesSolution]:
        # At δ = 0 the source does not enter, and what became of it does not matter.
        tied = source() if elastic_coupling and problem.source_weights is None else None
        anchor_moment = tied and tied.hidden_moment
        if elastic_coupling and problem.source_weights is not None:
            anchor_moment = problem.source_weights.T @ problem.source_weights / len(problem.source_weights)
        for accurate in (False, True):
            found = solve_posterior(
                design,
                outputs.labels,
                strength=problem.strengths[1],
                inverse_temperature=problem.inverse_temperatures[1],
                elastic_coupling=elastic_coupling,
                anchor_moment=anchor_moment,
                accurate=accurate,
                **problem.shared,
            )
            point = _observe(problem, designs, design, outputs, tied, found)
            if point.status is Status.CONVERGED:
                break
        if problem.folds is not None:
            folds = _leave_folds_out(problem, designs, outputs, anchor_moment, found, elastic_coupling, reduced)
            point = dataclasses.replace(point, folds_left_out=folds)
        given = anchor_moment is not None and tied is None  # whose own fluctuations are not known
        if given:
            return [point]
        place = (problem, designs, tied, found, elastic_coupling)
        expand, answer = functools.partial(expand_posteriors, *place), functools.partial(respond, *place)
        return [dataclasses.replace(point, expand=expand, respond=None if task.several_outputs else answer)]

    def missing(status: Status) -> BayesSolution:
        nothing = np.full((designs.target.shape[1],) * 2, np.nan)
        fields = {"kernel_form": FactoredKernel(designs.target, nothing), "stderr": BayesSolution.exact()}
        weights = np.full((task.dimension, *task.y_target.shape[1:]), np.nan)
        return BayesSolution.missing(task, status, weights=weights, **fields)

    return [attempt(functools.partial(target, elastic_coupling), missing)[0] for elastic_coupling in problem.couplings]


def _observe(
    problem: BayesProblem,
    designs: Designs,
    design: Design,
    outputs: OutputSpan,
    source: LinearPosterior | None,
    target: LinearPosterior,
) -> BayesSolution:
    """What one coupling's saddle point implies."""
    task, saddle, ridge = problem.task, target.saddle, 1 / problem.inverse_temperatures[1]
    prediction = designs.test @ saddle.weights
    noisy = target.reduced_kernel + ridge * np.eye(len(target.reduced_kernel))
    other = (design.right * design.singular) @ np.linalg.solve(noisy, design.left.T @ outputs.labels)
    other /= problem.prior_precision
    other = designs.test @ (target.hidden_moment @ other)
    errors = [float(np.linalg.norm(other - prediction) / (np.linalg.norm(prediction) or 1.0))]
    residuals = np.full(outputs.labels.shape, np.nan)
    if saddle.cholesky is not None:
        residuals, ratios = left_out(design, saddle, ridge)
        errors += [saddle.dual_error / (float(np.linalg.norm(saddle.dual)) or 1.0), *ratios]
    fit, prediction = (outputs.expand(f) for f in (designs.target @ saddle.weights, prediction))
    residuals = outputs.expand(residuals)
    saddles = [saddle] if source is None else [source.saddle, saddle]
    residual = max(target.residual, *errors, *(each.residual for each in saddles))
    return BayesSolution(
        prediction=prediction,
        train_loss=float(np.mean((fit - task.y_target) ** 2)),
        test_loss=float(np.mean((prediction - task.y_test) ** 2)),
        test_error=class_error(prediction, task.y_test),
        kernel_form=FactoredKernel(designs.target, target.hidden_moment),
        dual=outputs.expand(saddle.dual),
        weights=outputs.expand(designs.expand(saddle.weights.T).T),
        log_evidence_density=-saddle.objective,
        domain_margin=min(each.margin for each in saddles),
        leave_one_out=float(np.mean(residuals**2)),
        left_out_residual=residuals,
        status=Status.CONVERGED if residual <= ACCURACY else Status.STALLED,
        residual=residual,
        iterations=saddle.iterations,
        stderr=BayesSolution.exact(),
    )


def _leave_folds_out(
    problem: BayesProblem,
    designs: Designs,
    outputs: OutputSpan,
    anchor_moment: np.ndarray | None,
    target: LinearPosterior,
    elastic_coupling: float,
    reduced: Callable[[tuple[int, ...]], Design],
) -> FoldsLeftOut:
    """Residuals of the target's folds; ``reduced`` gives the target's design without some samples."""
    design, labels, beta, folds = designs.target, outputs.labels, problem.inverse_temperatures[1], problem.folds
    anchor_moment = np.zeros((design.shape[1],) * 2) if anchor_moment is None else anchor_moment
    precisions = problem.prior_precision, problem.prior_precision
    kind = Potential if labels.ndim == 1 else MatrixPotential
    potential = kind.elastic(anchor_moment, elastic_coupling, *precisions, scatters=True)
    residuals, pairs = np.full(labels.shape, np.nan), np.full((len(labels), *labels.shape), np.nan)

    def hessian(drive: np.ndarray) -> np.ndarray:
        """H of all samples, of all outputs of each."""
        count = drive[0].size
        half = np.tensordot(design, potential.hessian(drive).reshape(len(drive), -1), 1)
        half = half.reshape(labels.size, len(drive), count)
        return np.einsum("ajc,mj->amc", half, design, optimize=True).reshape(labels.size, labels.size)

    def without(out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Residuals of samples left out, and their rows of pairs."""
        kept = np.delete(np.arange(len(labels)), out)
        found = maximise(
            reduced(tuple(out.tolist())),
            labels[kept],
            potential,
            strength=problem.strengths[1],
            ridge=1 / beta,
            max_iterations=problem.max_iterations,
        )
        left, dual = labels[out] - design[out] @ found.weights, np.zeros(labels.shape)
        dual[kept] = found.dual
        return left, pairs_from_fold(left, dual, hessian(found.drive), beta, out)

    for fold in range(problem.folds_solved):
        out = np.flatnonzero(folds == fold)
        residuals[out], pairs[out] = without(out)
        for each in out[:, None] if problem.leave_each and len(out) > 1 else ():
            pairs[each] = without(each)[1]
    error = np.where(np.isfinite(residuals), 0.0, np.nan)
    linearised = pairs_from_whole(target.saddle.dual, hessian(target.saddle.drive), beta)
    return FoldsLeftOut(*(outputs.expand(values) for values in (residuals, error, pairs, linearised)))
