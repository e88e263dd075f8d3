"""Bayesian networks at infinite width: the target posterior given an elastically tied source posterior."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from infwidth.numerics.activations import ACTIVATIONS as REGISTERED
from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.folds import FoldsLeftOut, check_folds, first_order, ridge_residuals
from infwidth.theory.linear.concave_dual import Design, Potential
from infwidth.theory.linear.posterior import LinearPosterior, ridge_prediction, solve_posterior
from infwidth.theory.problem import Designs, check_activation, check_couplings, mean_squared_error

if TYPE_CHECKING:
    from torch import Tensor

ACTIVATIONS = tuple(name for name, activation in REGISTERED.items() if activation.growth <= 1)

OBSERVABLES = ("prediction", "train_loss", "test_loss", "kernel", "leave_one_out", "log_evidence_density")

# Largest certificate of a point that counts as converged.
ACCURACY = 1e-8


@dataclass(frozen=True)
class BayesSolution:
    """The target posterior's mean predictor at infinite width. A sequence of n couplings δ puts a leading axis n
    before every shape below; a number adds none.

    Attributes:
        prediction: f on the test points, (Pt,).
        train_loss: mean of (f − y)² over the target training points.
        test_loss: mean of (f − y)² over the test points.
        kernel: Φ = E φφᵀ on the target training points, (P2, P2).
        dual: g = β(y − f) on the target training points, (P2,).
        weights: v with f(x) = x·v/√D, (D,), of a linear network; else None.
        log_evidence_density: −S(g), log evidence per neuron to leading order in 1/N.
        domain_margin: q, the smaller of source and target: 1 for a lazy network, 0 at the border of the domain.
        leave_one_out: mean over target training points of (f_{−μ}(x_μ) − y_μ)², f_{−μ} trained without the point,
            to first order in its removal: g_μ/[(H + I/β)⁻¹]_μμ with H of eq. (5a).
        left_out_residual: y_μ − f_{−μ}(x_μ), whose mean square that is, (P2,).
        folds: residuals y − f of each target sample, f without its fold (P2,), if folds were given, else None; a tuple
            for a sequence of couplings, None for a point that was not reached.
        status: how the solver ended; a tuple for a sequence of couplings. NaN where the neurons condense.
        residual: linear: the largest of |y − g/β − f̂|/|y| for source and target, and the relative distance on the
            test points of the predictors Φ(x,X)g/λ_w and Φ(x,X)(Φ/λ_w + I/β)⁻¹y/λ_w. Particles: |y − g/β − f̂|/|y|
            of the target at the g of the last averages, before the answer is corrected for it; its Monte-Carlo
            error is in ``stderr`` and as a free energy, with its noise floor, it decides the status.
        iterations: Newton steps of the target (the source is solved once).
        stderr: observable → standard error, of the observable's shape, from independent blocks of source and target
            particles, which share the source's dual vector; 0 for the linear network, where nothing is sampled.
    """

    prediction: np.ndarray
    train_loss: float | np.ndarray
    test_loss: float | np.ndarray
    kernel: np.ndarray
    dual: np.ndarray
    weights: np.ndarray | None
    log_evidence_density: float | np.ndarray
    domain_margin: float | np.ndarray
    leave_one_out: float | np.ndarray
    left_out_residual: np.ndarray
    folds: FoldsLeftOut | tuple[FoldsLeftOut | None, ...] | None
    status: Status | tuple[Status, ...]
    residual: float | np.ndarray
    iterations: int | np.ndarray
    stderr: Mapping[str, float | np.ndarray]


def solve(
    task: TransferTask,
    *,
    activation: str,
    source_strength: float,
    target_strength: float,
    elastic_coupling: float | Sequence[float],
    inverse_temperature: float,
    source_inverse_temperature: float | None = None,
    prior_precision: float = 1.0,
    max_iterations: int | None = None,
    particles: int | None = None,
    seed: int = 0,
    evidence: bool = True,
    folds: Sequence[int] | None = None,
    folds_solved: int | None = None,
    strict: bool = True,
    device: str = "cpu",
    observe: Callable[[int, int | None, int | None, Tensor], None] | None = None,
    progress: Callable[[float], None] | None = None,
) -> BayesSolution:
    """Solve the saddle point of elastic transfer between two posteriors (docs/theory.md §1, eqs. (1) to (6)).

    The theory is that of arXiv 2507.04448, averaged over the source posterior (Franz–Parisi construction). A linear
    network has a closed form; for other activations neurons are sampled from the law of one neuron at infinite width
    (2), which is solved together with the dual vector (1); no network is involved.

    Args:
        task: the data.
        activation: one of ``ACTIVATIONS``.
        source_strength: γ̄ > 0, feature-learning strength of the source; γ → 0 is the lazy limit.
        target_strength: γ > 0, that of the target.
        elastic_coupling: δ ≥ 0 of the target's hidden weights to the source's, a number or a sequence; inf is
            the readout trained on frozen source features.
        inverse_temperature: β > 0, of ½γ²N Σ(f − y)².
        source_inverse_temperature: β of the source; the target's if None.
        prior_precision: λ > 0 of readout and hidden weights, source and target.
        max_iterations: Newton steps allowed a saddle point; None takes 100 (linear) or 300 (particles: up to the full
            labels).
        particles: S ≥ 128, of the source and of a target; a target with finite δ > 0 has 2S. None takes 8,000. The
            linear activation has no use for this, the next two arguments and ``device``.
        seed: of the particles.
        evidence: whether to measure the log-evidence, a quarter of the work; NaN without.
        folds: the fold 0, 1, … of each target sample, (P2,), for cross-validation; a fifth of a solution's work a fold.
        folds_solved: how many folds to solve again; None takes all. The others are known to first order.
        strict: whether an unconverged point raises; if not it is returned with its status.
        device: where particles live, "cpu" or "cuda".
        observe: called as observe(block, coupling index, 0, preactivations) with neurons of the target posterior, their
            preactivations on the target training points (n, P2), for each independent block of particles; and as
            observe(block, None, None, preactivations) with the source's on its own, (n, P1). Neurons weigh the same.
            Not for the linear activation.
        progress: called with the fraction of particles' work done, 0 … 1.

    Returns:
        The solution.

    Raises:
        InputError: an argument out of range, or an activation the theory does not cover.
        UnconvergedError: an unconverged point, if ``strict``.
    """
    check_activation(activation, ACTIVATIONS)
    couplings, single = check_couplings(elastic_coupling)
    positive = {"minimum": 0.0, "open_minimum": True}
    beta = check_number("inverse_temperature", inverse_temperature, **positive)
    if source_inverse_temperature is None:
        source_inverse_temperature = beta
    precision = check_number("prior_precision", prior_precision, **positive)
    source_beta = check_number("source_inverse_temperature", source_inverse_temperature, **positive)
    strengths = (
        check_number("source_strength", source_strength, **positive),
        check_number("target_strength", target_strength, **positive),
    )
    left_out = None if folds is None else check_folds(folds, folds_solved, len(task.y_target))
    default = 100 if activation == "linear" else 300
    max_iterations = check_count("max_iterations", default if max_iterations is None else max_iterations)
    if activation != "linear":
        from infwidth.theory.posterior.solve import solve_population  # torch takes a second to import

        points = solve_population(
            task,
            activation=activation,
            strengths=strengths,
            couplings=couplings,
            inverse_temperatures=(source_beta, beta),
            precision=precision,
            particles=particles,
            seed=seed,
            device=device,
            max_iterations=max_iterations,
            evidence=evidence,
            folds=left_out,
            observe=observe,
            progress=progress,
        )
        return _assemble(points, couplings, strict=strict, single=single)
    if observe is not None:
        raise InputError("observe: expected None for the linear activation, which is solved without particles; drop it")
    shared = {"readout_precision": precision, "hidden_precision": precision, "max_iterations": max_iterations}
    designs = Designs.of(task)
    source = solve_posterior(
        designs.source,
        task.y_source,
        strength=strengths[0],
        inverse_temperature=source_beta,
        **shared,
    )
    target_design = Design.of(designs.target)
    points = []
    for coupling in couplings:
        again = partial(
            solve_posterior,
            strength=strengths[1],
            inverse_temperature=beta,
            elastic_coupling=coupling,
            anchor=source.hidden,
            **shared,
        )
        target = again(target_design, task.y_target)
        point = _observe(task, designs, source, target, precision, beta, coupling)
        if left_out is not None:
            hessian = _hessian(designs, source, target, precision, coupling)
            point["folds"] = _leave_folds_out(
                designs.target, task.y_target, again, point["dual"], hessian, precision, beta, *left_out
            )
        points.append(point)
    if progress is not None:
        progress(1.0)
    return _assemble(points, couplings, strict=strict, single=single)


def _assemble(points: list[dict], couplings: list[float], *, strict: bool, single: bool) -> BayesSolution:
    """Check the couplings' fields of BayesSolution and put them together."""
    for coupling, point in zip(couplings, points, strict=True):
        if strict and point["status"] is not Status.CONVERGED:
            what = f"residual {point['residual']:.1e} after {point['iterations']} Newton steps"
            if point["domain_margin"] < 1:
                what += f", domain margin {point['domain_margin']:.2g}"
            raise UnconvergedError(f"Bayesian theory at elastic_coupling = {coupling:g}: {what}", point["status"])
    if single:
        return BayesSolution(**points[0])
    columns = {}
    for name, first in points[0].items():
        values = [point[name] for point in points]
        if name in ("status", "folds"):
            columns[name] = tuple(values) if any(values) else None
        elif name == "stderr":
            sampled = any(np.ndim(error) for error in first.values())
            columns[name] = {key: np.array([v[key] for v in values]) if sampled else first[key] for key in first}
        else:
            columns[name] = None if first is None else np.array(values)
    return BayesSolution(**columns)


