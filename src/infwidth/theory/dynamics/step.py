"""Particles under the mean-field dynamics (7), and one implicit step of order two for them (docs/theory.md §2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.numerics.activations import Activation

IMPLICITNESS = 1 - 1 / math.sqrt(2)
"""The coefficient g of ROS2 that makes it L-stable."""
GRAM_PARTS, ALIGNED = 3, 8
"""A symmetric product is made of so many bands of rows, right of the diagonal only, of a multiple of this height."""


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
        return scaled @ values if onto is None else onto.baddbmm_(scaled, values)

    def weights(self, moved: Tensor) -> Tensor:
        """What U, (r, S), is as weights, (S, d)."""
        return moved.T @ self.inputs if self.by_sample else moved.T


@dataclass(frozen=True)
class Populations:
    """K populations of S particles on one training set.

    Attributes:
        readout: w, (K, S).
        moved: U, (K, r, S), zero at time 0.
        anchor_fields: h̄ on the training inputs: preactivations of the starting weights, (K, P, S).
        stiffness: L = λ_W + δ, (K,), finite.
        pull: δ/L, (K,); 0 where L = 0.
    """

    readout: Tensor
    moved: Tensor
    anchor_fields: Tensor
    stiffness: Tensor
    pull: Tensor

    def select(self, keep: Tensor) -> Populations:
        """The populations of those indices."""
        return Populations(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


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
        return self.geometry.weights(self.moved) + self.anchoring * anchor_weights.repeat(copies, 1)


def anchoring(stiffness: Tensor, pull: Tensor, time: Tensor) -> Tensor:
    """a(t) = δ/L + (1 − δ/L) e^{−Lt}."""
    return pull + (1 - pull) * torch.exp(-stiffness * time)


@dataclass
class Point:
    """States and what they give: w (K, S), U (K, r, S), B U, h, φ, wφ' (K, P, S) and f (K, P)."""

    readout: Tensor
    moved: Tensor
    field: Tensor
    preactivation: Tensor
    features: Tensor
    slopes: Tensor
    output: Tensor

    def select(self, keep: Tensor) -> Point:
        """The states of those indices."""
        return Point(*(value[keep] for value in vars(self).values()))

    def where(self, good: Tensor, old: Point) -> Point:
        """These states where ``good`` (K,), the old ones elsewhere."""
        pairs = zip(vars(self).values(), vars(old).values(), strict=True)
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

    def at(self, populations: Populations, time: Tensor, readout: Tensor, moved: Tensor) -> Point:
        """Evaluate states w (K, S), U (K, r, S) at times (K,)."""
        left = anchoring(populations.stiffness, populations.pull, time)[:, None, None]
        field = self.geometry.product @ moved
        preactivation = torch.addcmul(field, left, populations.anchor_fields)
        features = self.activation.value(preactivation)
        slopes = self.activation.gated(preactivation, readout[:, None])
        output = _over(features, readout) / (self.strength * readout.shape[1])
        return Point(readout, moved, field, preactivation, features, slopes, output)

    def step(self, populations: Populations, point: Point, time: Tensor, h: Tensor) -> tuple[Point, Tensor]:
        """Return the state after steps h (K,), and the outputs (K, P) that the first stage alone predicts.

        With J the decay and the Gauss–Newton part of the Jacobian, (I − g h J) k1 = F(t, u),
        (I − g h J) k2 = F(t + h, u + h k1) − 2 k1 and u ← u + h (3 k1 + k2)/2: of order two whatever J
        (Verwer et al. 1999). J acts on neurons through δf alone, so each solve is one of P equations.
        """
        lift, product, count = self.geometry.lift, self.geometry.product, point.readout.shape[1]
        gain, decay_w, decay_u = self.strength, self.readout_decay, populations.stiffness[:, None]
        small = IMPLICITNESS * h[:, None]
        shrink_w, shrink_u = 1 / (1 + small * decay_w), 1 / (1 + small * decay_u)

        kernel = _gram(point.features)
        tangent = _gram(point.slopes).mul_(self.covariance)
        matrix = small[:, :, None] * (shrink_w[:, :, None] * kernel + shrink_u[:, :, None] * tangent)
        matrix.diagonal(dim1=1, dim2=2).add_(1)
        factor, bad = torch.linalg.cholesky_ex(matrix)
        if bad.any():  # overflown features; the solution is then not finite, and the step rejected
            factor = torch.where((bad != 0)[:, None, None], torch.nan, factor)

        def implicit(force_w: Tensor, projected_w: Tensor, projected_u: Tensor) -> tuple[Tensor, Tensor]:
            """k_w and ghγδf for right-hand sides R_w (K, S), E[φ R_w] (K, P) and E[wφ' (B R_U)] (K, P)."""
            right = shrink_w * projected_w + shrink_u * projected_u
            change = small * torch.cholesky_solve(right[:, :, None], factor)[:, :, 0]
            return shrink_w * (force_w - _under(change, point.features)), change

        # What the forces at the start do to f is known by the kernels.
        error = gain * (self.labels - point.output)
        force_w = _under(error, point.features) - decay_w * point.readout
        projected_w = (kernel @ error[:, :, None])[:, :, 0] - decay_w * gain * point.output
        projected_u = (tangent @ error[:, :, None])[:, :, 0] - decay_u * (point.slopes * point.field).mean(2)
        k_w, change = implicit(force_w, projected_w, projected_u)
        k_u = point.moved * (-shrink_u * decay_u)[:, :, None]
        k_u = lift(point.slopes, shrink_u * (error - change), onto=k_u)

        step_u = h[:, None, None]
        middle = self.at(
            populations, time + h, point.readout + h[:, None] * k_w, torch.addcmul(point.moved, step_u, k_u)
        )
        error = gain * (self.labels - middle.output)
        force_w = _under(error, middle.features) - decay_w * middle.readout - 2 * k_w
        force_u = torch.addcmul(-2 * k_u, middle.moved, -decay_u[:, :, None])
        force_u = lift(middle.slopes, error, onto=force_u)
        projected_u = (force_u @ point.slopes.mT * product.T).sum(1) / count
        l_w, change = implicit(force_w, _over(point.features, force_w) / count, projected_u)
        l_u = lift(point.slopes, -change, onto=force_u).mul_(shrink_u[:, :, None]).add_(k_u, alpha=3)

        readout = point.readout + h[:, None] * (1.5 * k_w + 0.5 * l_w)
        moved = torch.addcmul(point.moved, step_u / 2, l_u)
        return self.at(populations, time + h, readout, moved), middle.output


def _over(values: Tensor, weights: Tensor) -> Tensor:
    """Σ_s v_μs c_s, (K, P), of v (K, P, S) and c (K, S)."""
    return (values @ weights[:, :, None])[:, :, 0]


def _under(factors: Tensor, values: Tensor) -> Tensor:
    """Σ_μ c_μ v_μs, (K, S), of c (K, P) and v (K, P, S)."""
    return (factors[:, None] @ values)[:, 0]


def _gram(values: Tensor) -> Tensor:
    """E[v vᵀ] over the particles, (K, P, P), of v (K, P, S)."""
    size = values.shape[1]
    gram, height = values.new_empty(len(values), size, size), -(-size // (GRAM_PARTS * ALIGNED)) * ALIGNED
    for low in range(0, size, height):
        band = values[:, low : low + height] @ values[:, low:].mT
        gram[:, low : low + height, low:] = band
        gram[:, low:, low : low + height] = band.mT
    return gram.div_(values.shape[2])
