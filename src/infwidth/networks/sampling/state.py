"""Chains of posterior sampling: their state in whitened coordinates, and the moves that samplers put together.

In whitened coordinates z = √L (W − m), m = δW̄/L, and v = √λ_w w the prior is a standard normal, so with unit
masses its part of the motion is a rotation by the time elapsed, exact at any step and any δ. Only the likelihood
is split off, as kicks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from infwidth.networks.sampling.posterior import PosteriorBatch, rows
from infwidth.networks.two_layer.ensemble import draw, probe_vector
from infwidth.networks.two_layer.model import Evaluator
from infwidth.numerics.activations import Activation
from infwidth.numerics.batching import take
from infwidth.numerics.seeds import derive_seed

POWER_ITERATIONS = 12
"""Products with the Gauss–Newton matrix before the first step, for its largest eigenvalue."""
FRICTION = 1.0
"""Friction per unit of time: the prior's oscillators have frequency 1, and relax fastest near it."""
HOT = 1.5
"""Kinetic energy, in units of its equilibrium value, above which burning-in chains are cooled to it."""


def rotate(position: Tensor, momentum: Tensor, angle: Tensor) -> None:
    """Move unit oscillators exactly by a time ``angle`` (broadcast), in place."""
    cosine, sine = angle.cos(), angle.sin()
    turned = position * sine
    position.mul_(cosine).addcmul_(momentum, sine)
    momentum.mul_(cosine).sub_(turned)


class Noise:
    """Standard normals per seed: chains of one seed share them, so that points differ by less than chains do."""

    def __init__(self, seeds: Sequence[int], purpose: str, like: Tensor):
        unique = {seed: number for number, seed in enumerate(dict.fromkeys(seeds))}
        self.like, self.purpose, self.unique = like, purpose, list(unique)
        self.body = torch.tensor([unique[seed] for seed in seeds], device=like.device)
        self.generators = [
            torch.Generator(like.device).manual_seed(derive_seed(seed, f"{purpose} noise")) for seed in unique
        ]

    def normals(self, shape: tuple[int, ...], chains: Tensor) -> Tensor:
        """Return fresh normals for the chains of those indices, (len(chains), *shape)."""
        # Drawn in single precision: twice as fast, and only the last digits of the noise differ.
        device = self.like.device
        drawn = [torch.randn(shape, generator=g, device=device, dtype=torch.float32) for g in self.generators]
        return torch.stack(drawn).to(self.like.dtype)[self.body[chains]]

    def own(self, chain: int) -> tuple[torch.Generator, torch.Generator]:
        """Random streams for one chain alone, of normals on its device and of numbers that the host asks for.

        On a CPU the two are one. Chains of one seed get equal ones.
        """
        root = derive_seed(self.unique[int(self.body[chain])], f"{self.purpose} trajectories")
        host = torch.Generator().manual_seed(root)
        device = self.like.device
        return (host if device.type == "cpu" else torch.Generator(device).manual_seed(root)), host

    def initial(self, shape: tuple[int, ...], what: str) -> Tensor:
        """Return the normals that chains start from, (K, *shape)."""
        return torch.stack([draw(shape, seed, f"{self.purpose} {what}", self.like) for seed in self.unique])[self.body]