def _observe(
    task: TransferTask,
    designs: Designs,
    source: LinearPosterior,
    target: LinearPosterior,
    precision: float,
    beta: float,
    coupling: float,
) -> dict:
    """One coupling's fields of BayesSolution."""
    saddle = target.saddle
    features = designs.target @ target.hidden
    kernel = features @ designs.target.T
    prediction = designs.test @ saddle.weights
    ridge = ridge_prediction(kernel, designs.test @ features.T, task.y_target, precision, beta)
    disagreement = np.linalg.norm(ridge - prediction) / (np.linalg.norm(prediction) or 1.0)
    hessian = _hessian(designs, source, target, precision, coupling)
    left_out = saddle.dual / np.diagonal(np.linalg.inv(hessian + np.eye(len(hessian)) / beta))
    residual = max(source.saddle.residual, saddle.residual, float(disagreement))
    return {
        "prediction": prediction,
        "train_loss": float(mean_squared_error(designs.target @ saddle.weights, task.y_target)),
        "test_loss": float(mean_squared_error(prediction, task.y_test)),
        "kernel": kernel,
        "dual": saddle.dual,
        "weights": designs.expand(saddle.weights),
        "log_evidence_density": -saddle.objective,
        "domain_margin": min(source.saddle.margin, saddle.margin),
        "leave_one_out": float(np.mean(left_out**2)),
        "left_out_residual": left_out,
        "folds": None,
        "status": Status.CONVERGED if residual <= ACCURACY else Status.STALLED,
        "residual": residual,
        "iterations": saddle.iterations,
        "stderr": dict.fromkeys(OBSERVABLES, 0.0),
    }


