"""Averages over the source's particles by a control variate: what frozen source features predict."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from infwidth.theory.posterior.coordinates import Coordinates
from infwidth.theory.posterior.particles import Layer, Population, scored_features
from infwidth.theory.posterior.windows import BLOCKS, features_outside

DRAWS = 16
"""Draws of the source's particles that the control variate averages over."""
MOVES = 2
"""Moves between two of them."""


class SourceChain:
    """The source's particles at its solution, moved on for fresh draws of W̄; a particle stays in its block."""

    def __init__(
        self,
        population: Population,
        layer: Layer,
        dual: Tensor,
        where: Coordinates,
        prior_precision: float,
        generator: torch.Generator,
    ):
        """Start from copies of the particles, so that every coupling's chain is its own."""
        self.layer, self.dual, self.where, self.prior_precision = layer, dual, where, prior_precision
        self.population = Population(population.hidden.clone(), population.centre, population.siblings, generator)
        self.population.angle, self.population.modes = population.angle, population.modes

    def advance(self) -> Tensor:
        """Move on; W̄ in the source's basis, (S, r1)."""
        for _ in range(MOVES):
            self.population.move(self.layer, self.dual)
        return self.population.hidden

    def draw(self) -> Tensor:
        """Move on; W̄ in the target's basis, (S, d)."""
        return self.where.lift(self.advance(), self.prior_precision, self.population.generator)


def frozen_fits(
    hidden: Tensor, layer: Layer, dual: Tensor, test_points: tuple[Tensor, Tensor] | None, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """Block means of φ(h)(g·φ(h)) at weights (S, d): on the training points (B, P), on the test points (B, Pt); of C
    outputs, the fastest running, (B, PC) and (B, PtC).
    """
    features = layer.features(hidden)
    score = features @ dual.to(features.dtype)
    train = scored_features(features, score).view(BLOCKS, -1, dual.numel()).mean(1).double()
    if test_points is None:
        return train, None
    scores = score.view(BLOCKS, len(hidden) // BLOCKS, -1)
    test = score.new_zeros(BLOCKS, len(test_points[0]), scores.shape[2])
    for block, part, outside in features_outside(hidden, layer, test_points, generator):
        test[block, part] = outside.T @ scores[block] / len(outside)
    return train, test.flatten(1).double()


def control_variate(
    anchor_draws: Iterable[Tensor],
    anchors: Tensor,
    pull: float,
    layer: Layer,
    dual: Tensor,
    fits: Tensor,
    test_points: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """What to add to block averages of f̂ to free them of the noise of the draw of W̄ they were taken at.

    The variate is ψ(W̄) = φ(m)(g·φ(m)), m = δW̄/L, the features frozen at the prior's mean. Its average over many
    draws is known better than at one, and at large δ it goes with f̂. Blocks stay independent of one another.

    Args:
        anchor_draws: ``DRAWS`` draws of the source's particles in the target's basis, (S, d) each.
        anchors: W̄ of the target's groups, (G, d).
        pull: δ/L.
        layer: the target's tilt.
        dual: g, (P,) or (P, C).
        fits: λ_w f̂ of the target on the training points, (B, P).
        test_points: as in ``observe_windows``.
        generator: the random stream.

    Returns:
        Corrections of λ_w f̂ on the training points, (B, P), and on the test points, (B, Pt).
    """
    here, here_test = frozen_fits(pull * anchors, layer, dual, test_points, generator)
    mean, mean_test = torch.zeros_like(here), torch.zeros_like(here_test)
    for number, draw in enumerate(anchor_draws):
        with_tests = number % 2 == 1
        train, test = frozen_fits(pull * draw, layer, dual, test_points if with_tests else None, generator)
        mean += train / DRAWS
        if with_tests:
            mean_test += test / (DRAWS // 2)
    # Least squares of f̂ on ψ over blocks and points, one number: it is 1 at δ = ∞ and fades as δ → 0.
    a, b = here - here.mean(0), fits - fits.mean(0)
    slope = float((a * b).sum() / a.square().sum().clamp(min=1e-300))
    slope = min(max(slope, 0.0), 2.0)
    return slope * (mean - here), slope * (mean_test - here_test)
