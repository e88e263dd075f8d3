"""Particles under the mean-field dynamics (7), and one implicit step of order two for them (docs/theory.md §2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.activations import Activation

IMPLICITNESS = 1 - 1 / math.sqrt(2)
"""The coefficient g of ROS2 that makes it L-stable."""
GRAM_PARTS, ALIGNED, WHOLE = 3, 8, 64
"""A symmetric product is made of so many bands of rows, right of the diagonal only, of a multiple of this height and at
least the last, below which a call costs more than it spares."""


@dataclass(frozen=True)
class Geometry:
    """Training inputs as the integrator sees them: h = a(t) h̄ + B U, particles last in memory.

    Attributes:
        inputs: X/√D, (P, d), in any orthonormal basis that holds them.
        product: B, (P, r): X/√D in weight space, C = XXᵀ/D in field space.
        by_sample: whether U holds coefficients of the inputs (r = P) rather than weights (r = d).
    """

    inputs: Tensor
    product: Tensor
    by_sample: bool

    @classmethod
    def of(cls, inputs: Tensor, space: str = "auto") -> Geometry:
        """Take "weight" or "field" space, or whichever is smaller ("auto")."""
        by_sample = space == "field" or (space == "auto" and len(inputs) < inputs.shape[1])
        return cls(inputs, inputs @ inputs.T if by_sample else inputs, by_sample)

    def to(self, dtype: torch.dtype) -> Geometry:
        """The same in that precision."""
        return Geometry(self.inputs.to(dtype), self.product.to(dtype), self.by_sample)

    def lift(self, values: Tensor, factors: Tensor, onto: Tensor | None = None) -> Tensor:
        """What Σ_μ c_μ v_μ x_μ/√D is as a change of U.

        Args:
            values: v, (K, P, S).
            factors: c, (K, P).
            onto: (K, r, S) that the change is added to in place; None returns the change alone.

        Returns:
            The change, (K, r, S), or ``onto``.
        """
        if self.by_sample:
            scaled = factors[:, :, None]
            return values * scaled if onto is None else onto.addcmul_(values, scaled)
        scaled = self.inputs.T * factors[:, None]
        return scaled.bmm(values) if onto is None else onto.baddbmm_(scaled, values)

    def weights(self, moved: Tensor) -> Tensor:
        """What U, (r, S), is as weights, (S, d)."""
        return moved.T @ self.inputs.to(moved) if self.by_sample else moved.T


@dataclass(frozen=True)
class Populations:
    """K populations of S particles on one training set.

    Attributes:
        readout: w, (K, S).
        moved: U, (K, r, S), zero at time 0.
        anchor_fields: h̄ on the training inputs: preactivations of the starting weights, (K, P, S).
        stiffness: L = λ_W + δ, (K,), finite; on the host, like all that measures time.
        pull: δ/L, (K,); 0 where L = 0; likewise.
    """

    readout: Tensor
    moved: Tensor
    anchor_fields: Tensor
    stiffness: np.ndarray
    pull: np.ndarray

    def select(self, keep: np.ndarray) -> Populations:
        """The populations of those indices."""
        rows = torch.from_numpy(keep).to(self.readout.device)
        particles = (array[rows] for array in (self.readout, self.moved, self.anchor_fields))
        return Populations(*particles, self.stiffness[keep], self.pull[keep])

    def to(self, dtype: torch.dtype) -> Populations:
        """The same particles in that precision."""
        particles = (array.to(dtype) for array in (self.readout, self.moved, self.anchor_fields))
        return Populations(*particles, self.stiffness, self.pull)


@dataclass(frozen=True)
class Snapshot:
    """One population at a record time.

    Attributes:
        readout: w, (S,).
        moved: U, (r, S).
        anchoring: a(t), what is left of the starting weights: W = a W̄ + U.
        preactivation: h on the training inputs, (S, P).
        output: f on the training inputs, (P,).
        geometry: what U means.
    """

    readout: Tensor
    moved: Tensor
    anchoring: float
    preactivation: Tensor
    output: Tensor
    geometry: Geometry

    def weights(self, anchor_weights: Tensor) -> Tensor:
        """W = a W̄ + U, (S, d), from the starting weights W̄, which copies of the particles may share."""
        copies = len(self.readout) // len(anchor_weights)
        return torch.add(self.geometry.weights(self.moved), anchor_weights.repeat(copies, 1), alpha=self.anchoring)


def anchoring(stiffness: np.ndarray, pull: np.ndarray, time: np.ndarray) -> np.ndarray:
    """a(t) = δ/L + (1 − δ/L) e^{−Lt}."""
    return pull + (1 - pull) * np.exp(-stiffness * time)


@dataclass
class Point:
    """States and what they give: w (K, S), U (K, r, S), B U, h, φ, wφ' (K, P, S) and f (K, P).

    ``kernels`` are E φφᵀ and E w²φ'φ'ᵀ ∘ C, (K, P, P) each, once they have been asked for: a step that is tried again
    need not make them again.
    """

    readout: Tensor
    moved: Tensor
    field: Tensor
    preactivation: Tensor
    features: Tensor
    slopes: Tensor
    output: Tensor
    kernels: tuple[Tensor, Tensor] | None = None

    def parts(self) -> list[Tensor]:
        """All but the kernels."""
        return list(vars(self).values())[:-1]

    def select(self, keep: np.ndarray) -> Point:
        """The states of those indices."""
        rows = torch.from_numpy(keep).to(self.readout.device)
        return Point(*(value[rows] for value in self.parts()))

    def where(self, good: np.ndarray, old: Point) -> Point:
        """These states where ``good`` (K,), the old ones elsewhere."""
        good = torch.from_numpy(good).to(self.readout.device)
        pairs = zip(self.parts(), old.parts(), strict=True)
        return Point(*(torch.where(good.view(-1, *[1] * (new.ndim - 1)), new, old) for new, old in pairs))


class ParticleFlow:
    """Equation (7) and one step of ROS2 for it."""

    def __init__(
        self, geometry: Geometry, labels: Tensor, strength: float, readout_decay: float, activation: Activation
    ):
        """Take the training inputs, y (P,), γ, λ_w and φ."""
        self.geometry, self.labels, self.activation = geometry, labels, activation
        self.covariance = geometry.inputs @ geometry.inputs.T
        self.strength, self.readout_decay = strength, readout_decay

    def to(self, dtype: torch.dtype) -> ParticleFlow:
        """The same in that precision."""
        return ParticleFlow(
            self.geometry.to(dtype), self.labels.to(dtype), self.strength, self.readout_decay, self.activation
        )

    def at(self, populations: Populations, time: np.ndarray, readout: Tensor, moved: Tensor) -> Point:
        """Evaluate states w (K, S), U (K, r, S) at times (K,)."""
        (left,) = _rows(moved, anchoring(populations.stiffness, populations.pull, time))
        field = self.geometry.product.expand(len(moved), -1, -1).bmm(moved)
        preactivation = torch.addcmul(field, left[:, :, None], populations.anchor_fields)
        features = self.activation.value(preactivation)
        slopes = self.activation.gated(preactivation, readout[:, None])
        output = _over(features, readout).div_(self.strength * readout.shape[1])
        return Point(readout, moved, field, preactivation, features, slopes, output)

    def kernels(self, point: Point) -> tuple[Tensor, Tensor]:
        """E φφᵀ and E w²φ'φ'ᵀ ∘ C at a point, (K, P, P) each."""
        if point.kernels is None:
            point.kernels = _gram(point.features), _gram(point.slopes).mul_(self.covariance)
        return point.kernels

    def step(self, populations: Populations, point: Point, time: np.ndarray, h: np.ndarray) -> tuple[Point, Tensor]:
        """Return the state after steps h (K,), and the outputs (K, P) that the first stage alone predicts.

        With J the decay and the Gauss–Newton part of the Jacobian, (I − g h J) k1 = F(t, u),
        (I − g h J) k2 = F(t + h, u + h k1) − 2 k1 and u ← u + h (3 k1 + k2)/2: of order two whatever J
        (Verwer et al. 1999). J acts on neurons through δf alone, so each solve is one of P equations.
        """
        lift, product, count = self.geometry.lift, self.geometry.product, point.readout.shape[1]
        gain, decay_w, decay_u = self.strength, self.readout_decay, populations.stiffness
        small = IMPLICITNESS * h
        ease_w, ease_u = 1 / (1 + small * decay_w), 1 / (1 + small * decay_u)
        step, small, shrink_w, shrink_u, decay_u, slowed, kernel_gain, tangent_gain = _rows(
            point.readout, h, small, ease_w, ease_u, decay_u, -ease_u * decay_u, small * ease_w, small * ease_u
        )

        kernel, tangent = self.kernels(point)
        matrix = (kernel * kernel_gain[:, :, None]).addcmul_(tangent, tangent_gain[:, :, None])
        matrix.diagonal(dim1=1, dim2=2).add_(1)
        factor, bad = torch.linalg.cholesky_ex(matrix)
        if bad.any():  # overflown features; the solution is then not finite, and the step rejected
            factor = torch.where((bad != 0)[:, None, None], torch.nan, factor)

        def implicit(force_w: Tensor, projected_w: Tensor, projected_u: Tensor) -> tuple[Tensor, Tensor]:
            """k_w and ghγδf for right-hand sides R_w (K, S), E[φ R_w] (K, P) and E[wφ' (B R_U)] (K, P)."""
            right = (projected_w * kernel_gain).addcmul_(projected_u, tangent_gain)
            change = torch.cholesky_solve(right[:, :, None], factor)[:, :, 0]
            return force_w.sub_(_under(change, point.features)).mul_(shrink_w), change

        # What the forces at the start do to f is known by the kernels.
        error = (self.labels - point.output).mul_(gain)
        force_w = _under(error, point.features).sub_(point.readout, alpha=decay_w)
        projected_w = _over(kernel, error).sub_(point.output, alpha=decay_w * gain)
        projected_u = _over(tangent, error).addcmul_(decay_u, (point.slopes * point.field).mean(2), value=-1)
        k_w, change = implicit(force_w, projected_w, projected_u)
        k_u = lift(point.slopes, shrink_u * (error - change), onto=point.moved * slowed[:, :, None])

        ahead, step_u = time + h, step[:, :, None]
        readout = torch.addcmul(point.readout, step, k_w)
        middle = self.at(populations, ahead, readout, torch.addcmul(point.moved, step_u, k_u))
        error = (self.labels - middle.output).mul_(gain)
        force_w = _under(error, middle.features).sub_(readout, alpha=decay_w).sub_(k_w, alpha=2)
        force_u = (k_u * -2).addcmul_(middle.moved, decay_u[:, :, None], value=-1)
        force_u = lift(middle.slopes, error, onto=force_u)
        projected_u = (force_u.bmm(point.slopes.mT) * product.T).sum(1).div_(count)
        l_w, change = implicit(force_w, _over(point.features, force_w).div_(count), projected_u)
        l_u = lift(point.slopes, change.neg_(), onto=force_u).mul_(shrink_u[:, :, None]).add_(k_u, alpha=3)

        readout = torch.addcmul(point.readout, step, l_w.add_(k_w, alpha=3), value=0.5)
        moved = torch.addcmul(point.moved, step_u, l_u, value=0.5)
        return self.at(populations, ahead, readout, moved), middle.output


def _rows(like: Tensor, *numbers: np.ndarray) -> Tensor:
    """Numbers (K,) of the host as columns (K, 1) of the particles' precision and device."""
    return torch.from_numpy(np.stack(numbers)[:, :, None]).to(like)


def _over(values: Tensor, weights: Tensor) -> Tensor:
    """Σ_s v_μs c_s, (K, P), of v (K, P, S) and c (K, S)."""
    return values.bmm(weights[:, :, None])[:, :, 0]


def _under(factors: Tensor, values: Tensor) -> Tensor:
    """Σ_μ c_μ v_μs, (K, S), of c (K, P) and v (K, P, S)."""
    return factors[:, None].bmm(values)[:, 0]


def _gram(values: Tensor) -> Tensor:
    """E[v vᵀ] over the particles, (K, P, P), of v (K, P, S)."""
    size = values.shape[1]
    height = max(WHOLE, -(-size // (GRAM_PARTS * ALIGNED)) * ALIGNED)
    if size <= height:
        return values.bmm(values.mT).div_(values.shape[2])
    gram = values.new_empty(len(values), size, size)
    for low in range(0, size, height):
        band = values[:, low : low + height].bmm(values[:, low:].mT)
        gram[:, low : low + height, low:] = band
        gram[:, low:, low : low + height] = band.mT
    return gram.div_(values.shape[2])
