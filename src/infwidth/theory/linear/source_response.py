"""What a linear posterior's loss owes to the draw of its source network: eq. (F6) of docs/finite_width.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from infwidth.theory.linear.finite_width import SourceScatter, points_of, source_saddle, target_saddle
from infwidth.theory.linear.posterior import LinearPosterior
from infwidth.theory.problem import BayesProblem, Designs


@dataclass(frozen=True)
class SourceResponse:
    """The linear response kᵀ(S̄ − E S̄)b of a loss to the source network's S̄ = W̄ᵀW̄/N, whose mean is known.

    It has mean 0 over source networks of any width, to O(1/N²): taken off a network's loss it leaves the expected loss
    as it is and removes the scatter of order N^−½.

    Attributes:
        drive: k, (D,).
        probe: b, (D,).
        limit: kᵀA1b, A1 = lim E S̄.
        shift: N(kᵀE S̄ b − limit).
    """

    drive: np.ndarray
    probe: np.ndarray
    limit: float
    shift: float

    @classmethod
    def none(cls, dimension: int, value: float = 0.0) -> Self:
        """Of a target that no source network can move, or, with NaN, of one that has no answer."""
        return cls(*[np.full(dimension, value)] * 2, limit=value, shift=value)

    def of(self, moment: np.ndarray, width: float) -> float:
        """The response to S̄ (D, D) of networks of a width."""
        return float(self.drive @ moment @ self.probe) - self.limit - self.shift / width


def respond(
    problem: BayesProblem,
    designs: Designs,
    source: LinearPosterior | None,
    target: LinearPosterior,
    elastic_coupling: float,
    *,
    on_training: bool = False,
) -> SourceResponse:
    """The response of a target's loss on the task's test points, or on the target's training points, eq. (F6).

    Args:
        problem: the data, strengths, inverse temperatures and prior precision.
        designs: the data's inputs.
        source: the source's saddle point; None without a tie.
        target: the target's.
        elastic_coupling: δ.
        on_training: whether the loss is taken on the training points.
    """
    task = problem.task
    if source is None or elastic_coupling == 0:
        return SourceResponse.none(task.dimension)
    reached = target_saddle(problem, designs, source.hidden_moment, target, elastic_coupling)
    k, tied = reached.drive, reached.potential
    q, rate = tied.margin(k), tied.compliance / tied.readout_decay
    inputs, labels, design = points_of(problem, designs, on_training=on_training)
    errors = design @ target.saddle.weights - labels
    slope = design.T @ errors / len(errors)
    # Πᵀ = I − RB; directions off the basis move as they are pushed
    pulled = slope - reached.response @ (reached.curvature @ slope)
    scale = 2 * tied.pull**2 / (tied.readout_decay * q * reached.strength)
    probe = scale * (pulled + rate / q * (pulled @ k) * k)
    whole = designs.expand(probe)
    if designs.basis is not None:
        off = inputs.T @ errors / (len(errors) * np.sqrt(task.dimension))
        whole = whole + scale * (off - designs.expand(designs.basis.T @ off))
    scatter = SourceScatter.of(source_saddle(problem, designs, source))
    return SourceResponse(
        drive=designs.expand(k),
        probe=whole,
        limit=float(k @ scatter.anchor_moment @ probe),
        shift=float(k @ scatter.moment_shift @ probe),
    )
