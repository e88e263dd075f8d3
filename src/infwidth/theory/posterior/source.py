"""The source's posterior as a population of particles, solved once for all couplings."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.numerics.status import Status
from infwidth.theory.posterior.anchor import DRAWS, SourceChain
from infwidth.theory.posterior.answer import Certificate
from infwidth.theory.posterior.coordinates import Coordinates
from infwidth.theory.posterior.particles import Layer, Population
from infwidth.theory.posterior.saddle import CAREFUL, Saddle, descend
from infwidth.theory.posterior.windows import SWEEPS, observe_windows
from infwidth.theory.problem import BayesProblem


class Source:
    """The source's population at its solution; it can be moved on for fresh draws of W̄."""

    def __init__(
        self,
        where: Coordinates,
        labels: Tensor,
        phi: Activation,
        problem: BayesProblem,
        count: int,
        drawing: torch.Generator,
    ):
        """Take the inputs, ȳ (P1,), φ, the problem's scales, the number of particles and the stream of ``drawn``."""
        self.where, self.labels, self.count, self.prior_precision = where, labels, count, problem.prior_precision
        self.strength, self.beta = problem.strengths[0], problem.inverse_temperatures[0]
        self.max_iterations, self.drawing = problem.max_iterations, drawing
        self._moments: list[Tensor] = []  # of one chain, in the source's basis, once a target has asked for them
        self.layer = Layer(where.source, phi, self.strength**2 / self.prior_precision, self.prior_precision)

    def solve(self, generator: torch.Generator, checking: torch.Generator) -> None:
        """Solve, and once more with care where the certificate does not hold; ``status`` says how it ended."""
        origin = self.layer.inputs.new_zeros(1, self.layer.inputs.shape[1])
        for schedule in ({}, CAREFUL):
            self.population = Population.prior(origin, self.count, self.count, self.prior_precision, generator)
            self.saddle = descend(
                self.layer,
                self.population,
                self.labels,
                strength=self.strength,
                inverse_temperature=self.beta,
                readout_precision=self.prior_precision,
                max_iterations=self.max_iterations,
                **schedule,
            )
            # Not to have found a solution is final; not to hold it is not yet.
            self.status = self.saddle.status
            if self.status is not Status.CONVERGED or self._holds(checking):
                break
            self.status = Status.UNMIXED

    def _holds(self, generator: torch.Generator) -> bool:
        """Whether g still is the solution when the particles have moved on from where it was fitted to them."""
        copy = self.chain(generator).population
        scales = {"strength": self.strength, "inverse_temperature": self.beta}
        for _ in range(SWEEPS):
            copy.move(self.layer, self.saddle.dual)
        nowhere = self.layer.inputs[:0], self.layer.inputs.new_zeros(0)
        averages = observe_windows(
            copy,
            self.layer,
            self.saddle.dual,
            self.labels,
            nowhere,
            lambda _: copy.move(self.layer, self.saddle.dual),
            sweeps=SWEEPS,
            readout_precision=self.prior_precision,
            **scales,
        )
        return Certificate.of(averages, self.saddle.dual, self.labels, **scales).closed

    def chain(self, generator: torch.Generator) -> SourceChain:
        """A copy of the particles to draw W̄ from."""
        return SourceChain(self.population, self.layer, self.saddle.dual, self.where, self.prior_precision, generator)

    def drawn(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield ``DRAWS`` draws of W̄ in the target's basis, (count, d), the same at every coupling but for what the
        source leaves open.
        """
        if not self._moments:
            chain = self.chain(self.drawing)
            self._moments.extend(chain.advance() for _ in range(DRAWS))
        return (self.where.lift(hidden, self.prior_precision, generator) for hidden in self._moments)

    def seen_from(self, where: Coordinates) -> Source:
        """The same source, its draws those of the same chain, for a target of a basis of its own."""
        found = copy.copy(self)
        found.where = where
        return found


class GivenSource:
    """A source known by its weights: its neurons are the particles of W̄."""

    status = Status.CONVERGED

    def __init__(self, hidden: Tensor, count: int):
        """Take W̄ (N, D) and the number of particles a draw has."""
        self.hidden, self.count = hidden, count
        nothing = hidden.new_zeros(0).double()
        self.saddle = Saddle(nothing, nothing.new_zeros(0, 0), 1.0, 0, self.status)

    def chain(self, generator: torch.Generator) -> GivenChain:
        """Draws of W̄ on a random stream."""
        return GivenChain(self.hidden, self.count, generator)

    def drawn(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield ``DRAWS`` draws of W̄, (count, D)."""
        chain = self.chain(generator)
        return (chain.draw() for _ in range(DRAWS))


class GivenChain:
    """Draws of given neurons, each as often as any other, in random order."""

    def __init__(self, hidden: Tensor, count: int, generator: torch.Generator):
        """Take W̄ (N, D), the particles a draw has, and the random stream."""
        self.hidden, self.count, self.generator = hidden, count, generator

    def draw(self) -> Tensor:
        """W̄, (count, D)."""
        rounds = -(-self.count // len(self.hidden))
        order = [torch.randperm(len(self.hidden), generator=self.generator) for _ in range(rounds)]
        return self.hidden[torch.cat(order)[: self.count].to(self.hidden.device)]
