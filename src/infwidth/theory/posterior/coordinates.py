"""The few directions of input space in which a task's hidden weights are not simply Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.span import orthonormal_basis

INSIDE = 1e-6
"""Share of a test point's norm outside the target inputs' span that counts as rounding."""


@dataclass(frozen=True)
class Coordinates:
    """Inputs over √D in orthonormal bases: the source's in its own, the target's in one that may hold the source's.

    The tilt of a posterior acts in the span of its own inputs. What a test point has outside the target's span meets
    the source's tilt through W̄, so with such points the target's basis spans both; the rest of it is Gaussian.

    Attributes:
        source: (P1, r1).
        target: (P2, r2).
        test: (Pt, r2).
        norms_outside: norms of the test points' part outside the target's basis, (Pt,).
        basis: the target's basis, (D, r2).
        bases_overlap: inner products of the two bases, (r1, r2).
        rest: (r2, r2), root of the covariance, for unit precision, of source weights given those in its own basis.
    """

    source: Tensor
    target: Tensor
    test: Tensor
    norms_outside: Tensor
    basis: Tensor
    bases_overlap: Tensor
    rest: Tensor | None

    @classmethod
    def of(cls, task: TransferTask, like: Tensor, *, whole: bool = False) -> Coordinates:
        """Find the bases, the target's of the ``whole`` space if asked for; tensors get ``like``'s dtype and device."""
        source, target, test = (x / np.sqrt(task.dimension) for x in (task.x_source, task.x_target, task.x_test))
        own, basis = _basis(source), _basis(target)
        lengths = np.linalg.norm(test, axis=1)
        if (_outside(test, basis) > INSIDE * lengths).any():
            basis = _basis(np.concatenate([source, target]))
        basis = np.eye(task.dimension) if whole else basis
        bases_overlap = own.T @ basis
        values, vectors = np.linalg.eigh(np.eye(len(bases_overlap.T)) - bases_overlap.T @ bases_overlap)
        rest = vectors * np.sqrt(np.clip(values, 0, None))
        norms_outside = _outside(test, basis)
        norms_outside = np.where(norms_outside > INSIDE * lengths, norms_outside, 0.0)
        arrays = (source @ own, target @ basis, test @ basis, norms_outside, basis, bases_overlap)
        tensors = (torch.tensor(array).to(like) for array in arrays)
        return cls(*tensors, rest=torch.tensor(rest).to(like) if (values > INSIDE).any() else None)

    def lift(self, hidden: Tensor, prior_precision: float, generator: torch.Generator) -> Tensor:
        """Source weights (S, r1) in the target's basis, (S, r2), with fresh draws of what their own leaves open."""
        lifted = hidden @ self.bases_overlap
        if self.rest is None:
            return lifted
        noise = torch.randn(lifted.shape, generator=generator, dtype=lifted.dtype, device=lifted.device)
        return lifted + noise @ self.rest.T / prior_precision**0.5

    def expand(self, hidden: Tensor, spread: float, generator: torch.Generator) -> Tensor:
        """Target weights (S, r2) in all of input space, (S, D), Gaussian of standard deviation ``spread`` outside."""
        if self.basis.shape[0] == self.basis.shape[1]:
            return hidden @ self.basis.T
        shape = len(hidden), len(self.basis)
        noise = torch.randn(shape, generator=generator, dtype=hidden.dtype, device=hidden.device)
        return (hidden - spread * noise @ self.basis) @ self.basis.T + spread * noise


def _basis(inputs: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span the rows of (P, D); the whole space where P ≥ D."""
    points, dimension = inputs.shape
    return np.eye(dimension) if points >= dimension else orthonormal_basis(inputs)


def _outside(inputs: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Norms of the rows' parts outside a basis."""
    return np.linalg.norm(inputs - (inputs @ basis) @ basis.T, axis=1)
