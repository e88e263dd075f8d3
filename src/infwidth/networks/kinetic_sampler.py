"""Kinetic (underdamped) Langevin dynamics for the posteriors of docs/theory.md §1.

In whitened coordinates z = √L (W − m), m = δW̄/L, and v = √λ_w w the prior is a standard normal, so with unit
masses its part of the motion is a rotation by the time elapsed, exact at any step and any δ. Only the likelihood
is split off, as kicks, and friction is an exact Ornstein–Uhlenbeck step between two half rotations: the order
that leaves Gaussian positions nearly unbiased. Overdamped Euler–Langevin moves by √step and must resolve the
stiffest likelihood mode, 1/λ_max ~ 10⁻³ per step against 1/√λ_max here, with a bias of first order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from infwidth.networks.chain_diagnostics import LARGEST_DRIFT, LEAST_SAMPLES, drift, effective_samples
from infwidth.networks.two_layer import Response, draw, keep_freed_memory, probe_vector, respond
from infwidth.numerics.activations import Activation
from infwidth.numerics.seeds import derive_seed
from infwidth.numerics.status import Status

DEFAULT_SAFETY = 0.4
"""Step as a fraction of the stability limit 2/√(1 + λ_max)."""
FRICTION = 1.0
"""Friction per unit of time: the prior's oscillators have frequency 1, and relax fastest near it."""
STRIDE = 4
"""Steps between friction refreshes and monitor readings; noise costs as much as a step."""
PROBE_INTERVAL = 8
"""Steps between refreshes of the curvature during burn-in."""
MAX_RESTARTS = 6
"""Restarts, each with half the step, after which a chain is given up as diverged."""


class Collector(Protocol):
    """Takes the samples of every chain."""

    def reset(self, chain: int) -> None:
        """Forget what ``chain`` gave: it restarts."""

    def add(self, chain: int, readout: Tensor, hidden: Tensor, output: Tensor) -> None:
        """Take one sample: w (N,), W (N, D), f on the training inputs (P,)."""


@dataclass(frozen=True)
class PosteriorBatch:
    """K posteriors ∝ exp(−½βγ²N Σ(f−y)² − ½λ_w|w|² − ½L|W − m|²).

    Attributes:
        mean: m, (K, N, D), or None where it is 0.
        inputs: x/√D, (K, P, D).
        labels: y, (K, P).
        strength: γ, (K,).
        inverse_temperature: β, (K,).
        readout_precision: λ_w, (K,).
        hidden_precision: L = λ_W + δ, (K,); inf freezes W at m.
    """

    mean: Tensor | None
    inputs: Tensor
    labels: Tensor
    strength: Tensor
    inverse_temperature: Tensor
    readout_precision: Tensor
    hidden_precision: Tensor

    def select(self, keep: Tensor) -> PosteriorBatch:
        """Return the posteriors of those indices."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return PosteriorBatch(**{name: value if value is None else value[keep] for name, value in values.items()})

    def weights(self, v: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return w (K, N) and W (K, N, D) from whitened coordinates."""
        scale = self.hidden_precision.rsqrt()[:, None, None]
        hidden = z * scale if self.mean is None else torch.addcmul(self.mean, z, scale)
        return v * self.readout_precision.rsqrt()[:, None], hidden

    def evaluate(self, v: Tensor, z: Tensor, activation: Activation, vector: Tensor | None = None) -> Response:
        """Return outputs and forces; the probe is the likelihood's whitened Gauss–Newton matrix times vector."""
        w, hidden = self.weights(v, z)
        scales = (self.inverse_temperature / self.readout_precision, self.inverse_temperature / self.hidden_precision)
        probe = None if vector is None else (vector, *scales)
        return respond(w, hidden, self.inputs, self.labels, self.strength, activation, probe)

    def kick(self, pv: Tensor, pz: Tensor, forces: Response, step: Tensor) -> None:
        """Add step × the likelihood's force to the momenta, in place."""
        push = step * self.inverse_temperature * self.strength
        pv.addcmul_((push * self.readout_precision.rsqrt())[:, None], forces.readout_force)
        pz.addcmul_((push * self.hidden_precision.rsqrt())[:, None, None], forces.hidden_force)


