"""What a linear posterior's loss gains at finite width, to order 1/N (docs/finite_width.md, eqs. (F1) to (F5))."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.theory.linear.concave_dual import Potential
from infwidth.theory.linear.posterior import LinearPosterior
from infwidth.theory.posterior.solution import FiniteWidth
from infwidth.theory.problem import BayesProblem, Designs


@dataclass(frozen=True)
class Trial:
    """The points on which a loss is the mean of (x·v/√D − y)², in a basis of r directions with all training inputs.

    Attributes:
        metric: mean of xxᵀ/D in the basis, (r, r).
        slope: mean of (f − y) x/√D in the basis at N = ∞, (r,).
        outside: mean of |x|²/D off the basis.
        loss: E_∞.
    """

    metric: np.ndarray
    slope: np.ndarray
    outside: float
    loss: float

    @classmethod
    def of(cls, inputs: np.ndarray, square_norms: np.ndarray, residuals: np.ndarray) -> Trial:
        """From test inputs over √D in the basis (Pt, r), their full |x|²/D (Pt,), and f − y (Pt,)."""
        metric = inputs.T @ inputs / len(inputs)
        outside = max(float(np.mean(square_norms)) - float(np.trace(metric)), 0.0)
        return cls(metric, inputs.T @ residuals / len(inputs), outside, float(np.mean(residuals**2)))


@dataclass(frozen=True)
class Layer:
    """One network's saddle point, as the expansion around it needs it.

    Attributes:
        potential: Λ.
        drive: k, (r,).
        response: R = βĈ(I + βBĈ)⁻¹, (r, r), symmetric, with B = ∇²Λ and Ĉ = XᵀX/D.
        hessian: B, (r, r).
        strength: γ.
    """

    potential: Potential
    drive: np.ndarray
    response: np.ndarray
    hessian: np.ndarray
    strength: float

    @classmethod
    def of(
        cls, potential: Potential, drive: np.ndarray, inputs: np.ndarray, inverse_temperature: float, strength: float
    ) -> Layer:
        """The layer of a saddle point at drive k on training inputs over √D, (P, r)."""
        hessian = potential.hessian(drive)
        _, singular, right = np.linalg.svd(inputs, full_matrices=False)
        seen = singular[:, None] * right
        noisy = seen @ hessian @ seen.T + np.eye(len(seen)) / inverse_temperature
        return cls(potential, drive, seen.T @ np.linalg.solve(noisy, seen), hessian, strength)


@dataclass(frozen=True)
class SourceScatter:
    """The scatter of S̄ = W̄ᵀW̄/N around A1 = E W̄W̄ᵀ over finite source networks.

    Attributes:
        anchor: A1, (r, r).
        shift: a1 = N(E S̄ − A1), (r, r).
        response: R̄, (r, r).
        weights: c̄ = γ̄v̄, (r,).
        free: 1/λ_W, variance off the basis.
    """

    anchor: np.ndarray
    shift: np.ndarray
    response: np.ndarray
    weights: np.ndarray
    free: float

    @classmethod
    def of(cls, source: Layer) -> SourceScatter:
        """Eq. (F4) with the source's Λ̄(k, J) = −½ log det(λ_W − J) − ½ log(1 − kᵀ(λ_W − J)⁻¹k/λ_w) at J = 0."""
        k, response, potential = source.drive, source.response, source.potential
        tilt = _rate(potential) / potential.margin(k)
        pulled, pull = response @ k, response @ bend(potential, k, -0.5 * response)
        mixed = np.outer(k, 2 * tilt * pulled + pull)
        shift = response + mixed + mixed.T
        shift += tilt * (np.trace(response) + 4 * tilt * (k @ pulled) + 2 * (k @ pull)) * np.outer(k, k)
        return cls(
            anchor=potential.second_moment(k),
            shift=-tilt * potential.compliance * shift,
            response=response,
            weights=potential.gradient(k),
            free=potential.compliance,
        )

    def covariance(self, k: np.ndarray) -> np.ndarray:
        """K1 = N Cov(S̄k), (r, r)."""
        image, weight = self.anchor @ k, k @ self.weights
        tilt = np.outer(self.weights, image) + weight * self.anchor
        return self.anchor * (k @ image) + np.outer(image, image) - tilt @ self.response @ tilt.T

    def trace_gradient(self, k: np.ndarray, factor: float, rate: float, weights: np.ndarray) -> np.ndarray:
        """∇_k of tr(SQ), Q = (f²/q²) G K1 Gᵀ with G = I + z kkᵀ/q, q = 1 − z|k|², at a fixed symmetric S (r, r).

        In scalars, tr(SQ) = (f²/q²)(T0 + 2(z/q)T1 + (z/q)²T2).
        """
        a1, response, c, s = self.anchor, self.response, self.weights, weights
        image, carried, sk, sc = a1 @ k, a1 @ response @ a1, s @ k, s @ c
        e, kc, q = k @ image, k @ c, 1 - rate * (k @ k)
        hk, kck = carried @ k, k @ carried @ k
        ksk, ckc = k @ sk, c @ sk
        trace_a, trace_h = np.sum(s * a1), np.sum(s * carried)
        t0 = e * trace_a + image @ s @ image - kck * (c @ sc) - 2 * kc * (sc @ hk) - kc**2 * trace_h
        d0 = 2 * image * trace_a + 2 * a1 @ (s @ image) - 2 * hk * (c @ sc)
        d0 -= 2 * c * (sc @ hk) + 2 * kc * (carried @ sc) + 2 * kc * trace_h * c
        t1 = 2 * e * (sk @ image) - 2 * kc * kck * ckc - 2 * kc**2 * (sk @ hk)
        d1 = 4 * image * (sk @ image) + 2 * e * (s @ image + a1 @ sk)
        d1 -= 2 * (c * kck * ckc + 2 * kc * hk * ckc + kc * kck * sc)
        d1 -= 4 * kc * c * (sk @ hk) + 2 * kc**2 * (s @ hk + carried @ sk)
        inner = 2 * e**2 - 4 * kc**2 * kck
        t2, d2 = ksk * inner, 2 * sk * inner + ksk * (8 * e * image - 8 * kc * kck * c - 8 * kc**2 * hk)
        ratio = rate / q
        slope = 2 * rate * k / q
        value = t0 + 2 * ratio * t1 + ratio**2 * t2
        moved = d0 + 2 * ratio * d1 + ratio**2 * d2 + slope * (2 * ratio * t1 + 2 * ratio**2 * t2)
        return (factor / q) ** 2 * (moved + 2 * slope * value)


