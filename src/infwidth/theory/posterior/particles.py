"""Neurons of one Bayesian posterior as particles, and the moves that keep their law (docs/theory.md §1 eq. (2)).

The readout weight is Gaussian given the hidden ones, so it is integrated out: a particle is a hidden weight W with

    p(W | W̄) ∝ exp( −½ L |W − m|² + ½ (γ²/λ_w) s(W)² ),    s = Σ_μ g_μ φ(W·x_μ/√D),  L = λ_W + δ,  m = δ W̄/L

Particles are held in single precision, as their scatter hides its rounding; what is averaged over them and solved
for is in double.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from infwidth.numerics.activations import Activation

ACCEPTANCE = 0.85
LEAPS = 3
"""Kicks of one Hamiltonian trajectory."""
LONGEST = 0.6
"""Largest angle of the prior's rotation between two kicks; three of them make about a quarter turn."""
FAR = 1e8
"""Preactivations at which an activation of linear growth shows its asymptote."""


@dataclass(frozen=True)
class Layer:
    """What one posterior's tilt is made of.

    Attributes:
        inputs: X/√D in the particles' coordinates, (P, d).
        activation: φ.
        rate: γ²/λ_w.
        stiffness: L = λ_W + δ.
    """

    inputs: Tensor
    activation: Activation
    rate: float
    stiffness: float

    def __post_init__(self) -> None:
        largest = torch.finfo(torch.float32).max
        if self.rate > largest or largest < self.stiffness < math.inf:
            raise OverflowError(f"γ²/λ = {self.rate:g} or λ + δ = {self.stiffness:g} is out of the particles' range")

    def features(self, hidden: Tensor) -> Tensor:
        """φ(h) of particles (S, d) on the training points, (S, P)."""
        return self.activation.value(hidden @ self.inputs.T)

    def tilt(self, fields: Tensor, dual: Tensor) -> tuple[Tensor, Tensor]:
        """½(γ²/λ_w)s², (S,), at preactivations (S, P), and its gradient in W, (S, d)."""
        dual = dual.to(fields.dtype)
        score = self.activation.value(fields) @ dual
        slope = (self.activation.derivative(fields) * dual) @ self.inputs
        return 0.5 * self.rate * score**2, (self.rate * score)[:, None] * slope

    def margin(self, dual: Tensor, starts: Tensor) -> float:
        """Domain margin q = 1 − γ² max_{|v|=1}(g·φ_∞(Xv/√D))²/(Lλ_w), by ascent from directions (n, d).

        1 where φ is bounded: its tilt is normalisable for every g. The maximum found is a local one.
        """
        if self.activation.growth == 0:
            return 1.0
        best, inputs, starts = 0.0, self.inputs.double(), starts.double()
        v = starts / starts.norm(dim=1, keepdim=True).clamp(min=1e-300)
        for _ in range(30):
            fields = FAR * (v @ inputs.T)
            score = self.activation.value(fields) @ dual / FAR
            best = max(best, float(score.abs().max()))
            slope = (self.activation.derivative(fields) * dual) @ inputs
            v = v * slope.norm(dim=1, keepdim=True) + score.sign()[:, None] * slope
            v = v / v.norm(dim=1, keepdim=True).clamp(min=1e-300)
        return 1 - self.rate * best**2 / self.stiffness