@dataclass(frozen=True)
class ChainOutcome:
    """How K chains ended.

    Attributes:
        status: converged, unmixed or diverged, K of them.
        steps: steps taken since the last restart, (K,).
        effective_samples: of the slowest monitored scalar, (K,); 0 where nothing was sampled.
        drift: largest difference of two halves' means over the monitored scalars, in standard errors, (K,).
        readout: w at the end, (K, N).
        hidden: W at the end, (K, N, D).
    """

    status: tuple[Status, ...]
    steps: np.ndarray
    effective_samples: np.ndarray
    drift: np.ndarray
    readout: Tensor
    hidden: Tensor


def rotate(position: Tensor, momentum: Tensor, angle: Tensor) -> None:
    """Move unit oscillators exactly by a time ``angle`` (broadcast), in place."""
    cosine, sine = angle.cos(), angle.sin()
    turned = position * sine
    position.mul_(cosine).addcmul_(momentum, sine)
    momentum.mul_(cosine).sub_(turned)


class _Noise:
    """Standard normals per seed: chains of one seed share them, so that points differ by less than chains do."""

    def __init__(self, seeds: Sequence[int], purpose: str, like: Tensor):
        self.index = {seed: number for number, seed in enumerate(dict.fromkeys(seeds))}
        self.generators = [
            torch.Generator(like.device).manual_seed(derive_seed(seed, f"{purpose} noise")) for seed in self.index
        ]
        self.like, self.seeds, self.purpose = like, list(seeds), purpose

    def normals(self, shape: tuple[int, ...], chain: Tensor) -> Tensor:
        """Fresh normals for the chains of those indices, (len(chain), *shape)."""
        # Drawn in single precision: twice as fast, and only the last digits of the noise differ.
        drawn = torch.stack(
            [torch.randn(shape, generator=g, device=self.like.device, dtype=torch.float32) for g in self.generators]
        )
        return drawn.to(self.like.dtype)[[self.index[self.seeds[k]] for k in chain.tolist()]]

    def initial(self, shape: tuple[int, ...], what: str) -> Tensor:
        """The normals that chains start from, (K, *shape)."""
        unique = [draw(shape, seed, f"{self.purpose} {what}", self.like) for seed in self.index]
        return torch.stack(unique)[[self.index[seed] for seed in self.seeds]]