def _hessian(
    designs: Designs, source: LinearPosterior, target: LinearPosterior, precision: float, coupling: float
) -> np.ndarray:
    """H of eq. (5a) on the target training points, (P2, P2)."""
    potential = Potential.elastic(source.hidden, coupling, precision, precision, spread=True)
    return designs.target @ potential.hessian(target.saddle.drive) @ designs.target.T


def _leave_folds_out(
    design: np.ndarray,
    labels: np.ndarray,
    again: Callable[..., LinearPosterior],
    dual: np.ndarray,
    hessian: np.ndarray,
    precision: float,
    beta: float,
    folds: np.ndarray,
    solved: int,
) -> FoldsLeftOut:
    """Residuals of the folds, ``again(design, labels)`` being the posterior of some of the samples."""
    residual, fixed = np.full(len(labels), np.nan), np.full((2, len(labels)), np.nan)
    for fold in range(solved):
        out = np.flatnonzero(folds == fold)
        kept = np.flatnonzero(folds != fold)
        found = again(design[kept], labels[kept])
        residual[out] = labels[out] - design[out] @ found.saddle.weights
        fixed[:, out] = ridge_residuals(design @ found.hidden @ design.T / precision, labels, beta, out)
    error = np.where(np.isfinite(residual), 0.0, np.nan)
    return FoldsLeftOut(residual, error, first_order(dual, hessian, beta, folds), *fixed)
