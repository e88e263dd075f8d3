"""What a posterior's loss gains at finite width, from neurons sampled at infinite width (docs/finite_width.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from infwidth.numerics.seeds import derive_seed
from infwidth.theory import elastic
from infwidth.theory.posterior.anchor import SourceChain
from infwidth.theory.posterior.particles import Layer, Population
from infwidth.theory.posterior.windows import BLOCKS
from infwidth.theory.solution import PARTS, FiniteWidth

SIBLINGS = 8
"""Target neurons of one source neuron: cumulants of third order are taken among them."""
SETTLING = 40
"""Moves from the prior before anything is measured."""
MOVES = 2
"""Moves between two measurements."""
CHUNK = 256
"""Test points held at once."""


@dataclass(frozen=True)
class Posterior:
    """A posterior at its saddle point.

    Attributes:
        layer: the tilt.
        dual: g, (P,).
        strength: γ.
        inverse_temperature: β.
        prior_precision: λ of all weights.
    """

    layer: Layer
    dual: Tensor
    strength: float
    inverse_temperature: float
    prior_precision: float

    def outputs(self, hidden: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A readout w ~ N(γs/λ_w, 1/λ_w) of each neuron, (S,), and a = wφ on the training points, (S, P)."""
        features = self.layer.features(hidden)
        score = features @ self.dual.to(features.dtype)
        noise = torch.randn(score.shape, generator=generator, dtype=score.dtype, device=score.device)
        readout = self.strength * score / self.prior_precision + noise / math.sqrt(self.prior_precision)
        return readout, (readout[:, None] * features).double()

    def regularised(self, covariance: Tensor) -> Tensor:
        """(H + I/β)⁻¹, (P, P)."""
        return torch.linalg.inv(covariance + torch.eye(len(covariance)).to(covariance) / self.inverse_temperature)


@dataclass(frozen=True)
class TrialPoints:
    """Test points.

    Attributes:
        inputs: x/√D in the target's basis, (Pt, d).
        norms_outside: norms of the part outside it, (Pt,).
        errors: f − y at N = ∞, (Pt,).
    """

    inputs: Tensor
    norms_outside: Tensor
    errors: Tensor


class Chained(Protocol):
    """A source at its solution that can be moved on for fresh draws of W̄."""

    def chain(self, generator: torch.Generator) -> SourceChain:
        """A copy of its particles."""


def expand_target(
    target: Posterior,
    source: Posterior | None,
    chained: Chained | None,
    trial_points: TrialPoints,
    training_points: TrialPoints,
    elastic_coupling: float,
    count: int,
    seed: int,
    *,
    on_training: bool = False,
) -> FiniteWidth:
    """Sample a target's neurons anew and measure c.

    Args:
        target: the target at its saddle point.
        source: the source at its own; None without a tie.
        chained: the source's particles; None without a tie.
        trial_points: test points, on which the loss is taken.
        training_points: the target's, on which it is taken instead where ``on_training``.
        elastic_coupling: δ.
        count: target neurons, a multiple of ``BLOCKS`` × ``SIBLINGS``.
        seed: of the neurons.
        on_training: whether the loss is the training loss.
    """
    generator = torch.Generator(target.dual.device).manual_seed(derive_seed(seed, "finite width"))
    source_chain = None if chained is None else chained.chain(generator)
    stream = NeuronStream(target, source, source_chain, elastic_coupling, count, generator)
    return measure(stream, training_points if on_training else trial_points)


@dataclass
class Sample:
    """Target neurons in groups of R that share a source neuron, and that neuron's output, at one moment.

    Attributes:
        readout: w, (G, R).
        hidden: W, (G, R, d).
        outputs: a = wφ on the target's training points, (G, R, P).
        drawn: ā = w̄φ on the source's, (G, P1), or None without a tie.
    """

    readout: Tensor
    hidden: Tensor
    outputs: Tensor
    drawn: Tensor | None


