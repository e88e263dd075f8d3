"""Neurons of one Bayesian posterior as particles, and the moves that keep their law (docs/theory.md §1 eq. (2)).

The readout weight is Gaussian given the hidden ones, so it is integrated out: a particle is a hidden weight W with

    p(W | W̄) ∝ exp( −½ L |W − m|² + ½ (γ²/λ_w) s(W)² ),    s = Σ_μ g_μ φ(W·x_μ/√D),  L = λ_W + δ,  m = δ W̄/L

Of C outputs g is (P, C), s has C entries a particle, and s² is their sum of squares; one output has no axis of its own.

Particles are held in single precision, as their scatter hides its rounding; what is averaged over them and solved
for is in double.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.theory.posterior.modes import Modes

ACCEPTANCE = 0.85
LEAPS = 3
"""Kicks of one Hamiltonian trajectory."""
LONGEST = 0.6
"""Largest angle of the prior's rotation between two kicks; three of them make about a quarter turn. Where the tilt is
weak on average, fewer and wider ones are refused where it is not: log-evidences come out 2 % too high."""


@dataclass(frozen=True)
class Layer:
    """What one posterior's tilt is made of.

    Attributes:
        inputs: X/√D in the particles' coordinates, (P, d).
        activation: φ.
        sharpness: γ²/λ_w.
        stiffness: L = λ_W + δ.
    """

    inputs: Tensor
    activation: Activation
    sharpness: float
    stiffness: float

    def __post_init__(self) -> None:
        largest = torch.finfo(torch.float32).max
        if self.sharpness > largest or largest < self.stiffness < math.inf:
            raise OverflowError(
                f"γ²/λ = {self.sharpness:g} or λ + δ = {self.stiffness:g} is out of the particles' range"
            )

    def features(self, hidden: Tensor) -> Tensor:
        """φ(h) of particles (S, d) on the training points, (S, P)."""
        return self.activation.value(hidden @ self.inputs.T)

    def score(self, fields: Tensor, dual: Tensor) -> Tensor:
        """s, (S,) or (S, C), at preactivations (S, P), for g of their precision."""
        return self.activation.value(fields) @ dual

    def slope(self, fields: Tensor, dual: Tensor) -> Tensor:
        """Gradient of s in W, (S, d), at preactivations (S, P), for g, (P,) or one a particle, of their precision."""
        return (self.activation.derivative(fields) * dual) @ self.inputs

    def kick(self, momentum: Tensor, fields: Tensor, dual: Tensor, score: Tensor, impulse: float) -> None:
        """Add ``impulse`` times the gradient of ½s² to momenta (S, d), at preactivations (S, P) and their scores."""
        if dual.ndim == 1:
            momentum.addcmul_(self.slope(fields, dual), (impulse * score)[:, None])
        else:
            momentum.add_(self.slope(fields, score @ dual.T), alpha=impulse)


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
        modes: proposals of jumps between modes; None where there is one mode, or none are known.
        acceptance: that of the last trajectory.
        fields: preactivations on the training points, (S, P), where a move has left them.
        known: features at these, (S, P), once they are known.
        centre_fields: preactivations of the centres, (S, P) or (1, P), once they have been asked for.
    """

    hidden: Tensor
    centre: Tensor
    siblings: int
    generator: torch.Generator
    log_weight: Tensor = field(init=False)
    angle: float = 0.5
    modes: Modes | None = None
    acceptance: float = 1.0
    fields: Tensor | None = field(init=False, default=None)
    known: Tensor | None = field(init=False, default=None)
    centre_fields: Tensor | None = field(init=False, default=None)

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
        copy.log_weight, copy.angle, copy.modes = self.log_weight, self.angle, self.modes
        copy.fields, copy.known, copy.centre_fields = self.fields, self.known, self.centre_fields
        return copy

    def forget_points(self) -> None:
        """Drop what is known of the training points, as the next layer's are others."""
        self.fields, self.known, self.centre_fields = None, None, None

    def weights(self) -> Tensor:
        """Weights (S,) that sum to R/S within each group."""
        grouped = torch.softmax(self.log_weight.view(-1, self.siblings), 1)
        return (grouped / len(grouped)).reshape(-1)

    def effective(self) -> float:
        """Mean over groups of the effective sample size over R."""
        grouped = torch.softmax(self.log_weight.view(-1, self.siblings), 1)
        return float((1 / grouped.square().sum(1)).mean()) / self.siblings

    def reweight(self, layer: Layer, features: Tensor, dual: Tensor, moved: Tensor) -> None:
        """Weigh particles of features φ(h), (S, P), as the tilt changes with g from ``dual`` to ``moved``."""
        both = torch.stack([dual, moved], 1).view(len(dual), -1)  # (P, 2), or (P, 2C)
        old, new = (features @ both.to(features.dtype)).view(len(features), 2, -1).square().sum(2).unbind(1)
        self.log_weight = self.log_weight + 0.5 * layer.sharpness * (new - old)

    def resample(self) -> None:
        """Systematic resampling within groups; the weights become equal."""
        r = self.siblings
        total = torch.softmax(self.log_weight.view(-1, r), 1).cumsum(1)
        shift = torch.rand(len(total), 1, generator=self.generator, dtype=total.dtype, device=total.device)
        points = (shift + torch.arange(r, device=total.device)) / r
        chosen = torch.searchsorted(total, points).clamp(max=r - 1)
        chosen = chosen + r * torch.arange(len(total), device=total.device)[:, None]
        self.hidden, self.fields, self.known = self.hidden[chosen.reshape(-1)], None, None
        self.log_weight = torch.zeros_like(self.log_weight)

    def features(self, layer: Layer) -> Tensor:
        """φ(h) on the training points, (S, P)."""
        if self.fields is None:
            return layer.features(self.hidden)
        if self.known is None:
            self.known = layer.activation.value(self.fields)
        return self.known

    def move(self, layer: Layer, dual: Tensor) -> None:
        """One sweep: a jump where modes are known, a reflection, a redraw of norms where φ is homogeneous, and a
        Hamiltonian trajectory.
        """
        if self.fields is None:
            self.fields = self.hidden @ layer.inputs.T
        dual = dual.to(self.fields.dtype)
        if self.modes is not None:
            self._jump(layer, dual)
        score = self._reflect_and_stretch(layer, dual)
        self._trajectory(layer, dual, score)

    def find_modes(self, layer: Layer, dual: Tensor) -> None:
        """Fit proposals of jumps to the particles as they are, where they have one centre.

        A φ of linear growth has no far mode: along a ray its tilt is quadratic.
        """
        if layer.activation.growth == 0 and self.siblings == len(self.hidden):
            energies = 0.5 * layer.sharpness * squared(self.features(layer) @ dual.to(self.hidden.dtype))
            points = math.sqrt(layer.stiffness) * (self.hidden - self.centre)
            self.modes = Modes.of(points, energies, odd=layer.activation.odd)

    def _jump(self, layer: Layer, dual: Tensor) -> None:
        """Propose weights from the modes' Gaussians, whatever the old ones."""
        root = math.sqrt(layer.stiffness)
        old = root * (self.hidden - self.centre)
        new, surplus = self.modes.propose(old, self.generator)
        hidden = self.centre + new / root
        fields = hidden @ layer.inputs.T
        features, known = layer.activation.value(fields), self.features(layer)
        gain = 0.5 * layer.sharpness * (squared(features @ dual) - squared(known @ dual))
        change = gain - 0.5 * (new.square() - old.square()).sum(1) + surplus
        taken = (self._uniform(len(old)).log() < change)[:, None]
        self.hidden, self.fields = torch.where(taken, hidden, self.hidden), torch.where(taken, fields, self.fields)
        self.known = torch.where(taken, features, known)

    def _trajectory(self, layer: Layer, dual: Tensor, score: Tensor) -> None:
        """Hamiltonian Monte Carlo in z = √L(W − m): exact rotation under the prior between kicks of the tilt."""
        root = math.sqrt(layer.stiffness)
        z = (self.hidden - self.centre).mul_(root)
        p = _normal(z.shape, z, self.generator)
        angle = self.angle * float(0.7 + 0.6 * self._uniform(1))
        cos, sin, kick = math.cos(angle), math.sin(angle), angle / root * layer.sharpness
        if self.centre_fields is None:
            self.centre_fields = self.centre @ layer.inputs.T
        energy = _energy(z, p) - 0.5 * layer.sharpness * squared(score)
        layer.kick(p, self.fields, dual, score, 0.5 * kick)
        for leap in range(LEAPS):
            z, p = torch.mul(z, cos).add_(p, alpha=sin), p.mul_(cos).sub_(z, alpha=sin)
            fields = torch.addmm(self.centre_fields, z, layer.inputs.T, alpha=1 / root)
            features = layer.activation.value(fields)
            here = features @ dual
            layer.kick(p, fields, dual, here, (0.5 if leap == LEAPS - 1 else 1.0) * kick)
        change = energy - _energy(z, p) + 0.5 * layer.sharpness * squared(here)
        refused = (~(self._uniform(len(z)).log() < change)).nonzero()[:, 0]
        hidden = torch.add(self.centre, z, alpha=1 / root)
        hidden[refused], fields[refused] = self.hidden[refused], self.fields[refused]
        features[refused] = layer.activation.value(fields[refused])
        self.hidden, self.fields, self.known = hidden, fields, features
        self.acceptance = float(change.exp().clamp(max=1).nan_to_num(0).mean())
        self.angle = min(self.angle * math.exp(self.acceptance - ACCEPTANCE), LONGEST)

    def _reflect_and_stretch(self, layer: Layer, dual: Tensor) -> Tensor:
        """Reflect, redraw norms where φ is homogeneous, and return the scores s that particles then have."""
        towards = (self.hidden * self.centre).sum(1)
        factor, score = self._reflection(layer, dual, towards)
        if layer.activation.homogeneity == 1:
            longer = self._stretch(layer, score, factor * towards)
            factor, score = longer * factor, _along(longer, score) * score
        self.hidden, self.fields, self.known = factor[:, None] * self.hidden, factor[:, None] * self.fields, None
        return score

    def _reflection(self, layer: Layer, dual: Tensor, towards: Tensor) -> tuple[Tensor, Tensor]:
        """Propose W → −W: an odd activation has a mode at either sign of s, of unequal weight when m ≠ 0.

        Signs, (S,), and the scores that particles have with them, given W·m.
        """
        here = self.features(layer) @ dual
        there = -here if layer.activation.odd else layer.score(-self.fields, dual)
        gain = 0.5 * layer.sharpness * (squared(there) - squared(here)) - 2 * layer.stiffness * towards
        taken = self._uniform(len(gain)).log() < gain
        return torch.where(taken, -1.0, 1.0).to(here), torch.where(_along(taken, here), there, here)

    def _stretch(self, layer: Layer, score: Tensor, towards: Tensor) -> Tensor:
        """Redraw r = |W| given the direction u: density r^(d−1) exp(−½ar² + br), a = L − γ²s(u)²/λ_w, b = L u·m.

        A Gaussian at the mode, wide enough to cover both tails, is the proposal of a Metropolis step. Returns the
        factors of the norms, (S,), given s and W·m.
        """
        r = self.hidden.norm(dim=1)
        a = layer.stiffness - layer.sharpness * squared(score / _along(r, score))
        b = layer.stiffness * towards / r
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
        return torch.where(taken, new / r, 1.0)

    def _uniform(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, dtype=self.hidden.dtype, device=self.hidden.device)