@torch.inference_mode()
def sample(
    posterior: PosteriorBatch,
    width: int,
    seeds: Sequence[int],
    purpose: str,
    *,
    activation: Activation,
    burn_in_time: float,
    sampling_time: float,
    samples: int,
    collector: Collector | None = None,
    safety: float = DEFAULT_SAFETY,
    progress: Callable[[float], None] | None = None,
) -> ChainOutcome:
    """Run K chains from draws of their priors.

    Args:
        posterior: the K posteriors.
        width: N.
        seeds: one integer a chain; chains of equal seed share their noise.
        purpose: tells this use of a seed from others.
        activation: φ.
        burn_in_time: time discarded, in periods/2π of the prior's oscillators; the step follows the curvature.
        sampling_time: time sampled, likewise; the step is fixed. 0 keeps the last state alone.
        samples: samples handed to the collector, evenly spaced over ``sampling_time``.
        collector: takes the samples.
        safety: step as a fraction of the stability limit.
        progress: called with the fraction of time done, 0 … 1.

    Returns:
        Final weights, statuses and diagnostics.
    """
    keep_freed_memory()
    like, total = posterior.strength, len(posterior.strength)
    dimension = posterior.inputs.shape[-1]
    noise = _Noise(seeds, purpose, like)
    starts = [noise.initial(shape, what) for shape, what in
              (((width,), "readout"), ((width, dimension), "hidden"),
               ((width,), "readout momentum"), ((width, dimension), "hidden momentum"))]  # fmt: skip
    v, z, pv, pz = (start.clone() for start in starts)
    full, chain = posterior, torch.arange(total, device=like.device)
    freedoms = width * (dimension + 1)
    steps = torch.zeros(total, dtype=torch.long, device=like.device)
    final_v, final_z = torch.full_like(v, torch.nan), torch.full_like(z, torch.nan)
    series: list[Tensor] = []
    begin = np.zeros(total, dtype=int)
    end = np.zeros(total, dtype=int)
    restarts = np.zeros(total, dtype=int)
    elapsed, shrink = torch.zeros_like(like), torch.ones_like(like)
    since = torch.zeros_like(like)  # time since the last friction refresh
    taken = torch.zeros_like(chain)
    vector = probe_vector(posterior.inputs).contiguous()
    for _ in range(12):
        forces = posterior.evaluate(v, z, activation, vector)
        curvature = torch.linalg.vector_norm(forces.probe, dim=1)
        vector = forces.probe / curvature[:, None].clamp(min=torch.finfo(like.dtype).tiny)
    first_curvature, first_vector = curvature.clone(), vector.clone()

    def energy() -> Tensor:
        fit = posterior.inverse_temperature * posterior.strength**2 * width
        fit = fit * (forces.output - posterior.labels).square().sum(1)
        others = sum(part.square().flatten(1).sum(1) for part in (v, z, pv, pz))
        return (fit + others) / (2 * freedoms)

    ceiling = 10 * (energy() + 1)
    h = shrink * safety * 2 * (1 + curvature).rsqrt()
    posterior.kick(pv, pz, forces, h / 2)
    duration = burn_in_time + sampling_time
    iteration = 0
    while len(chain):
        iteration += 1
        burning = elapsed < burn_in_time
        refresh = iteration % STRIDE == 0
        if refresh:
            since = since + h
            rotate(v, pv, h[:, None] / 2)
            rotate(z, pz, h[:, None, None] / 2)
            keep, stir = torch.exp(-FRICTION * since), (-torch.expm1(-2 * FRICTION * since)).sqrt()
            pv.mul_(keep[:, None]).addcmul_(noise.normals((width,), chain), stir[:, None])
            pz.mul_(keep[:, None, None]).addcmul_(noise.normals((width, dimension), chain), stir[:, None, None])
            since = torch.zeros_like(since)
            rotate(v, pv, h[:, None] / 2)
            rotate(z, pz, h[:, None, None] / 2)
        else:
            since = since + h
            rotate(v, pv, h[:, None])
            rotate(z, pz, h[:, None, None])
        probing = iteration % PROBE_INTERVAL == 0
        forces = posterior.evaluate(v, z, activation, vector if probing else None)
        posterior.kick(pv, pz, forces, h)
        elapsed, taken = elapsed + h, taken + 1
        if probing:
            norm = torch.linalg.vector_norm(forces.probe, dim=1)
            curvature = torch.where(burning, norm, curvature)
            vector = forces.probe / norm[:, None].clamp(min=torch.finfo(like.dtype).tiny)
            h = torch.where(burning, shrink * safety * 2 * (1 + curvature).rsqrt(), h)
        if refresh:
            level = energy()
            exploded = ~(level <= ceiling)  # NaN explodes too
            row = like.new_full((total, 4), torch.nan)
            row[chain] = torch.stack(
                [
                    (forces.output - posterior.labels).square().mean(1),
                    (forces.output * posterior.labels).mean(1),
                    v.square().mean(1),
                    z.square().mean((1, 2)),
                ],
                1,
            )
            series.append(row)
            if exploded.any():
                for k in exploded.nonzero()[:, 0].tolist():
                    restarts[int(chain[k])] += 1
                    if collector is not None:
                        collector.reset(int(chain[k]))
                for state, start in zip((v, z, pv, pz), starts, strict=True):
                    state[exploded] = start[chain[exploded]]
                shrink = torch.where(exploded, shrink / 2, shrink)
                elapsed, since = torch.where(exploded, 0.0, elapsed), torch.where(exploded, 0.0, since)
                taken = torch.where(exploded, 0, taken)
                curvature = torch.where(exploded, first_curvature[chain], curvature)
                vector = torch.where(exploded[:, None], first_vector[chain], vector)
                h = torch.where(exploded, shrink * safety * 2 * (1 + curvature).rsqrt(), h)
                gone = torch.as_tensor(restarts > MAX_RESTARTS, device=like.device)[chain]
                elapsed = torch.where(gone, duration, elapsed)
                continue_chain = ~gone
            else:
                continue_chain = None
        else:
            continue_chain = None
        # PLACEHOLDER