class NeuronStream:
    """Samples of a target's neurons and of the source neurons they are tied to."""

    def __init__(
        self,
        target: Posterior,
        source: Posterior | None,
        source_chain: SourceChain | None,
        elastic_coupling: float,
        count: int,
        generator: torch.Generator,
    ):
        """Prepare ``count`` neurons, a multiple of ``BLOCKS`` × ``SIBLINGS``."""
        self.target, self.source, self.source_chain, self.generator = target, source, source_chain, generator
        self.frozen, self.count = math.isinf(elastic_coupling), count
        self.pull = 0.0 if source_chain is None else elastic.pull(target.prior_precision, elastic_coupling)
        self.siblings = count // BLOCKS if source_chain is None else SIBLINGS

    def rounds(self, rounds: int, sweeps: int) -> Iterator[Sample]:
        """Yield ``sweeps`` samples from each of ``rounds`` draws of the source neurons."""
        layer, groups = self.target.layer, self.count // self.siblings
        if self.frozen:  # there is nothing to settle: every sample has source neurons of its own
            rounds, sweeps = rounds * sweeps, 1
        for _ in range(rounds):
            if self.source_chain is None:
                anchors, own = layer.inputs.new_zeros(1, layer.inputs.shape[1]), None
            else:
                own = self.source_chain.advance()[:: len(self.source_chain.population.hidden) // groups][
                    :groups
                ].clone()
                anchors = self.pull * self.source_chain.where.lift(own, self.target.prior_precision, self.generator)
                anchors = anchors.repeat_interleave(self.siblings, 0)
            if self.frozen:
                population = Population(anchors, anchors, self.siblings, self.generator)
            else:
                population = Population.prior(anchors, self.count, self.siblings, layer.stiffness, self.generator)
                for _ in range(SETTLING):
                    population.move(layer, self.target.dual)
            for _ in range(sweeps):
                for _ in range(0 if self.frozen else MOVES):
                    population.move(layer, self.target.dual)
                readout, outputs = self.target.outputs(population.hidden, self.generator)
                drawn = None if own is None else self.source.outputs(own, self.generator)[1]
                shape = (groups, self.siblings)
                yield Sample(readout.view(shape), population.hidden.view(*shape, -1), outputs.view(*shape, -1), drawn)

    def test_outputs(self, sample: Sample, trial_points: TrialPoints, part: slice) -> Tensor:
        """Outputs wφ(x) on some test points, (G, R, n); what x has outside the basis meets Gaussian weights."""
        groups, siblings = sample.readout.shape
        field, outside = sample.hidden @ trial_points.inputs[part].T, trial_points.norms_outside[part]
        if bool((outside > 0).any()):
            own = 0.0 if self.frozen else self.target.layer.stiffness**-0.5
            field = field + outside * own * self._normal(groups, siblings, len(outside))
            field = field + outside * self.pull * self.target.prior_precision**-0.5 * self._normal(
                groups, 1, len(outside)
            )
        return (sample.readout[..., None] * self.target.layer.activation.value(field)).double()

    def _normal(self, *shape: int) -> Tensor:
        like = self.target.layer.inputs
        return torch.randn(shape, generator=self.generator, dtype=like.dtype, device=like.device)


def measure(stream: NeuronStream, trial_points: TrialPoints, *, rounds: int = 2, sweeps: int = 12) -> FiniteWidth:
    """Measure c of eq. (F5) for any activation by eqs. (F2) to (F4).

    Args:
        stream: where samples come from.
        trial_points: the points on which the loss is taken.
        rounds: draws of the source neurons, of each of two stages: covariances first, then what they weight.
        sweeps: samples from each.

    Returns:
        The coefficients, with standard errors from independent blocks of neurons.
    """
    first = _covariances(stream, trial_points, rounds, sweeps)
    parts = torch.zeros(3, BLOCKS, dtype=torch.float64)
    for sample in stream.rounds(rounds, sweeps):
        parts += _parts(sample, stream, trial_points, first).cpu() / (rounds * sweeps)
    parts[1] += first.thermal_offset
    parts[2] += first.source_offset
    loss = float(trial_points.errors.square().mean())
    total = parts.sum(0)

    def numbers(parts: Tensor, total: Tensor) -> dict[str, float]:
        values = [*parts.tolist(), float(total), 100 * abs(float(total)) / loss]
        return dict(zip(PARTS, values, strict=True))

    root = math.sqrt(BLOCKS)
    error = numbers(parts.std(1) / root, total.std() / root)
    return FiniteWidth(**numbers(parts.mean(1), total.mean()), stderr=error | {"spread": math.nan})


@dataclass(frozen=True)
class Covariances:
    """What the second stage takes for known; errors of the coefficients enter to second order alone.

    Attributes:
        inverse: A⁻¹, (P, P).
        regression: Cov(wφ(x), a)A⁻¹ on the test points, (Pt, P).
        source_covariance: Cov_src⊥(ā, ā), Q/γ², (P, P).
        source_inverse: Ā⁻¹, (P1, P1), or None.
        source_regression: Cov_src(o(x), a_src)Ā⁻¹ on the test points, (Pt, P1).
        mean_regression: the same for ā of the training points, (P, P1).
        source_mean: E a_src, (P1,).
        thermal_offset: mean over test points of |regression|²/(βγ²).
        source_offset: of |source_regression|²/(β̄γ²).
    """

    inverse: Tensor
    regression: Tensor
    source_covariance: Tensor
    source_inverse: Tensor | None
    source_regression: Tensor | None
    mean_regression: Tensor | None
    source_mean: Tensor | None
    thermal_offset: float
    source_offset: float