class Chains:
    """State of the chains still running, and the moves of kinetic Langevin dynamics on it.

    Readouts and their momenta are (K, N), or (K, C, N) of C outputs, hidden weights and theirs (K, r, N).
    """

    ROWS = ("posterior", "forces", "chains", "v", "pv", "z", "pz", "vector", "curvature", "since")

    def __init__(self, posterior: PosteriorBatch, width: int, noise: Noise, chains: Tensor, activation: Activation):
        self.posterior, self.noise, self.evaluator = posterior, noise, Evaluator(activation)
        self.chains = chains  # rows of the whole batch
        shape, readouts = (width, posterior.inputs.shape[-1]), (width, *posterior.labels.shape[2:])
        drawn = (noise.initial(readouts, what)[chains] for what in ("readout", "readout momentum"))
        self.v, self.pv = (one.mT.contiguous() if one.ndim == 3 else one for one in drawn)
        self.z, self.pz = (noise.initial(shape, what)[chains].mT.contiguous() for what in ("hidden", "hidden momentum"))
        self.vector = probe_vector(posterior.labels).contiguous()
        self.evaluate(probing=False)
        for _ in range(POWER_ITERATIONS):
            self._probe()
        self.since = torch.zeros_like(posterior.strength)  # time since the last friction

    def evaluate(self, probing: bool) -> None:
        """Refresh forces and, if ``probing``, the estimate of λ_max."""
        self.forces = self.posterior.evaluate(self.v, self.z, self.evaluator)
        if probing:
            self._probe()

    def _probe(self) -> None:
        product = self.posterior.probe(self.v, self.evaluator, self.vector)
        self.curvature = torch.linalg.vector_norm(product.flatten(1), dim=1)
        self.vector = product / rows(self.curvature, product).clamp(min=torch.finfo(self.v.dtype).tiny)

    def step(self, safety: float) -> Tensor:
        """Return safety × the stability limit 2/√(1 + λ_max), at most a radian of the prior's rotation, (K,)."""
        return (2 * safety * (1 + self.curvature).rsqrt()).clamp(max=1.0)

    def kick(self, step_size: Tensor) -> None:
        """Add step_size × the likelihood's force to the momenta."""
        posterior = self.posterior
        push = step_size * posterior.inverse_temperature * posterior.strength
        self.pv.addcmul_(rows(push * posterior.readout_precision.rsqrt(), self.pv), self.forces.readout_force)
        if self.v.ndim == 3:
            self.pz.addcmul_((push * posterior.stiffness.rsqrt())[:, None, None], self.forces.slopes)
            return
        scale = push * posterior.stiffness.rsqrt() * posterior.readout_precision.rsqrt()
        self.pz.addcmul_((scale[:, None] * self.v)[:, None], self.forces.slopes)  # the force is w times the slopes

    def turn(self, step_size: Tensor) -> None:
        """Move along the prior for a time ``step_size``."""
        rotate(self.v, self.pv, rows(step_size, self.v))
        rotate(self.z, self.pz, step_size[:, None, None])

    def drift(self, step_size: Tensor, stir: bool) -> None:
        """Move along the prior for a time ``step_size``, with the friction due since the last in the middle."""
        self.since = self.since + step_size
        if not stir:
            self.turn(step_size)
            return
        self.turn(step_size / 2)
        keep, noise = torch.exp(-FRICTION * self.since), (-torch.expm1(-2 * FRICTION * self.since)).sqrt()
        for momentum in (self.pv, self.pz):
            form = (-1, *[1] * (momentum.ndim - 1))
            fresh = self.noise.normals(tuple(momentum.shape[:0:-1]), self.chains)
            fresh = fresh.mT if momentum.ndim == 3 else fresh  # drawn neuron by neuron
            momentum.mul_(keep.view(form)).addcmul_(fresh, noise.view(form))
        self.since = torch.zeros_like(self.since)
        self.turn(step_size / 2)

    @property
    def freedoms(self) -> int:
        """Weights a chain has."""
        return self.v[0].numel() + self.z[0].numel()

    def cool(self, chosen: Tensor) -> None:
        """Scale back the momenta of chosen chains hotter than HOT: falling into the posterior heats them."""
        heat = (self.pv.square().flatten(1).sum(1) + self.pz.square().sum((1, 2))) / self.freedoms
        factor = torch.where(chosen & (heat > HOT), heat.rsqrt(), 1.0)
        self.pv.mul_(rows(factor, self.pv))
        self.pz.mul_(factor[:, None, None])

    def energy(self) -> Tensor:
        """Return the total energy per degree of freedom, in units of ½, (K,)."""
        posterior, width = self.posterior, self.z.shape[2]
        fit = (self.forces.output - posterior.labels).square().flatten(1).sum(1)
        fit = fit * posterior.inverse_temperature * posterior.strength**2 * width
        rest = sum(part.square().flatten(1).sum(1) for part in (self.v, self.z, self.pv, self.pz))
        return (fit + rest) / self.freedoms

    def exact_energy(self, chosen: Tensor) -> Tensor:
        """Return the Hamiltonian of the rows of those indices, summed in double precision, (n,)."""
        posterior, width = self.posterior, self.z.shape[2]
        fit = (self.forces.output[chosen].double() - posterior.labels[chosen]).square().flatten(1).sum(1)
        fit = fit * posterior.inverse_temperature[chosen] * posterior.strength[chosen] ** 2 * width
        parts = (part[chosen] for part in (self.v, self.z, self.pv, self.pz))
        rest = sum(part.square_().flatten(1).sum(1, dtype=torch.float64) for part in parts)
        return 0.5 * (fit + rest)

    def monitors(self) -> Tensor:
        """Return the scalars by which mixing is judged: training loss, fit, |v|² and |z|² a coordinate, (K, 4)."""
        output, labels = self.forces.output.flatten(1), self.posterior.labels.flatten(1)
        loss, fit = (output - labels).square().mean(1), (output * labels).mean(1)
        return torch.stack([loss, fit, self.v.square().flatten(1).mean(1), self.z.square().mean((1, 2))], 1)

    def select(self, keep: Tensor) -> None:
        """Go on with the chains of those indices alone."""
        for name in self.ROWS:
            setattr(self, name, take(getattr(self, name), keep))