@dataclass
class Population:
    """Particles in groups that share one source particle W̄; δ = 0 makes a single group.

    Attributes:
        hidden: W, (S, d); a group's particles are neighbours.
        centre: m = δW̄/L, (S, d), or (1, d) zeros.
        siblings: particles a group, R, which share a source particle.
        generator: the random stream.
        log_weight: logarithm of the particles' weights, (S,), normalised within groups when used.
        angle: the adapted angle between kicks.
        acceptance: that of the last trajectory.
        fields: preactivations on the training points, (S, P), where a move has left them.
    """

    hidden: Tensor
    centre: Tensor
    siblings: int
    generator: torch.Generator
    log_weight: Tensor = field(init=False)
    angle: float = 0.5
    acceptance: float = 1.0
    fields: Tensor | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.log_weight = self.hidden.new_zeros(len(self.hidden))

    @classmethod
    def prior(cls, centre: Tensor, count: int, siblings: int, stiffness: float, generator: torch.Generator):
        """Particles W ~ N(m, I/L): ``centre`` is (S, d), or (1, d) for S = ``count`` of one centre."""
        noise = _normal((count, centre.shape[1]), centre, generator)
        return cls(centre + noise / math.sqrt(stiffness), centre, siblings, generator)

    def copy(self, generator: torch.Generator) -> Population:
        """The same particles on a random stream of their own."""
        copy = Population(self.hidden, self.centre, self.siblings, generator)
        copy.log_weight, copy.angle, copy.fields = self.log_weight, self.angle, self.fields
        return copy

    def weights(self) -> Tensor:
        """Weights (S,) that sum to R/S within each group."""
        grouped = torch.softmax(self.log_weight.view(-1, self.siblings), 1)
        return (grouped / len(grouped)).reshape(-1)

    def effective(self) -> float:
        """Mean over groups of the effective sample size over R."""
        grouped = torch.softmax(self.log_weight.view(-1, self.siblings), 1)
        return float((1 / grouped.square().sum(1)).mean()) / self.siblings

    def reweight(self, layer: Layer, features: Tensor, dual: Tensor, moved: Tensor) -> None:
        """Weigh particles of features φ(h), (S, P), as the tilt changes with g from ``dual`` to ``moved``, (P,)."""
        old, new = (features @ torch.stack([dual, moved], 1).to(features.dtype)).unbind(1)
        self.log_weight = self.log_weight + 0.5 * layer.rate * (new**2 - old**2)

    def resample(self) -> None:
        """Systematic resampling within groups; the weights become equal."""
        r = self.siblings
        total = torch.softmax(self.log_weight.view(-1, r), 1).cumsum(1)
        shift = torch.rand(len(total), 1, generator=self.generator, dtype=total.dtype, device=total.device)
        points = (shift + torch.arange(r, device=total.device)) / r
        chosen = torch.searchsorted(total, points).clamp(max=r - 1)
        chosen = chosen + r * torch.arange(len(total), device=total.device)[:, None]
        self.hidden, self.fields = self.hidden[chosen.reshape(-1)], None
        self.log_weight = torch.zeros_like(self.log_weight)

    def features(self, layer: Layer) -> Tensor:
        """φ(h) on the training points, (S, P)."""
        return layer.features(self.hidden) if self.fields is None else layer.activation.value(self.fields)

    def move(self, layer: Layer, dual: Tensor) -> None:
        """One sweep: a reflection, a redraw of norms where φ is homogeneous, and a Hamiltonian trajectory."""
        if self.fields is None:
            self.fields = self.hidden @ layer.inputs.T
        self._reflect(layer, dual)
        if layer.activation.homogeneity == 1:
            self._redraw_norm(layer, dual)
        self._trajectory(layer, dual)

    def _trajectory(self, layer: Layer, dual: Tensor) -> None:
        """Hamiltonian Monte Carlo in z = √L(W − m): exact rotation under the prior between kicks of the tilt."""
        root = math.sqrt(layer.stiffness)
        z = root * (self.hidden - self.centre)
        p = _normal(z.shape, z, self.generator)
        angle = self.angle * (0.7 + 0.6 * self._uniform(1))
        cos, sin = torch.cos(angle), torch.sin(angle)
        fields = self.fields
        tilt, force = layer.tilt(fields, dual)
        energy = 0.5 * (z.square().sum(1) + p.square().sum(1)) - tilt
        p = p + (0.5 * angle / root) * force
        for leap in range(LEAPS):
            z, p = cos * z + sin * p, cos * p - sin * z
            fields = (self.centre + z / root) @ layer.inputs.T
            tilt, force = layer.tilt(fields, dual)
            p = p + ((0.5 if leap == LEAPS - 1 else 1.0) * angle / root) * force
        change = energy - 0.5 * (z.square().sum(1) + p.square().sum(1)) + tilt
        taken = self._uniform(len(z)).log() < change
        self.hidden = torch.where(taken[:, None], self.centre + z / root, self.hidden)
        self.fields = torch.where(taken[:, None], fields, self.fields)
        self.acceptance = float(change.exp().clamp(max=1).nan_to_num(0).mean())
        self.angle = min(self.angle * math.exp(self.acceptance - ACCEPTANCE), LONGEST)

    def _reflect(self, layer: Layer, dual: Tensor) -> None:
        """Propose W → −W: an odd activation has a mode at either sign of s, of unequal weight when m ≠ 0."""
        gain = -2 * layer.stiffness * (self.hidden * self.centre).sum(1)
        dual = dual.to(self.hidden.dtype)
        here, there = (layer.activation.value(sign * self.fields) @ dual for sign in (1, -1))
        gain = gain + 0.5 * layer.rate * (there**2 - here**2)
        taken = self._uniform(len(gain)).log() < gain
        sign = torch.where(taken, -1.0, 1.0).to(self.hidden)[:, None]
        self.hidden, self.fields = sign * self.hidden, sign * self.fields

    def _redraw_norm(self, layer: Layer, dual: Tensor) -> None:
        """Redraw r = |W| given the direction u: density r^(d−1) exp(−½ar² + br), a = L − γ²s(u)²/λ_w, b = L u·m.

        A Gaussian at the mode, wide enough to cover both tails, is the proposal of a Metropolis step.
        """
        r = self.hidden.norm(dim=1)
        u = self.hidden / r[:, None]
        a = layer.stiffness - layer.rate * (layer.activation.value(self.fields / r[:, None]) @ dual.to(r.dtype)) ** 2
        b = layer.stiffness * (u * self.centre).sum(1)
        n = self.hidden.shape[1] - 1
        usable = a > 1e-9 * layer.stiffness  # beyond it the tilt is not normalisable: left to the trajectories
        a = torch.where(usable, a, layer.stiffness)
        root = (b.square() + 4 * a * n).sqrt()
        # Cancellation-free root of a r² − b r − n = 0.
        mode = torch.where(b > 0, (b + root) / (2 * a), 2 * n / (root - b).clamp(min=1e-300)).clamp(min=1e-12)
        width = math.sqrt(2) / (a + n / mode.square()).sqrt()

        def surplus(x: Tensor) -> Tensor:  # log of target over proposal
            return n * x.log() - 0.5 * a * x.square() + b * x + 0.5 * ((x - mode) / width).square()

        here = surplus(r)
        new = mode + width * _normal(mode.shape, mode, self.generator)
        there = torch.where(new > 0, surplus(new.clamp(min=1e-300)), -torch.inf)
        taken = usable & (self._uniform(len(r)).log() < there - here)
        longer = torch.where(taken, new / r, 1.0)[:, None]
        self.hidden, self.fields = longer * self.hidden, longer * self.fields

    def _uniform(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, dtype=self.hidden.dtype, device=self.hidden.device)


def _normal(shape: torch.Size | tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