def _covariances(stream: NeuronStream, trial_points: TrialPoints, rounds: int, sweeps: int) -> Covariances:
    """The first stage."""
    target, total = stream.target, rounds * sweeps
    size, points = len(target.dual), len(trial_points.inputs)
    within, cross = torch.zeros(size, size).to(target.dual), torch.zeros(points, size).to(target.dual)
    square, middle = torch.zeros_like(within), torch.zeros_like(target.dual)
    drawn_square = drawn_mean = mixed = mixed_test = test_mean = 0.0
    for sample in stream.rounds(rounds, sweeps):
        groups, siblings = sample.readout.shape
        means = sample.outputs.mean(1)
        centred = sample.outputs - means[:, None]
        share = 1 / (groups * (siblings - 1) * total)
        within += share * torch.einsum("grp,grq->pq", centred, centred)
        square += means.T @ means / (groups * total)
        middle += means.mean(0) / total
        if sample.drawn is not None:
            drawn_square = drawn_square + sample.drawn.T @ sample.drawn / (groups * total)
            drawn_mean = drawn_mean + sample.drawn.mean(0) / total
            mixed = mixed + means.T @ sample.drawn / (groups * total)
        test_means, test_mixed = [], []
        for start in range(0, points, CHUNK):
            part = slice(start, start + CHUNK)
            outside = stream.test_outputs(sample, trial_points, part)
            cross[part] += share * torch.einsum("grn,grp->np", outside, centred)
            if sample.drawn is not None:
                test_means.append(outside.mean((0, 1)))
                test_mixed.append(outside.mean(1).T @ sample.drawn / groups)
        if sample.drawn is not None:
            test_mean = test_mean + torch.cat(test_means) / total
            mixed_test = mixed_test + torch.cat(test_mixed) / total
    inverse = target.regularised(within)
    regression = cross @ inverse
    scale = points * target.strength**2
    thermal_offset = float(regression.square().sum()) / (target.inverse_temperature * scale)
    if stream.source is None:
        return Covariances(inverse, regression, torch.zeros_like(within), *[None] * 4, thermal_offset, 0.0)
    source_inverse = stream.source.regularised(drawn_square - torch.outer(drawn_mean, drawn_mean))
    mixed = mixed - torch.outer(middle, drawn_mean)
    mixed_test = mixed_test - torch.outer(test_mean, drawn_mean) - regression @ mixed
    source_regression, mean_regression = mixed_test @ source_inverse, mixed @ source_inverse
    source_covariance = square - torch.outer(middle, middle) - within / stream.siblings - mean_regression @ mixed.T
    offset = float(source_regression.square().sum()) / (stream.source.inverse_temperature * scale)
    return Covariances(
        inverse,
        regression,
        source_covariance,
        source_inverse,
        source_regression,
        mean_regression,
        drawn_mean,
        thermal_offset,
        offset,
    )


def _parts(sample: Sample, stream: NeuronStream, trial_points: TrialPoints, first: Covariances) -> Tensor:
    """Mean, thermal and source part of one sample, block by block, (3, B), without the offsets."""
    groups, siblings = sample.readout.shape
    points, strength = len(trial_points.inputs), stream.target.strength
    parts = torch.zeros(3, BLOCKS, dtype=torch.float64, device=sample.outputs.device)
    probe = torch.zeros(groups, siblings).to(sample.outputs)  # Σ_x t_x O⊥(x), t = 2(f − y)/Pt
    probe_gain = 0.0

    def blocks(values: Tensor) -> Tensor:
        return values.view(BLOCKS, -1).mean(1)

    for start in range(0, points, CHUNK):
        part = slice(start, start + CHUNK)
        rest = (stream.test_outputs(sample, trial_points, part) - sample.outputs @ first.regression[part].T) / strength
        means = rest.mean(1)
        spread = (rest - means[:, None]).square().sum(1) / (siblings - 1)
        parts[1] += blocks(spread.sum(1)) / points
        weights = 2 * trial_points.errors[part] / points
        probe += rest @ weights
        if sample.drawn is not None:
            gain = first.source_regression[part] / strength
            probe_gain = probe_gain + weights @ gain
            left = means - sample.drawn @ gain.T
            left = left - left.mean(0)
            parts[2] += blocks((left.square() - spread / siblings).sum(1)) / points
    middle = sample.outputs.mean(1)
    own, moved = probe - probe.mean(1, keepdim=True), sample.outputs - middle[:, None]
    weight = 0.5 * (first.inverse @ first.source_covariance @ first.inverse - first.inverse)
    third = siblings / ((siblings - 1) * (siblings - 2))
    parts[0] += blocks(third * (own * torch.einsum("grp,pq,grq->gr", moved, weight, moved)).sum(1))
    if sample.drawn is not None:
        drawn = sample.drawn - first.source_mean
        left = probe.mean(1) - sample.drawn @ probe_gain
        quadratic = torch.einsum("gp,pq,gq->g", drawn, first.source_inverse, drawn)
        # centring both factors changes no sum and takes from the blocks what they do not share
        parts[0] -= 0.5 * blocks((left - left.mean()) * (quadratic - quadratic.mean()))
        response = (own[..., None] * moved).sum(1) / (siblings - 1)
        around = middle - middle.mean(0) - drawn @ first.mean_regression.T
        common = torch.einsum("gp,pq,gq->g", response - response.mean(0), first.inverse, around)
        skew = (own * torch.einsum("grp,pq,grq->gr", moved, first.inverse, moved)).sum(1)
        parts[0] -= blocks(common - third * skew / siblings)
    return parts
