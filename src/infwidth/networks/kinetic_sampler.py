"""Kinetic (underdamped) Langevin dynamics for the posteriors of docs/theory.md §1.

In whitened coordinates z = √L (W − m), m = δW̄/L, and v = √λ_w w the prior is a standard normal, so with unit
masses its part of the motion is a rotation by the time elapsed, exact at any step and any δ. Only the likelihood
is split off, as kicks, and friction is an exact Ornstein–Uhlenbeck step between two half rotations: the order
that leaves Gaussian positions nearly unbiased. Overdamped Euler–Langevin moves by √step and must resolve the
stiffest likelihood mode, 1/λ_max ~ 10⁻³ per step against 1/√λ_max here, with a bias of first order.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from infwidth.networks.chain_diagnostics import LARGEST_DRIFT, LEAST_SAMPLES, drift, effective_samples
from infwidth.networks.posterior import PosteriorBatch
from infwidth.networks.two_layer import Progress, Response, draw, keep_freed_memory, probe_vector
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
SETTLING = 64
"""First steps, in which the curvature grows fast and is refreshed every time."""
HOT = 1.5
"""Kinetic energy, in units of its equilibrium value, above which burning-in chains are cooled to it."""
EXPLOSION = 10.0
"""Rise of the energy, over its start plus the thermostat's share, that counts as an explosion."""
MAX_RESTARTS = 6
"""Restarts, each with half the step, after which a chain is given up as diverged."""


class Collector(Protocol):
    """Takes the samples of every chain."""

    def reset(self, chain: int) -> None:
        """Forget what ``chain`` gave: it restarts."""

    def add(self, chain: int, readout: Tensor, hidden: Tensor, output: Tensor) -> None:
        """Take one sample: w (N,), W (N, D), f on the training inputs (P,)."""


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

    def initial(self, shape: tuple[int, ...], what: str) -> Tensor:
        """Return the normals that chains start from, (K, *shape)."""
        return torch.stack([draw(shape, seed, f"{self.purpose} {what}", self.like) for seed in self.unique])[self.body]


