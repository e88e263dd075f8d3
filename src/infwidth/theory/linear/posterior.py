"""The posterior of a linear network at infinite width, on arrays (docs/theory.md §1)."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.losses import mean_squared_error
from infwidth.numerics.status import Status
from infwidth.theory.linear.concave_dual import DualSolution, Potential, maximise
from infwidth.theory.linear.design import Design
from infwidth.theory.linear.finite_width import expand_posteriors
from infwidth.theory.posterior.folds import FoldsLeftOut, first_order, ridge_residuals
from infwidth.theory.posterior.solution import BayesSolution
from infwidth.theory.problem import BayesProblem, Designs
from infwidth.theory.solution import FactoredKernel, attempt

# Largest certificate of a point that counts as converged.
ACCURACY = 1e-8


@dataclass(frozen=True)
class LinearPosterior:
    """The saddle point of one posterior.

    Attributes:
        saddle: the dual solution: dual vector g, weights v, domain margin, certificate.
        hidden: E WWᵀ, (D, D); the kernel is Φ(x, x') = x E WWᵀ x'/D.
        scaled_kernel: UᵀΦU/λ_w in the singular basis of the training inputs, (r, r).
        residual: |y − g/β − Φg/λ_w| at this g and this kernel over |y| + |Φ||g|/λ_w, or |slope of S|/|y| if larger.
    """

    saddle: DualSolution
    hidden: np.ndarray
    scaled_kernel: np.ndarray
    residual: float


def solve_posterior(
    design: Design | np.ndarray,
    labels: np.ndarray,
    *,
    strength: float,
    inverse_temperature: float,
    readout_precision: float = 1.0,
    hidden_precision: float = 1.0,
    elastic_coupling: float = 0.0,
    anchor: np.ndarray | None = None,
    max_iterations: int = 100,
    accurate: bool = False,
) -> LinearPosterior:
    """Solve one saddle point, source (δ = 0) or target (δ > 0), eqs. (1) to (6).

    Args:
        design: X/√D, (P, D), or a prepared :class:`Design` when it is used more than once.
        labels: y, (P,).
        strength: γ > 0.
        inverse_temperature: β > 0.
        readout_precision: λ_w > 0.
        hidden_precision: λ_W > 0.
        elastic_coupling: δ ≥ 0; inf freezes the hidden weights at the anchor.
        anchor: E W̄W̄ᵀ, (D, D): the source's ``hidden``; needed if δ > 0.
        max_iterations: Newton steps allowed.
        accurate: whether g is needed to more digits than rounding times β leaves it.

    Returns:
        The saddle point; look at its ``saddle.status``.
    """
    design = design if isinstance(design, Design) else Design.of(design)
    if anchor is None:
        anchor = np.zeros((design.matrix.shape[1],) * 2)
    potential = Potential.elastic(anchor, elastic_coupling, hidden_precision, readout_precision, spread=True)
    saddle = maximise(
        design,
        labels,
        potential,
        strength=strength,
        ridge=1 / inverse_temperature,
        max_iterations=max_iterations,
        accurate=accurate,
    )
    hidden = potential.second_moment(saddle.drive)
    kernel = _inner_kernel(design, hidden) / readout_precision
    fit = design.matrix @ (hidden @ (design.matrix.T @ saddle.dual)) / readout_precision
    left = labels - saddle.dual / inverse_temperature - fit
    size = np.linalg.norm(labels) + np.linalg.norm(kernel) * np.linalg.norm(saddle.dual)
    residual = max(saddle.residual, float(np.linalg.norm(left) / (size or 1.0)))
    return LinearPosterior(saddle, hidden, kernel, residual)


def _inner_kernel(design: Design, hidden: np.ndarray) -> np.ndarray:
    """UᵀΦU = ΣVᵀMVΣ, all there is of Φ = XMXᵀ/D, (r, r)."""
    inputs = design.right * design.singular
    return inputs.T @ hidden @ inputs


def solve_linear(problem: BayesProblem) -> list[BayesSolution]:
    """Solve the source once and the target at every coupling.

    Args:
        problem: the checked problem, of the linear activation.

    Returns:
        One point a coupling.
    """
    task, designs = problem.task, Designs.of(problem.task, whole=problem.source_weights is not None)
    root = np.sqrt(task.dimension)
    design = Design.of(designs.target, task.x_target, root)

    @functools.cache
    def source() -> LinearPosterior:
        return solve_posterior(
            Design.of(designs.source, task.x_source, root),
            task.y_source,
            strength=problem.strengths[0],
            inverse_temperature=problem.inverse_temperatures[0],
            **problem.shared,
        )

    def target(coupling: float) -> list[BayesSolution]:
        # At δ = 0 the source does not enter, and what became of it does not matter.
        tied = source() if coupling and problem.source_weights is None else None
        anchor = tied and tied.hidden
        if coupling and problem.source_weights is not None:
            anchor = problem.source_weights.T @ problem.source_weights / len(problem.source_weights)
        for accurate in (False, True):
            found = solve_posterior(
                design,
                task.y_target,
                strength=problem.strengths[1],
                inverse_temperature=problem.inverse_temperatures[1],
                elastic_coupling=coupling,
                anchor=anchor,
                accurate=accurate,
                **problem.shared,
            )
            point = _observe(problem, designs, design, tied, found)
            if point.status is Status.CONVERGED:
                break
        if problem.folds is not None:
            left_out = _leave_folds_out(problem, designs, anchor, found, coupling, *problem.folds)
            point = dataclasses.replace(point, folds=left_out)
        given = anchor is not None and tied is None  # whose own fluctuations are not known
        expand = None if given else functools.partial(expand_posteriors, problem, designs, tied, found, coupling)
        return [dataclasses.replace(point, expand=expand)]

    def missing(status: Status) -> BayesSolution:
        nothing = np.full((designs.target.shape[1],) * 2, np.nan)
        fields = {"kernel_form": FactoredKernel(designs.target, nothing), "stderr": BayesSolution.exact()}
        return BayesSolution.missing(task, status, weights=np.full(task.dimension, np.nan), **fields)

    return [attempt(functools.partial(target, coupling), missing)[0] for coupling in problem.couplings]


def _observe(
    problem: BayesProblem, designs: Designs, design: Design, source: LinearPosterior | None, target: LinearPosterior
) -> BayesSolution:
    """What one coupling's saddle point implies."""
    task, saddle, ridge = problem.task, target.saddle, 1 / problem.inverse_temperatures[1]
    prediction = designs.test @ saddle.weights
    noisy = target.scaled_kernel + ridge * np.eye(len(target.scaled_kernel))
    other = (
        np.linalg.solve(noisy, design.left.T @ task.y_target)
        @ (design.right * design.singular).T
        / problem.prior_precision
    )
    other = designs.test @ (target.hidden @ other)
    errors = [float(np.linalg.norm(other - prediction) / (np.linalg.norm(prediction) or 1.0))]
    left_out = np.full(len(task.y_target), np.nan)
    if saddle.factor is not None:
        diagonal, diagonal_error = design.inverse_diagonal(saddle.factor, ridge)
        left_out = saddle.dual / diagonal
        errors.append(saddle.dual_error / (float(np.linalg.norm(saddle.dual)) or 1.0))
        errors.append(saddle.dual_error / float(np.min(diagonal)) / (float(np.linalg.norm(left_out)) or 1.0))
        errors.append(diagonal_error / float(np.min(diagonal)))
    saddles = [saddle] if source is None else [source.saddle, saddle]
    residual = max(target.residual, *errors, *(each.residual for each in saddles))
    return BayesSolution(
        prediction=prediction,
        train_loss=float(mean_squared_error(designs.target @ saddle.weights, task.y_target)),
        test_loss=float(mean_squared_error(prediction, task.y_test)),
        kernel_form=FactoredKernel(designs.target, target.hidden),
        dual=saddle.dual,
        weights=designs.expand(saddle.weights),
        log_evidence_density=-saddle.objective,
        domain_margin=min(each.margin for each in saddles),
        leave_one_out=float(np.mean(left_out**2)),
        left_out_residual=left_out,
        status=Status.CONVERGED if residual <= ACCURACY else Status.STALLED,
        residual=residual,
        iterations=saddle.iterations,
        stderr=BayesSolution.exact(),
    )


def _leave_folds_out(
    problem: BayesProblem,
    designs: Designs,
    anchor: np.ndarray | None,
    target: LinearPosterior,
    coupling: float,
    folds: np.ndarray,
    solved: int,
) -> FoldsLeftOut:
    """Residuals of the target's folds."""
    design, labels, beta = designs.target, problem.task.y_target, problem.inverse_temperatures[1]
    anchor = np.zeros((design.shape[1],) * 2) if anchor is None else anchor
    residual, fixed = np.full(len(labels), np.nan), np.full((2, len(labels)), np.nan)
    for fold in range(solved):
        out, kept = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        found = solve_posterior(
            design[kept],
            labels[kept],
            strength=problem.strengths[1],
            inverse_temperature=beta,
            elastic_coupling=coupling,
            anchor=anchor,
            **problem.shared,
        )
        residual[out] = labels[out] - design[out] @ found.saddle.weights
        kernel = design @ found.hidden @ design.T / problem.prior_precision
        fixed[:, out] = ridge_residuals(kernel, labels, beta, out)
    potential = Potential.elastic(anchor, coupling, problem.prior_precision, problem.prior_precision, spread=True)
    hessian = design @ potential.hessian(target.saddle.drive) @ design.T
    error = np.where(np.isfinite(residual), 0.0, np.nan)
    return FoldsLeftOut(residual, error, first_order(target.saddle.dual, hessian, beta, folds), *fixed)
