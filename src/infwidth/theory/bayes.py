"""Bayesian networks at infinite width: the target posterior given an elastically tied source posterior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.checks import check_count, check_number
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.arguments import Designs, check_activation, check_couplings, mean_squared_error
from infwidth.theory.concave_dual import Design
from infwidth.theory.linear_bayes import LinearPosterior, ridge_prediction, solve_posterior

ACTIVATIONS = ("linear",)

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
        weights: v with f(x) = x·v/√D, (D,).
        log_evidence_density: −S(g), log evidence per neuron to leading order in 1/N.
        domain_margin: q, the smaller of source and target: 1 for a lazy network, 0 at the border of the domain.
        status: how the solver ended; a tuple for a sequence of couplings.
        residual: the largest of |y − g/β − f̂|/|y| for source and target, and the relative distance on the
            test points of the predictors Φ(x,X)g/λ_w and Φ(x,X)(Φ/λ_w + I/β)⁻¹y/λ_w.
        iterations: Newton steps of the target (the source is solved once).
        stderr: observable → standard error; 0, as nothing is sampled.
    """

    prediction: np.ndarray
    train_loss: float | np.ndarray
    test_loss: float | np.ndarray
    kernel: np.ndarray
    dual: np.ndarray
    weights: np.ndarray
    log_evidence_density: float | np.ndarray
    domain_margin: float | np.ndarray
    status: Status | tuple[Status, ...]
    residual: float | np.ndarray
    iterations: int | np.ndarray
    stderr: Mapping[str, float]


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
    max_iterations: int = 100,
    strict: bool = True,
) -> BayesSolution:
    """Solve the saddle point of elastic transfer between two posteriors (docs/theory.md §1, eqs. (1) to (6)).

    The theory is that of arXiv 2507.04448, averaged over the source posterior (Franz–Parisi construction).

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
        max_iterations: Newton steps allowed a saddle point.
        strict: whether an unconverged point raises; if not it is returned with its status.

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
    shared = {
        "readout_precision": precision,
        "hidden_precision": precision,
        "max_iterations": check_count("max_iterations", max_iterations),
    }
    designs = Designs.of(task)
    source = solve_posterior(
        designs.source,
        task.y_source,
        strength=check_number("source_strength", source_strength, **positive),
        inverse_temperature=check_number("source_inverse_temperature", source_inverse_temperature, **positive),
        **shared,
    )
    strength = check_number("target_strength", target_strength, **positive)
    target_design = Design.of(designs.target)
    points = []
    for coupling in couplings:
        target = solve_posterior(
            target_design,
            task.y_target,
            strength=strength,
            inverse_temperature=beta,
            elastic_coupling=coupling,
            anchor=source.hidden,
            **shared,
        )
        point = _observe(task, designs, source, target, precision, beta)
        if strict and point["status"] is not Status.CONVERGED:
            what = f"residual {point['residual']:.1e} after {target.saddle.iterations} Newton steps"
            raise UnconvergedError(f"Bayesian theory at elastic_coupling = {coupling:g}: {what}", point["status"])
        points.append(point)
    stderr = dict.fromkeys(("prediction", "train_loss", "test_loss", "kernel"), 0.0)
    if single:
        return BayesSolution(**points[0], stderr=stderr)
    columns = {name: np.array([point[name] for point in points]) for name in points[0] if name != "status"}
    return BayesSolution(**columns, status=tuple(point["status"] for point in points), stderr=stderr)


def _observe(
    task: TransferTask,
    designs: Designs,
    source: LinearPosterior,
    target: LinearPosterior,
    precision: float,
    beta: float,
) -> dict:
    """One coupling's fields of BayesSolution."""
    saddle = target.saddle
    features = designs.target @ target.hidden
    kernel = features @ designs.target.T
    prediction = designs.test @ saddle.weights
    ridge = ridge_prediction(kernel, designs.test @ features.T, task.y_target, precision, beta)
    disagreement = np.linalg.norm(ridge - prediction) / (np.linalg.norm(prediction) or 1.0)
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
        "status": Status.CONVERGED if residual <= ACCURACY else Status.STALLED,
        "residual": residual,
        "iterations": saddle.iterations,
    }
