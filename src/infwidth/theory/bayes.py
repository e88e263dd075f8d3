"""Bayesian networks at infinite width: the target posterior given an elastically tied source posterior."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from infwidth.numerics.activations import ACTIVATIONS as REGISTERED
from infwidth.numerics.checks import check_count, check_number
from infwidth.numerics.observed import Observer
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.linear.transfer import solve_linear
from infwidth.theory.posterior.folds import check_folds
from infwidth.theory.posterior.solution import BayesSolution
from infwidth.theory.problem import (
    POSITIVE,
    BayesProblem,
    check_activation,
    check_couplings,
    check_device,
    check_no_observer,
    check_strengths,
    check_task,
    check_weights,
)
from infwidth.theory.solution import assemble

ACTIVATIONS = tuple(name for name, activation in REGISTERED.items() if activation.growth <= 1)
LEAST_PARTICLES = 128


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
    source_weights: np.ndarray | None = None,
    max_iterations: int | None = None,
    particles: int | None = None,
    seed: int = 0,
    evidence: bool = True,
    folds: Sequence[int] | None = None,
    folds_solved: int | None = None,
    leave_each: bool = False,
    keep_neurons: bool = False,
    strict: bool = True,
    device: str = "cpu",
    observe: Observer | None = None,
    progress: Callable[[float], None] | None = None,
    sources: dict | None = None,
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
        source_weights: W̄ of a trained source network, (N, D), with h = W̄·x/√D: its neurons take the place of the
            posterior of the source's data, which is then not read, nor is γ̄. The elastic term depends on the scale:
            inputs of |x|² ≈ D are the theory's.
        max_iterations: Newton steps allowed a saddle point; None takes 100 (linear) or 300 (particles: up to the full
            labels).
        particles: S ≥ 128, of the source and of a target; a target with finite δ > 0 has 2S. None takes 8,000. The
            linear activation has no use for this, the next two arguments and ``device``.
        seed: of the particles.
        evidence: whether to measure the log-evidence, a quarter of the work; NaN without.
        folds: the fold 0, 1, … of each target sample, (P2,), for cross-validation; an eighth of a solution's work each.
        folds_solved: how many folds to solve again; None takes all. The others are known to first order.
        leave_each: whether to solve again without each of those folds' samples alone, too, in place of bringing the
            fold's others back to first order.
        keep_neurons: whether to keep neurons of the target, from which f(x) is known everywhere. Not for the linear
            activation, whose ``weights`` say it.
        strict: whether an unconverged point raises; if not it is returned with its status.
        device: where particles live, "cpu" or "cuda".
        observe: called with an ``Observed`` for each independent block of particles, of the source and of the target
            at each coupling. Not for the linear activation.
        progress: called with the fraction of particles' work done, 0 … 1.
        sources: where solved sources are kept: calls that are passed the same dict, initially empty, solve equal
            sources once, whatever the target, γ and δ.

    Returns:
        The solution.

    Raises:
        InputError: an argument out of range, or an activation the theory does not cover.
        UnconvergedError: an unconverged point, if ``strict``.
    """
    couplings, single = check_couplings(elastic_coupling)
    beta = check_number("inverse_temperature", inverse_temperature, **POSITIVE)
    source_beta = beta
    if source_inverse_temperature is not None:
        source_beta = check_number("source_inverse_temperature", source_inverse_temperature, **POSITIVE)
    if max_iterations is None:
        max_iterations = 100 if activation == "linear" else 300
    if folds is not None:
        folds, folds_solved = check_folds(folds, folds_solved, len(check_task(task).y_target))
    problem = BayesProblem(
        task=check_task(task),
        activation=check_activation(activation, ACTIVATIONS),
        strengths=check_strengths(source_strength, target_strength),
        couplings=couplings,
        inverse_temperatures=(source_beta, beta),
        prior_precision=check_number("prior_precision", prior_precision, **POSITIVE),
        max_iterations=check_count("max_iterations", max_iterations),
        source_weights=check_weights(source_weights, check_task(task)),
        folds=folds,
        folds_solved=folds_solved or 0,
        leave_each=leave_each,
    )
    if particles is not None:
        check_count("particles", particles, minimum=LEAST_PARTICLES)
    check_count("seed", seed, minimum=0)
    if activation == "linear":
        check_no_observer(observe)
        points = solve_linear(problem, sources=sources)
        if progress is not None:
            progress(1.0)
    else:
        from infwidth.theory.posterior.solve import solve_population  # torch takes a second to import

        check_device(device)
        points = solve_population(
            problem,
            particles=particles,
            seed=seed,
            device=device,
            evidence=evidence,
            keep_neurons=keep_neurons,
            observe=observe,
            progress=progress,
            sources=sources,
        )
    return assemble(points, couplings, theory="Bayesian theory", strict=strict, single=single)