class _Chains:
    """State of the chains still running, and the moves of kinetic Langevin dynamics on it."""

    def __init__(self, posterior: PosteriorBatch, width: int, noise: _Noise, chains: Tensor, activation: Activation):
        self.posterior, self.activation, self.noise = posterior, activation, noise
        self.chains = chains  # rows of the whole batch
        shape = (width, posterior.inputs.shape[-1])
        self.v, self.pv = (noise.initial(shape[:1], what)[chains] for what in ("readout", "readout momentum"))
        self.z, self.pz = (noise.initial(shape, what)[chains] for what in ("hidden", "hidden momentum"))
        self.vector = probe_vector(posterior.inputs).contiguous()
        for _ in range(12):
            self.evaluate(probing=True)
        self.since = torch.zeros_like(posterior.strength)  # time since the last friction

    def evaluate(self, probing: bool) -> None:
        """Refresh forces and, if ``probing``, the estimate of λ_max."""
        self.forces = self.posterior.evaluate(self.v, self.z, self.activation, self.vector if probing else None)
        if probing:
            self.curvature = torch.linalg.vector_norm(self.forces.probe, dim=1)
            self.vector = self.forces.probe / self.curvature[:, None].clamp(min=torch.finfo(self.v.dtype).tiny)

    def step(self, safety: float) -> Tensor:
        """Return safety × the stability limit 2/√(1 + λ_max), at most a radian of the prior's rotation, (K,)."""
        return (2 * safety * (1 + self.curvature).rsqrt()).clamp(max=1.0)

    def kick(self, step: Tensor) -> None:
        """Add step × the likelihood's force to the momenta."""
        posterior = self.posterior
        push = step * posterior.inverse_temperature * posterior.strength
        self.pv.addcmul_((push * posterior.readout_precision.rsqrt())[:, None], self.forces.readout_force)
        self.pz.addcmul_((push * posterior.hidden_precision.rsqrt())[:, None, None], self.forces.hidden_force)

    def turn(self, step: Tensor) -> None:
        """Move along the prior for a time ``step``."""
        rotate(self.v, self.pv, step[:, None])
        rotate(self.z, self.pz, step[:, None, None])

    def drift(self, step: Tensor, stir: bool) -> None:
        """Move along the prior for a time ``step``, with the friction due since the last in the middle."""
        self.since = self.since + step
        if not stir:
            self.turn(step)
            return
        self.turn(step / 2)
        keep, noise = torch.exp(-FRICTION * self.since), (-torch.expm1(-2 * FRICTION * self.since)).sqrt()
        for momentum in (self.pv, self.pz):
            form = (-1, *[1] * (momentum.ndim - 1))
            fresh = self.noise.normals(tuple(momentum.shape[1:]), self.chains)
            momentum.mul_(keep.view(form)).addcmul_(fresh, noise.view(form))
        self.since = torch.zeros_like(self.since)
        self.turn(step / 2)

    def cool(self, chosen: Tensor) -> None:
        """Scale back the momenta of chosen chains hotter than HOT: falling into the posterior heats them."""
        _, width, dimension = self.z.shape
        heat = (self.pv.square().sum(1) + self.pz.square().sum((1, 2))) / (width * (dimension + 1))
        factor = torch.where(chosen & (heat > HOT), heat.rsqrt(), 1.0)
        self.pv.mul_(factor[:, None])
        self.pz.mul_(factor[:, None, None])

    def energy(self) -> Tensor:
        """Return the total energy per degree of freedom, in units of ½, (K,)."""
        posterior, (_, width, dimension) = self.posterior, self.z.shape
        fit = (self.forces.output - posterior.labels).square().sum(1)
        fit = fit * posterior.inverse_temperature * posterior.strength**2 * width
        rest = sum(part.square().flatten(1).sum(1) for part in (self.v, self.z, self.pv, self.pz))
        return (fit + rest) / (width * (dimension + 1))

    def monitors(self) -> Tensor:
        """Return the scalars by which mixing is judged: training loss, fit, |v|² and |z|² a coordinate, (K, 4)."""
        output, labels = self.forces.output, self.posterior.labels
        loss, fit = (output - labels).square().mean(1), (output * labels).mean(1)
        return torch.stack([loss, fit, self.v.square().mean(1), self.z.square().mean((1, 2))], 1)

    def select(self, keep: Tensor) -> None:
        """Go on with the chains of those indices alone."""
        self.posterior = self.posterior.select(keep)
        self.forces = Response(*(value if value is None else value[keep] for value in self.forces))
        for name in ("chains", "v", "pv", "z", "pz", "vector", "curvature", "since"):
            setattr(self, name, getattr(self, name)[keep])


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
    samples: int = 1,
    collector: Collector | None = None,
    least_samples: float = LEAST_SAMPLES,
    safety: float = DEFAULT_SAFETY,
    progress: Progress = None,
) -> ChainOutcome:
    """Run K chains from draws of their priors; a chain that explodes starts again with half the step.

    Args:
        posterior: the K posteriors.
        width: N.
        seeds: one integer a chain; chains of equal seed share their noise.
        purpose: tells this use of a seed from others.
        activation: φ.
        burn_in_time: time discarded, > 0, in units where the prior's oscillators have frequency 1; the step
            follows the curvature.
        sampling_time: time sampled, > 0, likewise; the step is fixed.
        samples: samples handed to the collector, evenly spaced over ``sampling_time``.
        collector: takes the samples.
        least_samples: effective samples of the slowest monitored scalar below which a chain is unmixed.
        safety: step as a fraction of the stability limit.
        progress: called with the fraction of time done, 0 … 1.

    Returns:
        Final weights, statuses and diagnostics.
    """
    keep_freed_memory()
    like, total = posterior.strength, len(posterior.strength)
    readout = like.new_full((total, width), torch.nan)
    hidden = like.new_full((total, width, posterior.inputs.shape[-1]), torch.nan)
    steps, series = np.zeros(total, dtype=int), [np.zeros((0, 4))] * total
    pending = torch.arange(total, device=like.device)
    for restart in range(MAX_RESTARTS + 1):
        noise = _Noise(seeds, purpose, like)
        if collector is not None:
            for k in pending.tolist():
                collector.reset(k)
        chains = _Chains(posterior.select(pending), width, noise, pending, activation)
        pending = _run(chains, burn_in_time, sampling_time, samples, collector, safety / 2**restart, progress,
                       readout, hidden, steps, series)  # fmt: skip
        if not len(pending):
            break
    diverged = set(pending.tolist())
    ess = np.array([min(map(effective_samples, rows.T)) if len(rows) > 3 else 0.0 for rows in series])
    drifts = np.array([max(map(drift, rows.T)) if len(rows) > 7 else 0.0 for rows in series])
    status = []
    for k in range(total):
        mixed = drifts[k] <= LARGEST_DRIFT and ess[k] >= least_samples
        status.append(Status.DIVERGED if k in diverged else Status.CONVERGED if mixed else Status.UNMIXED)
    return ChainOutcome(tuple(status), steps, ess, drifts, readout, hidden)


