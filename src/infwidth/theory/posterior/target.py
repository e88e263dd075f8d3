"""A target's posterior at one coupling as a population of particles."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.numerics.status import Status
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory import elastic
from infwidth.theory.posterior.anchor import DRAWS, control_variate
from infwidth.theory.posterior.answer import Certificate, answer, expand_outputs
from infwidth.theory.posterior.coordinates import Coordinates
from infwidth.theory.posterior.cross_validation import leave_folds_out
from infwidth.theory.posterior.evidence import log_evidence_density
from infwidth.theory.posterior.finite_width import Posterior, TrialPoints, expand_target
from infwidth.theory.posterior.folds import FoldsLeftOut
from infwidth.theory.posterior.neurons import Neurons
from infwidth.theory.posterior.particles import Layer, Population
from infwidth.theory.posterior.saddle import CAREFUL, Saddle, descend
from infwidth.theory.posterior.solution import BayesSolution
from infwidth.theory.posterior.source import GivenSource, Source
from infwidth.theory.posterior.windows import SWEEPS, Windows, observe_windows
from infwidth.theory.problem import BayesProblem
from infwidth.theory.solution import FiniteWidth

STIFF = 1.0
"""From this δ/λ on the noise of an average comes from the source's particles: two target particles on each, below
eight. Averages over fresh draws of the source's would be cheaper still but need 20 or more moves each to forget the
last draw: with three moves erf networks at δ = 1 are 8 % off."""

KEPT, APART = 4, 4
"""Moments at which neurons are kept, and moves between them."""


@dataclass(frozen=True)
class Data:
    """A transfer task as the particles see it.

    Attributes:
        where: the inputs.
        labels: y of the target's training points, (P,), or (P, r) in r directions of output space.
        test_labels: (Pt,), or (Pt, C) of all outputs.
        activation: φ.
        count: particles of the source and of a target without anchor; others have twice as many.
        basis: the directions of output space, (C, r); None of one output without an axis of its own.
    """

    where: Coordinates
    labels: Tensor
    test_labels: Tensor
    activation: Activation
    count: int
    basis: Tensor | None = None


class Target:
    """The target's population at one coupling."""

    def __init__(
        self,
        problem: BayesProblem,
        data: Data,
        source: Source | GivenSource | None,
        elastic_coupling: float,
        generator: torch.Generator,
    ):
        """Take the source to be tied to, which has to have a solution; None at δ = 0."""
        self.data, self.source, self.elastic_coupling, self.generator = data, source, elastic_coupling, generator
        self.task = problem.task
        self.prior_precision, self.max_iterations = problem.prior_precision, problem.max_iterations
        self.strength, self.beta = problem.strengths[1], problem.inverse_temperatures[1]
        self.pull, stiffness = (f(self.prior_precision, elastic_coupling) for f in (elastic.pull, elastic.stiffness))
        self.layer = Layer(data.where.target, data.activation, self.strength**2 / self.prior_precision, stiffness)
        self.spread = math.sqrt(1 / stiffness + self.pull**2 / self.prior_precision)
        self.test_points = data.where.test, data.where.norms_outside * self.spread
        self.folds, self.folds_solved, self.leave_each = problem.folds, problem.folds_solved, problem.leave_each
        self.chain = None if source is None else source.chain(generator)
        self.iterations, self.shots = 0, []

    @property
    def frozen(self) -> bool:
        """Whether the hidden weights are the source's (δ = ∞)."""
        return math.isinf(self.elastic_coupling)

    @property
    def scales(self) -> dict[str, float]:
        """γ, β and λ_w as keywords."""
        return {"strength": self.strength, "inverse_temperature": self.beta, "readout_precision": self.prior_precision}

    def solve(
        self, *, evidence: bool, shown_every: int | None, streams: tuple[torch.Generator, torch.Generator | None]
    ) -> BayesSolution | None:
        """Solve, and once more with care where the certificate does not hold.

        Args:
            evidence: whether to measure the log-evidence.
            shown_every: sweeps from one population kept in ``shots`` to the next; None keeps none.
            streams: random streams of the folds, and of the neurons to keep; None keeps none.

        Returns:
            The answer; None where ``saddle`` has no solution.
        """
        labels = self.data.labels
        for schedule in ({}, CAREFUL):
            self.population, anchors, self.saddle = self._frozen() if self.frozen else self._descend(schedule)
            self.iterations += self.saddle.iterations
            if self.saddle.status is not Status.CONVERGED:
                return None
            averages = self._observe(shown_every)
            judged = {"strength": self.strength, "inverse_temperature": self.beta}
            if self.frozen or Certificate.of(averages, self.saddle.dual, labels, **judged).closed:
                break
        margins = [self.saddle.margin] if self.source is None else [self.source.saddle.margin, self.saddle.margin]
        if self.source is not None and not self.frozen:
            self._correct(averages, anchors)
        found = answer(averages, self.saddle.dual, labels, self.data.test_labels, **self.scales, basis=self.data.basis)
        left_out, kept = self._leave_folds_out(averages, schedule, streams[0]), streams[1] and self._keep(streams[1])
        value, error = math.nan, math.nan
        if evidence:  # last, as it takes the particles back to their prior
            value, error = log_evidence_density(
                self.population, self.layer, self.saddle.dual, labels, frozen=self.frozen, **self.scales
            )
        return dataclasses.replace(
            found,
            expand=self._expansion(found.prediction),
            domain_margin=min(margins),
            iterations=self.iterations,
            log_evidence_density=value,
            folds_left_out=left_out,
            neurons=kept,
            stderr={**found.stderr, "log_evidence_density": error},
        )

    def _expansion(self, prediction: np.ndarray) -> Callable[..., FiniteWidth] | None:
        """What measures the finite width of this solution, without these particles; a given source's is not known."""
        if isinstance(self.source, GivenSource):
            return None
        where, labels = self.data.where, self.data.test_labels
        errors = torch.tensor(prediction).to(labels) - labels
        trial_points = TrialPoints(where.test, where.norms_outside, errors)
        inputs = self.layer.inputs
        training_points = TrialPoints(inputs, inputs.new_zeros(len(inputs)), -self.saddle.dual / self.beta)
        source = self.source
        tied = (
            None
            if source is None
            else Posterior(source.layer, source.saddle.dual, source.strength, source.beta, source.prior_precision)
        )
        target = Posterior(self.layer, self.saddle.dual, self.strength, self.beta, self.prior_precision)
        seed = self.generator.initial_seed()
        return functools.partial(
            _expand,
            self.task,
            *(target, tied, source, trial_points, training_points),
            *(self.elastic_coupling, self.data.count, seed),
        )

    def _observe(self, shown_every: int | None) -> Windows:
        """Averages over sweeps at the solution."""
        self.shots = []

        def advance(sweep: int) -> None:
            if self.frozen:
                self.population.hidden = self.chain.draw()
            else:
                self.population.move(self.layer, self.saddle.dual)
            if shown_every and sweep % shown_every == 0:
                self.shots.append(self.population.hidden @ self.layer.inputs.T)

        return observe_windows(
            self.population,
            self.layer,
            self.saddle.dual,
            self.data.labels,
            self.test_points,
            advance,
            sweeps=SWEEPS,
            frozen=self.frozen,
            **self.scales,
        )

    def _correct(self, averages: Windows, anchors: Tensor) -> None:
        """Free averages of the noise of the draw of W̄ they were taken at."""
        fits = self.prior_precision * averages.fits.mean(0)
        shifts = control_variate(
            self.source.drawn(self.generator),
            anchors,
            self.pull,
            self.layer,
            self.saddle.dual,
            fits,
            self.test_points,
            self.generator,
        )
        averages.correction += shifts[0] / self.prior_precision
        averages.test_correction += shifts[1] / self.prior_precision

    def _leave_folds_out(
        self, averages: Windows, schedule: dict[str, float], generator: torch.Generator
    ) -> FoldsLeftOut | None:
        """Cross-validation, where there are folds, with the care that the whole set took; the particles stay."""
        if self.folds is None:
            return None
        where = self.population, self.layer, self.saddle.dual, averages, self.data.labels
        kind = {"frozen": self.frozen, "basis": self.data.basis, "leave_each": self.leave_each}
        kind["descent"] = {"max_iterations": self.max_iterations, **schedule}
        return leave_folds_out(*where, self.folds, self.folds_solved, generator, **kind, **self.scales)

    def _keep(self, generator: torch.Generator) -> Neurons:
        """Neurons from ``KEPT`` moments, with readouts by ridge regression on their features."""
        population, parts = self.population.copy(generator), []
        for _ in range(KEPT):
            for _ in range(APART):
                if self.frozen:
                    population.hidden = self.chain.draw()
                else:
                    population.move(self.layer, self.saddle.dual)
            parts.append(population.hidden)
        hidden = torch.cat(parts)
        features = self.layer.features(hidden).double()
        kernel = features.T @ features / (len(features) * self.prior_precision)
        kernel += torch.eye(len(kernel)).to(kernel) / self.beta
        readout = features @ torch.linalg.solve(kernel, self.data.labels) / (len(features) * self.prior_precision)
        hidden = self.data.where.expand(hidden, self.spread, generator).double()
        readout = expand_outputs(readout[None], self.data.basis)[0]
        return Neurons(self.data.activation.name, hidden.cpu().numpy(), readout.cpu().numpy())

    def _descend(self, schedule: dict[str, float]) -> tuple[Population, Tensor | None, Saddle]:
        """Particles at the solution, and the draws W̄ they are tied to."""
        population, anchors = self._prior()
        saddle = descend(
            self.layer,
            population,
            self.data.labels,
            max_iterations=self.max_iterations,
            **self.scales,
            **schedule,
        )
        return population, anchors, saddle

    def _frozen(self) -> tuple[Population, None, Saddle]:
        """δ = ∞: the source's own particles, and ridge regression on their kernel."""
        labels, count = self.data.labels, self.data.count
        population = Population(self.chain.draw(), self.layer.inputs.new_zeros(1, 1), 1, self.generator)
        kernel = 0.0
        for hidden in self.source.drawn(self.generator):
            features = self.layer.features(hidden)
            kernel = kernel + (features.T @ features).double() / (DRAWS * count)
        noisy = kernel / self.prior_precision + torch.eye(len(labels)).to(labels) / self.beta
        dual = torch.linalg.solve(noisy, labels)
        return population, None, Saddle(dual, kernel / self.prior_precision, 1.0, 1, Status.CONVERGED)

    def _prior(self) -> tuple[Population, Tensor | None]:
        """Particles before they see the target, around draws W̄ of the source where there is one; and these draws."""
        inputs, count, stiffness = self.layer.inputs, self.data.count, self.layer.stiffness
        if self.chain is None:
            origin = inputs.new_zeros(1, inputs.shape[1])
            return Population.prior(origin, count, count, stiffness, self.generator), None
        siblings, total = 8 if self.elastic_coupling < STIFF * self.prior_precision else 2, 2 * count
        # Every k-th particle, so that blocks of groups come from blocks of the source.
        anchors = self.chain.draw()[:: count * siblings // total].clone()
        centre = self.pull * anchors.repeat_interleave(siblings, 0)
        return Population.prior(centre, total, siblings, stiffness, self.generator), anchors


def _expand(task: TransferTask, *expansion: Any, **options: Any) -> FiniteWidth:
    """``expand_target`` of networks of one output."""
    task.refuse_several_outputs("finite_width")
    return expand_target(*expansion, **options)
