"""Where gradient flow of a linear network with weight decay ends (docs/theory.md §2)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from infwidth.numerics.status import Status
from infwidth.theory import elastic
from infwidth.theory.linear.concave_dual import TOLERANCE, Potential, maximise
from infwidth.theory.linear.design import Design

# Eigenvalues of A1 below this fraction of the largest count as directions the source does not have.
RANK_TOLERANCE = 1e-14
# Logarithm of what counts as zero for q and κ.
LOWEST = -80.0


@dataclass(frozen=True)
class FixedPoint:
    """The end of gradient flow with weight decay.

    Attributes:
        weights: v, (D,); the predictor is f(x) = x·v/√D, v = E wW/γ.
        readout_moment: E w².
        hidden_moment: E WWᵀ, (D, D).
        residual: relative violation of the stationarity condition.
        iterations: Newton or root-finding steps.
        status: CONVERGED or STALLED.
    """

    weights: np.ndarray
    readout_moment: float
    hidden_moment: np.ndarray
    residual: float
    iterations: int
    status: Status


def collapses(
    inputs: np.ndarray, labels: np.ndarray, *, strength: float, readout_decay: float, stiffness: float
) -> bool:
    """Whether decay wins and an unanchored network ends at f = 0: √(λ_wL) ≥ γ|Xᵀy|/√D."""
    return math.sqrt(readout_decay * stiffness) >= strength * np.linalg.norm(inputs.T @ labels)


def free_fixed_point(
    design: Design, labels: np.ndarray, *, strength: float, readout_decay: float, stiffness: float
) -> FixedPoint:
    """The end of a network without an anchor (source, scratch, target at δ = 0: L = λ_W), or with one at the origin.

    v minimises ½|y − Xv/√D|² + (√(λ_wL)/γ)|v|. Every neuron ends with W = w s/L and |s|² = λ_wL, so
    E w² = γ|v|√(L/λ_w) and E WWᵀ = γ|v|√(λ_w/L) ŝŝᵀ.

    Args:
        design: the training inputs.
        labels: y, (P,).
        strength: γ.
        readout_decay: λ_w > 0.
        stiffness: L = λ_W + δ > 0.

    Returns:
        The fixed point; all zero where the network collapses.
    """
    d = design.matrix.shape[1]
    decays = {"readout_decay": readout_decay, "stiffness": stiffness}
    if collapses(design.matrix, labels, strength=strength, **decays):
        return FixedPoint(np.zeros(d), 0.0, np.zeros((d, d)), 0.0, 0, Status.CONVERGED)
    penalty = math.sqrt(readout_decay * stiffness) / strength
    sigma = design.singular
    pulls = sigma * (design.left.T @ labels)

    def excess(norm):  # |v|²/norm² − 1 for the ridge solution of ridge penalty/norm; falls with norm
        return float(np.sum((pulls / (sigma**2 * norm + penalty)) ** 2)) - 1

    # The objective at v = 0 bounds the penalty term, hence |v|.
    bound = float(labels @ labels) / (2 * penalty)
    norm, iterations = _root(excess, 0.0, bound, xtol=1e-300, rtol=1e-15, maxiter=500)
    weights = design.right @ (pulls * norm / (sigma**2 * norm + penalty))
    direction = weights / norm
    slope = design.matrix.T @ (labels - design.matrix @ weights) - penalty * direction
    residual = float(np.linalg.norm(slope) / np.linalg.norm(pulls))
    balance = math.sqrt(readout_decay / stiffness)
    return FixedPoint(
        weights=weights,
        readout_moment=strength * norm / balance,
        hidden_moment=strength * norm * balance * np.outer(direction, direction),
        residual=residual,
        iterations=iterations,
        status=Status.CONVERGED if residual <= TOLERANCE else Status.STALLED,
    )


def anchored_fixed_point(
    design: Design,
    labels: np.ndarray,
    anchor_moment: np.ndarray,
    *,
    strength: float,
    elastic_coupling: float,
    readout_decay: float,
    hidden_decay: float,
    max_iterations: int = 60,
) -> FixedPoint:
    """The end of a target network tied to an anchor: the concave dual with ridge 1 and no spread.

    Every neuron ends with L W = δW̄ + w s and (λ_w − |s|²/L) w = (δ/L) s·W̄. An anchor without full rank (a source
    that trained for ever) also admits |s|² = Lλ_w with s·W̄ = 0, where w grows by itself along a direction that the
    source does not have: the border q = 0 of the dual. On it and close to it Newton's method fails, and nested
    root finding takes over.

    Args:
        design: the training inputs.
        labels: y, (P,).
        anchor_moment: A1 = E W̄W̄ᵀ, (D, D).
        strength: γ.
        elastic_coupling: δ ≥ 0; inf is the ridge regression on frozen features.
        readout_decay: λ_w > 0.
        hidden_decay: λ_W > 0.
        max_iterations: Newton steps allowed.

    Returns:
        The fixed point.
    """
    stiffness = elastic.stiffness(hidden_decay, elastic_coupling)
    if elastic_coupling == 0 or (not anchor_moment.any() and math.isfinite(stiffness)):
        # No anchor, or one at the origin, which only adds decay.
        return free_fixed_point(design, labels, strength=strength, readout_decay=readout_decay, stiffness=stiffness)
    potential = Potential.elastic(anchor_moment, elastic_coupling, hidden_decay, readout_decay, scatters=False)
    saddle = maximise(design, labels, potential, strength=strength, ridge=1.0, max_iterations=max_iterations)
    weights, residual, iterations, status = saddle.weights, saddle.residual, saddle.iterations, saddle.status
    if status is not Status.CONVERGED and math.isfinite(stiffness):
        weights, residual, more = _lifted_point(design, labels, potential, strength)
        iterations += more
        status = Status.CONVERGED if residual <= TOLERANCE else Status.STALLED
    # Second moments from u = γv and s alone, through s·u = λ_w E w² and L W = δW̄ + w s.
    push = strength * design.matrix.T @ (labels - design.matrix @ weights)
    readout_moment = strength * float(push @ weights) / readout_decay
    tied = np.outer(push, strength * weights - potential.compliance * readout_moment * push)
    hidden_moment = potential.pull**2 * anchor_moment + potential.compliance * (tied + tied.T)
    hidden_moment += potential.compliance**2 * readout_moment * np.outer(push, push)
    return FixedPoint(weights, readout_moment, hidden_moment, residual, iterations, status)


def _lifted_point(
    design: Design, labels: np.ndarray, potential: Potential, strength: float
) -> tuple[np.ndarray, float, int]:
    """Weights, residual and iterations of the anchored fixed point, with q ≥ 0 an unknown in its own right.

    With H = A1^½ and g = y − Xv/√D the fixed point is v = H h + κ Xᵀg/√D where
        H Xᵀg/√D = λ_w (L/δ)² q h,    q = 1 − γ²|Xᵀg|²/(D L λ_w),    γ²|h|² = κ L (δ/L)²  (≤ where q = 0)
    The third equation fixes q at given κ, and is monotone in it; the second then fixes κ, monotone again.
    """
    sigma, y = design.singular, design.left.T @ labels
    eigenvalues, modes = np.linalg.eigh(potential.anchor_moment)
    half = modes * np.sqrt(np.where(eigenvalues > RANK_TOLERANCE * eigenvalues[-1], eigenvalues, 0.0))
    root = design.right.T @ half
    holding = potential.readout_decay / potential.pull**2
    reach = potential.pull**2 / (strength**2 * potential.compliance)
    rate = potential.compliance / potential.readout_decay

    def at(log_kappa):
        kappa = np.exp(log_kappa)
        shrink = 1 / np.sqrt(1 + kappa * sigma**2)
        left, s, right = np.linalg.svd((shrink * sigma)[:, None] * root, full_matrices=False)
        s = np.where(s > RANK_TOLERANCE * s[0], s, 0.0)
        c = left.T @ (shrink * y)

        def held(log_q):
            return s * c / (s**2 + holding * np.exp(log_q))

        def surplus(log_q):
            return np.log(np.sum(held(log_q) ** 2) / (reach * kappa))

        q, h = 0.0, held(LOWEST)
        if h @ h > reach * kappa:
            highest = np.log(np.linalg.norm(s * c) / (holding * np.sqrt(reach * kappa)))
            log_q, _ = _root(surplus, LOWEST, highest + 1e-6, xtol=1e-14)
            q, h = np.exp(log_q), held(log_q)
        g = shrink * (shrink * y - left @ (s * h))
        excess = 1 - rate * strength**2 * float(np.sum((sigma * g) ** 2)) - q
        return excess, half @ (right.T @ h) + kappa * design.right @ (sigma * g), g

    # The excess rises from below to 1; it is positive throughout only where nothing grows and κ → 0.
    low = high = -2 * np.log(sigma[0])
    while at(low)[0] > 0 and low > LOWEST:
        low -= 4
    while at(high)[0] < 0:
        high += 4
    log_kappa, iterations = low, 0
    if low > LOWEST:
        log_kappa, iterations = _root(lambda x: at(x)[0], low, high, xtol=1e-14)
    excess, weights, g = at(log_kappa)
    mismatch = np.linalg.norm(design.left.T @ (labels - design.matrix @ weights) - g) / np.linalg.norm(y)
    return weights, max(float(mismatch), abs(excess) if low > LOWEST else 0.0), iterations


def _root(function: Callable[[float], float], low: float, high: float, **options: float) -> tuple[float, int]:
    """Brent's root and its iterations; ArithmeticError where numbers out of range leave none."""
    if not function(low) * function(high) <= 0:
        raise ArithmeticError(f"no root between {low} and {high}")
    try:
        root, report = brentq(function, low, high, full_output=True, **options)
    except ValueError as error:  # NaN on the way
        raise ArithmeticError(f"no root between {low} and {high}: {error}") from error
    return root, report.iterations