def _run(
    state: _Chains,
    burn_in_time: float,
    sampling_time: float,
    samples: int,
    collector: Collector | None,
    safety: float,
    progress: Progress,
    readout: Tensor,
    hidden: Tensor,
    steps: np.ndarray,
    series: list[np.ndarray],
) -> Tensor:
    """Run chains to the end, filling their rows of the last four arguments; return the rows that exploded."""
    like, duration, rounding = readout, burn_in_time + sampling_time, 1e-9
    row_of, lost = state.chains, []
    collected, elapsed = torch.zeros_like(row_of), torch.zeros_like(state.curvature)
    h = state.step(safety)
    ceiling = EXPLOSION * (1 + state.energy())
    state.kick(h / 2)
    readings: list[Tensor] = []
    for iteration in itertools.count(1):
        stir, probing = iteration % STRIDE == 0, iteration % PROBE_INTERVAL == 0 or iteration <= SETTLING
        burning = elapsed < burn_in_time
        state.drift(h, stir)
        state.evaluate(probing)
        state.kick(h)
        if burning.any():
            state.cool(burning)
        elapsed = elapsed + h
        if probing:
            h = torch.where(burning, state.step(safety), h)
        due = ~burning & (elapsed - burn_in_time >= (collected + 1) * (sampling_time / samples) - rounding)
        if collector is not None and due.any():
            w, weights = state.posterior.weights(state.v, state.z)
            for k in due.nonzero()[:, 0].tolist():
                collector.add(int(state.chains[k]), w[k], weights[k], state.forces.output[k])
        collected = collected + due.long()
        ended = elapsed >= duration - rounding
        if stir:
            reading = like.new_full((len(like), 4), torch.nan)
            reading[state.chains[~burning]] = state.monitors()[~burning]
            readings.append(reading)
            exploded = ~(state.energy() <= ceiling)  # NaN explodes too
            ended |= exploded
            lost += state.chains[exploded].tolist()
            if progress is not None:
                progress(1.0 - float((1 - elapsed / duration).clamp(min=0).sum()) / len(like))
        if ended.any():
            rows = state.chains[ended]
            w, weights = state.posterior.select(ended).weights(state.v[ended], state.z[ended])
            readout[rows], hidden[rows] = w, weights
            steps[rows.cpu().numpy()] = iteration
            keep = (~ended).nonzero()[:, 0]
            if not len(keep):
                break
            state.select(keep)
            collected, elapsed, h, ceiling = collected[keep], elapsed[keep], h[keep], ceiling[keep]
    table = torch.stack(readings, 1).cpu().numpy() if readings else np.zeros((len(like), 0, 4))
    for k in row_of.tolist():
        series[k] = table[k][~np.isnan(table[k]).any(1)].astype(np.float64)
    readout[lost] = hidden[lost] = torch.nan
    return torch.tensor(lost, dtype=torch.long, device=like.device)