def _rate(potential: Potential) -> float:
    """1/(Lλ_w)."""
    return potential.compliance / potential.readout_decay


def _factor(potential: Potential) -> float:
    """(δ/L)²/λ_w."""
    return potential.pull**2 / potential.readout_decay


def bend(potential: Potential, k: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """∇_k tr(SB(k)), (r,): the third derivative of Λ contracted with a fixed symmetric S (r, r)."""
    q, rate, factor = potential.margin(k), _rate(potential), _factor(potential)
    image, sk = potential.anchor @ k, weights @ k
    e, ksk, trace = k @ image, k @ sk, np.trace(weights)
    trace_a, ska = np.sum(weights * potential.anchor), sk @ image
    grown = 2 * rate * k / q  # ∇ log(1/q)
    out = factor * (grown * trace_a / q + 8 * rate * grown * ska / q**2)
    out += 4 * factor * rate * (weights @ image + potential.anchor @ sk) / q**2
    out += (4 * rate**2 / q**2 + 12 * factor * rate**2 * e / q**3) * grown * ksk
    out += 8 * factor * rate**2 * ksk / q**3 * image
    out += (4 * rate**2 / q**2 + 8 * factor * rate**2 * e / q**3) * sk
    out += trace * ((rate / q + 2 * factor * rate * e / q**2) * grown)
    return out + trace * 2 * factor * rate / q**2 * image


def expand(target: Layer, scatter: SourceScatter | None, trial: Trial) -> FiniteWidth:
    """The coefficient c of one coupling, eq. (F5).

    Args:
        target: the target's saddle point.
        scatter: what finite source networks do to its anchor; None without a tie (δ = 0).
        trial: the points on which the loss is taken.

    Returns:
        The coefficient and its parts.
    """
    k, potential, response = target.drive, target.potential, target.response
    q, rate, factor = potential.margin(k), _rate(potential), _factor(potential)
    damp = np.eye(len(k)) - target.hessian @ response  # Π
    image = k @ potential.anchor @ k
    free, free_source = rate / q + factor * rate * image / q**2, 0.0
    slope, spread = bend(potential, k, -0.5 * response), np.zeros_like(response)
    if scatter is not None:
        tilt = (factor / q) * (np.eye(len(k)) + (rate / q) * np.outer(k, k))
        spread = tilt @ scatter.covariance(k) @ tilt.T  # Q
        shifted = scatter.shift @ k
        slope += factor * (shifted / q + rate * (k @ shifted) * k / q**2)
        slope += bend(potential, k, response @ spread @ response / 2)
        slope -= scatter.trace_gradient(k, factor, rate, response) / 2
        free += factor * scatter.free / q
        free_source = (factor / q) ** 2 * image * scatter.free
    mean = 2 * trial.slope @ damp @ slope / target.strength
    thermal = np.sum(trial.metric * (damp @ target.hessian)) + trial.outside * free
    source = np.sum(trial.metric * (damp @ spread @ damp.T)) + trial.outside * free_source
    parts = [float(mean), float(thermal) / target.strength**2, float(source) / target.strength**2]
    return FiniteWidth(*parts, total=sum(parts), one_percent=100 * abs(sum(parts)) / trial.loss)


def expand_posteriors(
    problem: BayesProblem,
    designs: Designs,
    source: LinearPosterior | None,
    target: LinearPosterior,
    elastic_coupling: float,
) -> FiniteWidth:
    """The coefficient c of a target's loss on the task's test points.

    Args:
        problem: the data, strengths, inverse temperatures and prior precision.
        designs: the data's inputs.
        source: the source's saddle point; None without a tie.
        target: the target's.
        elastic_coupling: δ.
    """
    task, precision = problem.task, problem.prior_precision
    (source_beta, beta), (source_strength, strength) = problem.inverse_temperatures, problem.strengths
    nothing = np.zeros_like(target.hidden)
    scatter = None
    if source is not None and elastic_coupling > 0:
        fresh = Potential.elastic(nothing, 0.0, precision, precision, spread=True)
        layer = Layer.of(fresh, source.saddle.drive, designs.source, source_beta, source_strength)
        scatter = SourceScatter.of(layer)
    anchor = nothing if scatter is None else source.hidden
    tied = Potential.elastic(anchor, elastic_coupling, precision, precision, spread=True)
    layer = Layer.of(tied, target.saddle.drive, designs.target, beta, strength)
    residuals = designs.test @ target.saddle.weights - task.y_test
    return expand(layer, scatter, Trial.of(designs.test, np.mean(np.square(task.x_test), -1), residuals))