def squared(score: Tensor) -> Tensor:
    """s², (S,), of scores (S,), or summed over outputs of (S, C)."""
    return score.square() if score.ndim == 1 else score.square().sum(1)


def scored_features(features: Tensor, score: Tensor) -> Tensor:
    """s_c φ_μ, (S, P), or of C outputs, the fastest running, (S, PC)."""
    if score.ndim == 1:
        return features * score[:, None]
    return (features[:, :, None] * score[:, None, :]).flatten(1)


def of_outputs(kernel: Tensor, dual: Tensor) -> Tensor:
    """A kernel (…, P, Q) between samples as one between those of all outputs of g, (…, PC, QC): one output's is it."""
    if dual.ndim == 1:
        return kernel
    eye = torch.eye(dual.shape[1]).to(kernel)
    *blocks, rows, columns = kernel.shape
    return torch.einsum("...ij,cd->...icjd", kernel, eye).reshape(*blocks, rows * len(eye), columns * len(eye))


def _along(particles: Tensor, score: Tensor) -> Tensor:
    """One value a particle, (S,), to go with scores (S,) or (S, C)."""
    return particles.view(-1, *[1] * (score.ndim - 1))


def _energy(z: Tensor, p: Tensor) -> Tensor:
    """½(z² + p²) of each particle, (S,), of z and p (S, d)."""
    return 0.5 * (z.square().sum(1) + p.square().sum(1))


def _normal(shape: torch.Size | tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)
