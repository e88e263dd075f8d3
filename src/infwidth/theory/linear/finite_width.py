"""What a linear posterior's loss gains at finite width, to order 1/N (docs/finite_width.md, eqs. (F1) to (F5))."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.theory.linear.concave_dual import Potential
from infwidth.theory.linear.posterior import LinearPosterior
from infwidth.theory.problem import BayesProblem, Designs
from infwidth.theory.solution import FiniteWidth


@dataclass(frozen=True)
class Trial:
    """The points on which a loss is the mean of (x·v/√D − y)², in a basis of r directions with all training inputs.

    Attributes:
        metric: mean of xxᵀ/D in the basis, (r, r).
        slope: mean of (f − y) x/√D in the basis at N = ∞, (r,).
        power_outside: mean of |x|²/D off the basis.
        limit_loss: E_∞.
    """

    metric: np.ndarray
    slope: np.ndarray
    power_outside: float
    limit_loss: float

    @classmethod
    def of(cls, inputs: np.ndarray, square_norms: np.ndarray, errors: np.ndarray) -> Trial:
        """From test inputs over √D in the basis (Pt, r), their full |x|²/D (Pt,), and f − y (Pt,)."""
        metric = inputs.T @ inputs / len(inputs)
        power_outside = max(float(np.mean(square_norms)) - float(np.trace(metric)), 0.0)
        return cls(metric, inputs.T @ errors / len(inputs), power_outside, float(np.mean(errors**2)))


@dataclass(frozen=True)
class SaddlePoint:
    """One network's saddle point, as the expansion around it needs it.

    Attributes:
        potential: Λ.
        drive: k, (r,).
        response: R = βĈ(I + βBĈ)⁻¹, (r, r), symmetric, with B = ∇²Λ and Ĉ = XᵀX/D.
        curvature: B, (r, r).
        strength: γ.
    """

    potential: Potential
    drive: np.ndarray
    response: np.ndarray
    curvature: np.ndarray
    strength: float

    @classmethod
    def of(
        cls, potential: Potential, drive: np.ndarray, inputs: np.ndarray, inverse_temperature: float, strength: float
    ) -> SaddlePoint:
        """What is needed of a saddle point at drive k on training inputs over √D, (P, r)."""
        curvature = potential.hessian(drive)
        _, singular, right = np.linalg.svd(inputs, full_matrices=False)
        seen = singular[:, None] * right
        noisy = seen @ curvature @ seen.T + np.eye(len(seen)) / inverse_temperature
        return cls(potential, drive, seen.T @ np.linalg.solve(noisy, seen), curvature, strength)


@dataclass(frozen=True)
class SourceScatter:
    """The scatter of S̄ = W̄ᵀW̄/N around A1 = E W̄W̄ᵀ over finite source networks.

    Attributes:
        anchor_moment: A1, (r, r).
        moment_shift: a1 = N(E S̄ − A1), (r, r).
        response: R̄, (r, r).
        gradient: c̄ = ∇Λ̄ = γ̄v̄, (r,).
        free: 1/λ_W, variance off the basis.
    """

    anchor_moment: np.ndarray
    moment_shift: np.ndarray
    response: np.ndarray
    gradient: np.ndarray
    free: float

    @classmethod
    def of(cls, source: SaddlePoint) -> SourceScatter:
        """Eq. (F4) with the source's Λ̄(k, J) = −½ log det(λ_W − J) − ½ log(1 − kᵀ(λ_W − J)⁻¹k/λ_w) at J = 0."""
        k, response, potential = source.drive, source.response, source.potential
        tilt = _rate(potential) / potential.margin(k)
        pulled, pull = response @ k, response @ bend(potential, k, -0.5 * response)
        mixed = np.outer(k, 2 * tilt * pulled + pull)
        moment_shift = response + mixed + mixed.T
        moment_shift += tilt * (np.trace(response) + 4 * tilt * (k @ pulled) + 2 * (k @ pull)) * np.outer(k, k)
        return cls(
            anchor_moment=potential.second_moment(k),
            moment_shift=-tilt * potential.compliance * moment_shift,
            response=response,
            gradient=potential.gradient(k),
            free=potential.compliance,
        )

    def covariance(self, k: np.ndarray) -> np.ndarray:
        """K1 = N Cov(S̄k), (r, r)."""
        image, weight = self.anchor_moment @ k, k @ self.gradient
        tilt = np.outer(self.gradient, image) + weight * self.anchor_moment
        return self.anchor_moment * (k @ image) + np.outer(image, image) - tilt @ self.response @ tilt.T

    def trace_gradient(self, k: np.ndarray, factor: float, rate: float, probe: np.ndarray) -> np.ndarray:
        """∇_k of tr(SQ), Q = (f²/q²) G K1 Gᵀ with G = I + z kkᵀ/q, q = 1 − z|k|², at a fixed symmetric S (r, r).

        In scalars, tr(SQ) = (f²/q²)(T0 + 2(z/q)T1 + (z/q)²T2).
        """
        a1, response, c, s = self.anchor_moment, self.response, self.gradient, probe
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


