"""Particles under the mean-field dynamics (7), and one implicit step of order two for them (docs/theory.md §2)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from infwidth.numerics.activations import Activation

IMPLICITNESS = 1 - 1 / math.sqrt(2)
"""The coefficient g of ROS2 that makes it L-stable."""


@dataclass(frozen=True)
class Geometry:
    """Training inputs as the integrator sees them: h = a(t) h̄ + U B.

    Attributes:
        inputs: X/√D, (P, d), in any orthonormal basis that holds them.
        product: B, (r, P): Xᵀ/√D in weight space, C = XXᵀ/D in field space.
        field: whether U holds coefficients of the inputs (r = P) rather than weights (r = d).
    """

    inputs: Tensor
    product: Tensor
    field: bool

    @classmethod
    def of(cls, inputs: Tensor, space: str = "auto") -> Geometry:
        """Take "weight" or "field" space, or whichever is smaller ("auto")."""
        field = space == "field" or (space == "auto" and len(inputs) < inputs.shape[1])
        return cls(inputs, inputs @ inputs.T if field else inputs.T.contiguous(), field)

    def lift(self, coefficients: Tensor) -> Tensor:
        """What coefficients of the inputs, (…, P), are as a change of U, (…, r)."""
        return coefficients if self.field else coefficients @ self.inputs

    def weights(self, moved: Tensor) -> Tensor:
        """What U, (…, r), is as weights, (…, d)."""
        return moved @ self.inputs if self.field else moved


@dataclass(frozen=True)
class Populations:
    """K populations of S particles on one training set.

    Attributes:
        readout: w, (K, S).
        moved: U, (K, S, r), zero at time 0.
        anchor: h̄ on the training inputs: preactivations of the starting weights, (K, S, P).
        stiffness: L = λ_W + δ, (K,), finite.
        pull: δ/L, (K,); 0 where L = 0.
    """

    readout: Tensor
    moved: Tensor
    anchor: Tensor
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
        moved: U, (S, r).
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

    def weights(self, anchor: Tensor) -> Tensor:
        """W = a W̄ + U, (S, d), from the starting weights W̄, which copies of the particles may share."""
        copies = len(self.readout) // len(anchor)
        return self.geometry.weights(self.moved) + self.anchoring * anchor.repeat(copies, 1)


def anchoring(stiffness: Tensor, pull: Tensor, time: Tensor) -> Tensor:
    """a(t) = δ/L + (1 − δ/L) e^{−Lt}."""
    return pull + (1 - pull) * torch.exp(-stiffness * time)


@dataclass
class Point:
    """States and what they give: w, U, U B, h, features φ, slopes wφ' and outputs f, each with K in front."""

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

    def where(self, good: Tensor, other: Point) -> Point:
        """These states where ``good`` (K,), the other ones elsewhere."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
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

    def at(self, batch: Populations, time: Tensor, readout: Tensor, moved: Tensor, field: Tensor) -> Point:
        """Evaluate states w (K, S), U (K, S, r), U B (K, S, P) at times (K,)."""
        left = anchoring(batch.stiffness, batch.pull, time)[:, None, None]
        preactivation = torch.addcmul(field, left, batch.anchor)
        features = self.activation.value(preactivation)
        slopes = self.activation.derivative(preactivation) * readout[:, :, None]
        output = torch.bmm(readout[:, None], features)[:, 0] / (self.strength * readout.shape[1])
        return Point(readout, moved, field, preactivation, features, slopes, output)

    def step(self, batch: Populations, point: Point, time: Tensor, h: Tensor) -> tuple[Point, Tensor]:
        """Return the state after steps h (K,), and the outputs (K, P) that the first stage alone predicts.

        With J the decay and the Gauss–Newton part of the Jacobian, (I − g h J) k1 = F(t, u),
        (I − g h J) k2 = F(t + h, u + h k1) − 2 k1 and u ← u + h (3 k1 + k2)/2: of order two whatever J
        (Verwer et al. 1999). J acts on neurons through δf alone, so each solve is one of P equations.
        """
        lift, product, count = self.geometry.lift, self.geometry.product, point.readout.shape[1]
        gain, decay_w = self.strength, self.readout_decay
        decay_u = batch.stiffness[:, None, None]
        small = IMPLICITNESS * h[:, None]
        shrink_w, shrink_u = 1 / (1 + small * decay_w), 1 / (1 + small[:, :, None] * decay_u)

        kernel = _gram(point.features)
        tangent = _gram(point.slopes).mul_(self.covariance)
        matrix = small[:, :, None] * (shrink_w[:, :, None] * kernel + shrink_u * tangent)
        matrix.diagonal(dim1=1, dim2=2).add_(1)
        factor, bad = torch.linalg.cholesky_ex(matrix)
        if bad.any():  # overflown features; the solution is then not finite, and the step rejected
            factor = torch.where((bad != 0)[:, None, None], torch.nan, factor)

        def implicit(force_w: Tensor, projected_u: Tensor) -> tuple[Tensor, Tensor]:
            """k_w and δf for right-hand sides R_w (K, S) and E[wφ' (R_U B)] (K, P)."""
            right = shrink_w * (force_w[:, None] @ point.features)[:, 0] / count + shrink_u[:, 0] * projected_u
            change = torch.cholesky_solve((right / gain)[:, :, None], factor)
            k_w = shrink_w * (force_w - small * gain * (point.features @ change)[:, :, 0])
            return k_w, change[:, :, 0]

        def project(field: Tensor) -> Tensor:
            return (point.slopes * field).sum(1) / count

        error = self.labels - point.output
        force_w = gain * (point.features @ error[:, :, None])[:, :, 0] - decay_w * point.readout
        pulled = (tangent @ error[:, :, None])[:, :, 0]
        k_w, change = implicit(force_w, gain * pulled - decay_u[:, 0] * project(point.field))
        k_u = lift(point.slopes * (error - small * change).mul_(gain)[:, None])
        k_u = k_u.sub_(decay_u * point.moved).mul_(shrink_u)
        k_field = k_u @ product

        h_w, h_u = h[:, None], h[:, None, None]
        middle = self.at(
            batch,
            time + h,
            point.readout + h_w * k_w,
            torch.addcmul(point.moved, h_u, k_u),
            torch.addcmul(point.field, h_u, k_field),
        )
        error = self.labels - middle.output
        force_w = gain * (middle.features @ error[:, :, None])[:, :, 0] - decay_w * middle.readout - 2 * k_w
        force_u = lift(middle.slopes * (gain * error)[:, None]).sub_(decay_u * middle.moved).sub_(k_u, alpha=2)
        force_field = force_u @ product
        l_w, change = implicit(force_w, project(force_field))
        l_u = force_u.sub_(lift(point.slopes * (small * gain * change)[:, None])).mul_(shrink_u)

        readout = point.readout + h_w * (1.5 * k_w + 0.5 * l_w)
        l_u.add_(k_u, alpha=3)
        moved = torch.addcmul(point.moved, h_u / 2, l_u)
        field = torch.addcmul(point.field, h_u / 2, l_u @ product)
        return self.at(batch, time + h, readout, moved, field), middle.output


def _gram(values: Tensor) -> Tensor:
    """E[v vᵀ] over the particles, (K, P, P)."""
    return (values.mT @ values).div_(values.shape[1])
