"""Source and target stages of the mean-field dynamics: independent replicas of particles (docs/theory.md §2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status
from infwidth.theory import elastic
from infwidth.theory.dynamics.draws import DEFAULT_SCHEME, draw_particles, draw_readout, turn
from infwidth.theory.dynamics.integrate import integrate
from infwidth.theory.dynamics.predict import Predictor, working_set
from infwidth.theory.dynamics.step import Geometry, Populations, Snapshot
from infwidth.theory.frozen import frozen_course


@dataclass(frozen=True)
class Limits:
    """What bounds an integration.

    Attributes:
        rtol: relative tolerance of a step, see ``particle_flow.integrate``.
        max_evaluations: right-hand sides allowed a population.
        space: "auto", "weight" or "field".
        step: a constant step instead of error control, or None.
    """

    rtol: float = 1e-2
    max_evaluations: int = 1_000_000
    space: str = "auto"
    step: float | None = None


@dataclass(frozen=True)
class Draws:
    """Where random numbers come from, and how many particles they make.

    Attributes:
        particles: S of the source; the target has 2S, fresh readouts ±w on each of them.
        replicas: R, independent of each other.
        seed: of all; a replica's numbers depend on it and on the replica's number alone.
        scheme: see ``particle_sampling.SCHEMES``.
        match: whether second moments are matched.
    """

    particles: int
    replicas: int
    seed: int = 0
    scheme: str = DEFAULT_SCHEME
    match: bool = True

    def rng(self, replica: int, purpose: str) -> np.random.Generator:
        """The generator for a purpose."""
        return generator(self.seed, replica, f"particles, {purpose}")

    def fresh(self, dimension: int, purpose: str) -> tuple[np.ndarray, np.ndarray]:
        """Untrained particles: w (R, S) and W (R, S, d)."""
        pairs = [
            draw_particles(self.particles, dimension, self.scheme, self.rng(r, purpose), match=self.match)
            for r in range(self.replicas)
        ]
        readout, hidden = zip(*pairs, strict=True)
        return np.stack(readout), np.stack(hidden)


@dataclass(frozen=True)
class SourceParticles:
    """R source populations when their training ends.

    Attributes:
        hidden: W̄ in d coordinates, (R, S, d); NaN where the integrator stopped early.
        readout: w̄, (R, S).
        outside: squared norm of W̄ in the other D − d coordinates, (R, S).
        status: R of them.
        residual: largest error estimate of a step, (R,).
        evaluations: right-hand sides, (R,).
    """

    hidden: Tensor
    readout: Tensor
    outside: np.ndarray
    status: tuple[Status, ...]
    residual: np.ndarray
    evaluations: np.ndarray


@dataclass(frozen=True)
class TargetCourses:
    """Target populations along (7): R replicas, n couplings.

    Attributes:
        train_prediction: f on the training inputs, (R, n, T, P); NaN at times that were not reached.
        prediction: f on the test inputs, (R, n, T, Pt); likewise.
        kernel: Φ = E φφᵀ on the training inputs at the last time, (R, n, P, P); likewise.
        status: R × n.
        residual: largest error estimate of a step, (R, n).
        evaluations: right-hand sides, (R, n).
    """

    train_prediction: np.ndarray
    prediction: np.ndarray
    kernel: np.ndarray
    status: tuple[tuple[Status, ...], ...]
    residual: np.ndarray
    evaluations: np.ndarray


@dataclass(frozen=True)
class Shown:
    """Particles of one target population at a record time.

    Attributes:
        replica: index of the population's replica.
        coupling: index of its δ, a finite one.
        time: index of the time.
        snapshot: the particles; i and S + i share W̄ i.
    """

    replica: int
    coupling: int
    time: int
    snapshot: Snapshot


def train_source(
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    dimension: int,
    time: float,
    strength: float,
    decay: float,
    activation: Activation,
    draws: Draws,
    limits: Limits,
    device: str = "cpu",
) -> SourceParticles:
    """Train R source populations along (7) with δ = 0 from w, W ~ N(0, 1).

    Args:
        inputs: X̄/√D in d orthonormal coordinates, (P, d).
        labels: ȳ, (P,).
        dimension: D.
        time: training time, finite.
        strength: γ̄.
        decay: λ of both layers.
        activation: φ.
        draws: the particles.
        limits: of the integration.
        device: where to compute.

    Returns:
        The trained particles.
    """
    x, y = _tensors(device, inputs, labels)
    geometry = Geometry.of(x, limits.space)
    readout, hidden = _tensors(device, *draws.fresh(x.shape[1], "source"))
    trained_w, trained = torch.full_like(readout, torch.nan), torch.full_like(hidden, torch.nan)
    ends: list = []
    for chunk in _chunks(draws.replicas, draws.particles * len(x), x):
        rate = x.new_full((len(chunk),), decay)
        part = hidden[chunk.start : chunk.stop]
        batch = Populations(
            readout=readout[chunk.start : chunk.stop],
            moved=x.new_zeros(len(chunk), geometry.product.shape[1], draws.particles),
            anchor=x @ part.mT,
            stiffness=rate,
            pull=torch.zeros_like(rate),
        )

        def keep(k: int, _: int, end: Snapshot, chunk=chunk) -> None:
            trained_w[chunk[k]] = end.readout
            trained[chunk[k]] = end.weights(hidden[chunk[k]])

        ends.append(_integrate(batch, geometry, y, np.array([time]), keep, strength, decay, activation, limits))
    missing = dimension - x.shape[1]
    outside = np.zeros(readout.shape)
    if missing:
        squares = [draws.rng(r, "source norms").chisquare(missing, draws.particles) for r in range(draws.replicas)]
        outside = math.exp(-2 * decay * time) * np.stack(squares)
    status = tuple(status for end in ends for status in end.status)
    residual = torch.cat([end.residual for end in ends]).cpu().numpy()
    evaluations = torch.cat([end.evaluations for end in ends]).cpu().numpy()
    return SourceParticles(trained, trained_w, outside, status, residual, evaluations)


def anchor_weights(source: SourceParticles | None, dimension: int, kind: str, draws: Draws, like: Tensor) -> Tensor:
    """Hidden weights (R, S, d) that a target starts from.

    Args:
        source: the source; not read where ``kind`` is "scratch".
        dimension: D.
        kind: "source", "random" (of the source's norms, D-dimensional ones) or "scratch".
        draws: the particles.
        like: inputs (P, d) of the result's dtype and device.
    """
    if kind == "source":
        return source.hidden
    if kind == "scratch":
        return torch.from_numpy(draws.fresh(like.shape[1], "scratch")[1]).to(like)
    missing = dimension - like.shape[1]
    turned = [
        turn(hidden, outside, missing, draws.rng(r, "random anchor"))
        for r, (hidden, outside) in enumerate(zip(source.hidden.cpu().numpy(), source.outside, strict=True))
    ]
    return torch.from_numpy(np.stack(turned)).to(like)


def train_target(
    anchor: Tensor,
    inputs: np.ndarray,
    labels: np.ndarray,
    test_inputs: np.ndarray,
    *,
    couplings: Sequence[float],
    times: np.ndarray,
    strength: float,
    decay: float,
    activation: Activation,
    draws: Draws,
    limits: Limits,
    observe: Callable[[Shown], None] | None = None,
    starts: Sequence[Status] | None = None,
) -> TargetCourses:
    """Train target populations along (7) from, and tied by δ to, weights W̄: fresh ±w on each, so f(0) = 0.

    Args:
        anchor: W̄ in d coordinates, (R, S, d); at equal replica all couplings share W̄ and w.
        inputs: X/√D likewise, (P, d).
        labels: y, (P,).
        test_inputs: likewise, (Pt, d).
        couplings: δ ≥ 0, n of them; inf freezes W at W̄ and is solved in closed form.
        times: increasing times ≥ 0, finite unless every δ is inf, (T,).
        strength: γ.
        decay: λ of both layers.
        activation: φ.
        draws: the particles.
        limits: of the integration.
        observe: shown the particles at every record of a finite δ.
        starts: how the training of each replica's W̄ ended: from one that was not reached, NaN, no target starts.

    Returns:
        The courses.
    """
    x, y, x_test = _tensors(anchor.device, inputs, labels, test_inputs)
    replicas, count = anchor.shape[:2]
    shape = (replicas, len(couplings))
    fit = np.full((*shape, len(times), len(y)), np.nan)
    prediction = np.full((*shape, len(times), len(x_test)), np.nan)
    kernel = np.full((*shape, len(y), len(y)), np.nan)
    residual, evaluations = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    status = np.full(shape, Status.CONVERGED, dtype=object)
    sound = torch.isfinite(anchor).all(2).all(1).tolist()

    geometry = Geometry.of(x, limits.space)
    fields = x @ anchor.mT
    readout = torch.stack([torch.from_numpy(draw_readout(count, draws.rng(r, "target"))) for r in range(replicas)]).to(
        x
    )
    predictor = Predictor(anchor, x_test, geometry, strength, activation)
    for r in range(replicas):
        for g in range(len(couplings)):
            if not sound[r]:
                status[r, g] = Status.DIVERGED if starts is None else starts[r]
            elif math.isinf(couplings[g]):
                kernel[r, g], fit[r, g], prediction[r, g] = _frozen(
                    fields[r].T, predictor, r, y, times, decay, activation
                )
    pairs = [(r, g) for r in range(replicas) for g in range(len(couplings)) if sound[r] and math.isfinite(couplings[g])]
    for chunk in _chunks(len(pairs), 2 * count * len(y), x):
        members = [pairs[k] for k in chunk]
        rows = torch.tensor([r for r, _ in members], device=x.device)
        own = fields[rows]
        batch = Populations(
            readout=readout[rows],
            moved=x.new_zeros(len(members), geometry.product.shape[1], 2 * count),
            anchor=torch.cat([own, own], 2),
            stiffness=x.new_tensor([elastic.stiffness(decay, couplings[g]) for _, g in members]),
            pull=x.new_tensor([elastic.pull(decay, couplings[g]) for _, g in members]),
        )

        def keep(k: int, t: int, shot: Snapshot, members=members) -> None:
            r, g = members[k]
            fit[r, g, t] = shot.output.cpu().numpy()
            prediction[r, g, t] = predictor(r, shot).cpu().numpy()
            if t == len(times) - 1:
                features = activation.value(shot.preactivation)
                kernel[r, g] = (features.T @ features / len(features)).cpu().numpy()
            if observe is not None:
                observe(Shown(r, g, t, shot))

        end = _integrate(batch, geometry, y, times, keep, strength, decay, activation, limits)
        for k, pair in enumerate(members):
            status[pair], residual[pair], evaluations[pair] = end.status[k], end.residual[k], end.evaluations[k]
    return TargetCourses(fit, prediction, kernel, tuple(map(tuple, status)), residual, evaluations)


def _frozen(fields, predictor, replica, labels, times, decay, activation):
    """Kernel, f on training and test inputs at δ = ∞ of one replica."""
    features = activation.value(fields)
    kernel = features.T @ features / len(features)
    cross = activation.value(predictor.starting(replica)).T @ features / len(features)
    dual = frozen_course(kernel.cpu().numpy(), labels.cpu().numpy(), times, readout_decay=decay)
    return kernel.cpu().numpy(), dual @ kernel.cpu().numpy(), dual @ cross.T.cpu().numpy()


def _integrate(batch, geometry, labels, times, keep, strength, decay, activation, limits):
    return integrate(
        batch,
        geometry,
        labels,
        torch.as_tensor(times),
        keep,
        strength=strength,
        readout_decay=decay,
        activation=activation,
        rtol=limits.rtol,
        max_evaluations=limits.max_evaluations,
        step=limits.step,
    )


def _tensors(device, *arrays: np.ndarray) -> list[Tensor]:
    return [torch.tensor(array, dtype=torch.float64, device=device) for array in arrays]


def _chunks(members: int, size: int, like: Tensor) -> list[range]:
    """Split populations of ``size`` elements each into batches that stay within the working set."""
    together = max(1, working_set(like) // size)
    return [range(start, min(start + together, members)) for start in range(0, members, together)]
