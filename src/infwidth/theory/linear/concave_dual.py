"""The concave dual that both linear saddle points share, and Newton's method on it (docs/theory.md §1 eq. (5))."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs

from infwidth.numerics.status import Status
from infwidth.theory import elastic
from infwidth.theory.linear.design import Design

# Relative residual of a maximum, and the relative change of g that one more Newton step may still make there.
TOLERANCE = 1e-10


@dataclass(frozen=True)
class Potential:
    """Λ(k) of a linear hidden layer tied to an anchor, on its domain q > 0.

        Λ(k) = −½ log q + (δ/L)² kᵀA1k / (2 λ_w q),    q = 1 − |k|²/(L λ_w),    L = λ_W + δ

    This is docs/theory.md §1 eq. (6). The fixed point of gradient flow (§2) has the same Λ without the
    logarithm, which comes from the posterior's spread of W around its mean.

    Attributes:
        anchor_moment: A1 = E W̄W̄ᵀ, (D, D).
        pull: δ/L, between 0 and 1.
        compliance: 1/L; 0 when δ = ∞.
        readout_decay: λ_w.
        scatters: whether W scatters around its mean (the posterior) or not (the flow).
    """

    anchor_moment: np.ndarray
    pull: float
    compliance: float
    readout_decay: float
    scatters: bool = True

    @classmethod
    def elastic(
        cls,
        anchor_moment: np.ndarray,
        elastic_coupling: float,
        hidden_decay: float,
        readout_decay: float,
        scatters: bool,
    ) -> Potential:
        """The potential at elastic coupling δ; δ = ∞ is exact."""
        pull = elastic.pull(hidden_decay, elastic_coupling)
        return cls(anchor_moment, pull, 1 / elastic.stiffness(hidden_decay, elastic_coupling), readout_decay, scatters)

    def project(self, basis: np.ndarray) -> Potential:
        """The potential of k = basis·κ as a function of κ; ``basis`` (D, r) has orthonormal columns."""
        return replace(self, anchor_moment=basis.T @ self.anchor_moment @ basis)

    @property
    def _rate(self) -> float:
        return self.compliance / self.readout_decay

    def margin(self, k: np.ndarray) -> float:
        """q, the distance from the border of the domain: 1 at k = 0."""
        return 1 - self._rate * float(k @ k)

    def taken(self, k: np.ndarray, across: float) -> float:
        """The share of the margin q at k that a drive of this size across k takes."""
        return self._rate * across**2 / self.margin(k)

    def value(self, k: np.ndarray) -> float:
        """Λ(k)."""
        loss = self._rate * float(k @ k)
        entropy = -0.5 * math.log1p(-loss) if self.scatters else 0.0
        return entropy + self.pull**2 * float(k @ self.anchor_moment @ k) / (2 * self.readout_decay * (1 - loss))

    def gradient(self, k: np.ndarray) -> np.ndarray:
        """∇Λ(k), (D,)."""
        q, r, weight = self.margin(k), self._rate, self.pull**2 / self.readout_decay
        ak = self.anchor_moment @ k
        return self.scatters * r * k / q + weight * (ak / q + r * (k @ ak) * k / q**2)

    def hessian(self, k: np.ndarray) -> np.ndarray:
        """∇²Λ(k), (D, D), positive semidefinite."""
        q, r, weight = self.margin(k), self._rate, self.pull**2 / self.readout_decay
        ak = self.anchor_moment @ k
        e = k @ ak
        mixed = np.outer(
            k, (2 * weight * r / q**2) * ak + (self.scatters * r**2 / q**2 + 2 * weight * r**2 * e / q**3) * k
        )
        out = (weight / q) * self.anchor_moment
        out += mixed
        out += mixed.T
        out.flat[:: len(k) + 1] += self.scatters * r / q + weight * r * e / q**2
        return out

    def second_moment(self, k: np.ndarray) -> np.ndarray:
        """E WWᵀ, (D, D), of hidden weights tilted by k; ∇Λ = E WWᵀ k/λ_w."""
        tilt = self._rate / self.margin(k)  # times k kᵀ, added to the identity on either side
        ak, weight = self.anchor_moment @ k, self.pull**2
        along = 0.5 * tilt * (self.scatters * self.compliance + weight * tilt * float(k @ ak)) * k + weight * tilt * ak
        mixed = np.outer(k, along)
        out = weight * self.anchor_moment
        out += mixed
        out += mixed.T
        out.flat[:: len(k) + 1] += self.scatters * self.compliance
        return out


@dataclass(frozen=True)
class DualSolution:
    """Where Newton's method on the dual ended.

    Attributes:
        dual: g, (P,); (P, C) for C outputs.
        dual_error: estimate of |g − g*|: one more Newton step and rounding in the range of X, and rounding outside it.
        drive: k = γXᵀg/√D, (D,) or (D, C).
        weights: v = ∇Λ/γ, (D,) or (D, C); the predictor is f(x) = x·v/√D.
        objective: S(g).
        margin: q.
        residual: |y − ρg − f̂|/|y| on the training points.
        gap: Newton's estimate of S(g*) − S(g), inf where q sank below rounding.
        cholesky: factor of ΣVᵀ∇²ΛVΣ/γ² + ρ, whose inverse is that of H + ρ in the range of X, (r, r), or (rC, rC) with
            the outputs running fastest; None where q sank below rounding.
        iterations: Newton steps.
        status: CONVERGED when residual ≤ tolerance, else STALLED.
    """

    dual: np.ndarray
    dual_error: float
    drive: np.ndarray
    weights: np.ndarray
    objective: float
    margin: float
    residual: float
    gap: float
    cholesky: np.ndarray | None
    iterations: int
    status: Status


def maximise(
    design: Design,
    labels: np.ndarray,
    potential: Potential,
    *,
    strength: float,
    ridge: float,
    max_iterations: int = 200,
    tolerance: float = TOLERANCE,
    accurate: bool = False,
) -> DualSolution:
    """Maximise S(g) = γ² y·g − γ²ρ|g|²/2 − Λ(γXᵀg/√D) by Newton's method from g = 0.

    Steps are halved until q > 0 and S grows. In the singular basis of X the components of g outside the range
    of X decouple, so a step costs (C min(P, D))³ whichever of P and D is the larger.

    Args:
        design: the training inputs.
        labels: y, (P,), or (P, C) of C outputs.
        potential: Λ on R^D, or on R^{D×C}.
        strength: γ.
        ridge: ρ; 1/β for the posterior, 1 for the flow.
        max_iterations: Newton steps allowed.
        tolerance: relative residual to reach.
        accurate: whether the part of the labels outside the range of X, which 1/ρ multiplies, is found to more digits.

    Returns:
        The maximiser with its certificate.
    """
    inner = potential.project(design.right)
    y = design.left.T @ labels
    sigma = design.singular.reshape(-1, *[1] * (labels.ndim - 1))
    scales = np.broadcast_to(sigma, y.shape).ravel()
    scale = float(np.linalg.norm(labels)) or 1.0
    if not math.isfinite(scale):  # residuals relative to it would all be 0
        raise OverflowError("the labels' norm is out of range")

    def objective(g):  # S/γ²: finite numbers of order 1 however lazy the network
        return np.vdot(y, g) - ridge * np.vdot(g, g) / 2 - inner.value(strength * sigma * g) / strength**2

    g = np.zeros_like(y)
    iterations, height, progress = 0, objective(g), True
    while True:
        k = strength * sigma * g
        slope = y - ridge * g - sigma * inner.gradient(k) / strength
        curvature = inner.hessian(k)
        curvature *= scales
        curvature *= scales[:, None]
        curvature.flat[:: len(scales) + 1] += ridge
        residual = float(np.linalg.norm(slope)) / scale
        cholesky, failed = dpotrf(curvature, lower=True, clean=False)
        step = dpotrs(cholesky, slope.ravel(), lower=True)[0].reshape(slope.shape)
        if failed or not np.isfinite(step).all():  # q has sunk below rounding: no curvature to trust
            decrement, step, cholesky = np.inf, np.inf, None
            break
        decrement = float(np.vdot(slope, step))
        settled = residual <= tolerance and np.linalg.norm(step) <= tolerance * np.linalg.norm(g)
        if settled or iterations == max_iterations or not progress:
            break
        progress, length = False, 1.0
        while length > 1e-10 and not progress:
            trial = g + length * step
            if inner.margin(strength * sigma * trial) > 0:
                raised = objective(trial)
                # Near the top S is flat to rounding; there the full step is a contraction and is taken.
                progress = raised >= height + 1e-4 * length * decrement - 1e-13 * abs(height)
            length /= 2
        if progress:
            g, height, iterations = trial, raised, iterations + 1

    drive = design.right @ (strength * sigma * g)
    rounding = 4 * np.finfo(g.dtype).eps  # a large g along a small singular value leaves it to every sample
    outside, error, dropped = design.outside_accurately(labels) if accurate else design.outside(labels)
    error = rounding * float(np.linalg.norm(g)) + error / ridge
    if dropped and cholesky is not None:  # the part of Xᵀg that the basis lacks, and what it would change within
        error += _answer_within(cholesky, scales, inner.hessian(strength * sigma * g)) * dropped / ridge
        # along it neurons may grow without bound: what it takes of the margin, it changes of what lies outside
        taken = potential.taken(drive, strength * dropped / ridge)
        error += taken * float(np.linalg.norm(outside)) / ridge
    return DualSolution(
        dual=design.left @ g + outside / ridge,
        dual_error=float(np.linalg.norm(step)) + error,
        drive=drive,
        weights=potential.gradient(drive) / strength,
        objective=strength**2 * (height + np.vdot(outside, outside) / (2 * ridge)),
        margin=potential.margin(drive),
        residual=residual,
        gap=strength**2 * decrement / 2,
        cholesky=cholesky,
        iterations=iterations,
        status=Status.CONVERGED if residual <= tolerance else Status.STALLED,
    )


def _answer_within(cholesky: np.ndarray, singular: np.ndarray, hessian: np.ndarray) -> float:
    """The largest change of g in the range of X per change of Xᵀg/√D outside the basis."""
    response, _ = dpotrs(cholesky, np.diag(singular), lower=True)
    return float(np.linalg.norm(response, 2) * np.linalg.norm(hessian, 2))