def bend(potential: Potential, k: np.ndarray, probe: np.ndarray) -> np.ndarray:
    """∇_k tr(SB(k)), (r,): the third derivative of Λ contracted with a fixed symmetric S (r, r)."""
    q, rate, factor = potential.margin(k), _rate(potential), _factor(potential)
    image, sk = potential.anchor_moment @ k, probe @ k
    e, ksk, trace = k @ image, k @ sk, np.trace(probe)
    trace_a, ska = np.sum(probe * potential.anchor_moment), sk @ image
    grown = 2 * rate * k / q  # ∇ log(1/q)
    out = factor * (grown * trace_a / q + 8 * rate * grown * ska / q**2)
    out += 4 * factor * rate * (probe @ image + potential.anchor_moment @ sk) / q**2
    out += (4 * rate**2 / q**2 + 12 * factor * rate**2 * e / q**3) * grown * ksk
    out += 8 * factor * rate**2 * ksk / q**3 * image
    out += (4 * rate**2 / q**2 + 8 * factor * rate**2 * e / q**3) * sk
    out += trace * ((rate / q + 2 * factor * rate * e / q**2) * grown)
    return out + trace * 2 * factor * rate / q**2 * image


def expand(target: SaddlePoint, scatter: SourceScatter | None, trial: Trial) -> FiniteWidth:
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
    damp = np.eye(len(k)) - target.curvature @ response  # Π
    image = k @ potential.anchor_moment @ k
    free, free_source = rate / q + factor * rate * image / q**2, 0.0
    slope, spread = bend(potential, k, -0.5 * response), np.zeros_like(response)
    if scatter is not None:
        tilt = (factor / q) * (np.eye(len(k)) + (rate / q) * np.outer(k, k))
        spread = tilt @ scatter.covariance(k) @ tilt.T  # Q
        shifted = scatter.moment_shift @ k
        slope += factor * (shifted / q + rate * (k @ shifted) * k / q**2)
        slope += bend(potential, k, response @ spread @ response / 2)
        slope -= scatter.trace_gradient(k, factor, rate, response) / 2
        free += factor * scatter.free / q
        free_source = (factor / q) ** 2 * image * scatter.free
    mean = 2 * trial.slope @ damp @ slope / target.strength
    thermal = np.sum(trial.metric * (damp @ target.curvature)) + trial.power_outside * free
    source = np.sum(trial.metric * (damp @ spread @ damp.T)) + trial.power_outside * free_source
    parts = [float(mean), float(thermal) / target.strength**2, float(source) / target.strength**2]
    return FiniteWidth(*parts, total=sum(parts), one_percent=100 * abs(sum(parts)) / trial.limit_loss)


def expand_posteriors(
    problem: BayesProblem,
    designs: Designs,
    source: LinearPosterior | None,
    target: LinearPosterior,
    elastic_coupling: float,
    *,
    on_training: bool = False,
) -> FiniteWidth:
    """The coefficient c of a target's loss on the task's test points, or on the target's training points.

    Args:
        problem: the data, strengths, inverse temperatures and prior precision.
        designs: the data's inputs.
        source: the source's saddle point; None without a tie.
        target: the target's.
        elastic_coupling: δ.
        on_training: whether the loss is taken on the training points.
    """
    problem.task.refuse_several_outputs("finite_width")
    nothing, scatter = np.zeros_like(target.hidden_moment), None
    if source is not None and elastic_coupling > 0:
        scatter = SourceScatter.of(source_saddle(problem, designs, source))
    anchor_moment = nothing if scatter is None else source.hidden_moment
    reached = target_saddle(problem, designs, anchor_moment, target, elastic_coupling)
    inputs, labels, design = points_of(problem, designs, on_training=on_training)
    errors = design @ target.saddle.weights - labels
    return expand(reached, scatter, Trial.of(design, np.mean(np.square(inputs), -1), errors))


def source_saddle(problem: BayesProblem, designs: Designs, source: LinearPosterior) -> SaddlePoint:
    """The source's saddle point, as an expansion needs it."""
    nothing, precision = np.zeros_like(source.hidden_moment), problem.prior_precision
    fresh = Potential.elastic(nothing, 0.0, precision, precision, scatters=True)
    return SaddlePoint.of(
        fresh, source.saddle.drive, designs.source, problem.inverse_temperatures[0], problem.strengths[0]
    )


def target_saddle(
    problem: BayesProblem,
    designs: Designs,
    anchor_moment: np.ndarray,
    target: LinearPosterior,
    elastic_coupling: float,
) -> SaddlePoint:
    """The target's, tied to an anchor of the moment A1 (r, r)."""
    precision = problem.prior_precision
    tied = Potential.elastic(anchor_moment, elastic_coupling, precision, precision, scatters=True)
    return SaddlePoint.of(
        tied, target.saddle.drive, designs.target, problem.inverse_temperatures[1], problem.strengths[1]
    )


def points_of(
    problem: BayesProblem, designs: Designs, *, on_training: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, labels and inputs over √D in the basis of the points on which a loss is taken."""
    task = problem.task
    if on_training:
        return task.x_target, task.y_target, designs.target
    return task.x_test, task.y_test, designs.test
