"""Source and target stages of the mean-field dynamics: independent replicas of particles (docs/theory.md §2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.numerics.status import Status
from infwidth.theory import elastic
from infwidth.theory.dynamics.draws import Draws, draw_readout, turn
from infwidth.theory.dynamics.integrate import integrate
from infwidth.theory.dynamics.predict import Predictor, working_set
from infwidth.theory.dynamics.step import Geometry, Populations, Snapshot
from infwidth.theory.frozen import faded, frozen_course


@dataclass(frozen=True)
class Limits:
    """What bounds an integration.

    Attributes:
        rtol: relative tolerance of a step, see ``integrate``.
        max_evaluations: right-hand sides allowed a population.
        space: "auto", "weight" or "field".
        constant_step: a constant step instead of error control, or None.
        precision: of the particles, see ``integrate``.
    """

    rtol: float = 1e-2
    max_evaluations: int = 1_000_000
    space: str = "auto"
    constant_step: float | None = None
    precision: str = "auto"


@dataclass(frozen=True)
class SourceParticles:
    """R source populations when their training ends.

    Attributes:
        hidden: W̄ in d coordinates, (R, S, d); NaN where the integrator stopped early.
        readout: w̄, (R, S).
        squared_outside: squared norm of W̄ in the other D − d coordinates, (R, S).
        status: R of them.
        residual: largest error estimate of a step, (R,).
        evaluations: right-hand sides, (R,).
        coarser: the first of them at a coarser tolerance, by which the integrator's error is known; or None.
    """

    hidden: Tensor
    readout: Tensor
    squared_outside: np.ndarray
    status: tuple[Status, ...]
    residual: np.ndarray
    evaluations: np.ndarray
    coarser: SourceParticles | None = None


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
        coupling_index: index of its δ, a finite one.
        time_index: of the record time.
        snapshot: the particles; i and S + i share W̄ i.
    """

    replica: int
    coupling_index: int
    time_index: int
    snapshot: Snapshot


def train_source(
    inputs: np.ndarray,
    labels: np.ndarray,
    *,
    dimension: int,
    time: float,
    strength: float,
    weight_decay: float,
    activation: Activation,
    sampling: Draws,
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
        weight_decay: λ of both layers.
        activation: φ.
        sampling: the particles.
        limits: of the integration.
        device: where to compute.

    Returns:
        The trained particles.
    """
    x, y = _tensors(device, inputs, labels)
    geometry = Geometry.of(x, limits.space)
    readout, hidden = _tensors(device, *sampling.fresh(x.shape[1], "source"))
    trained_w, trained = torch.full_like(readout, torch.nan), torch.full_like(hidden, torch.nan)
    ends: list = []
    for chunk in _chunks(sampling.replicas, sampling.particles * len(x), x):
        rate = np.full(len(chunk), weight_decay)
        part = hidden[chunk.start : chunk.stop]
        populations = Populations(
            readout=readout[chunk.start : chunk.stop],
            moved=x.new_zeros(len(chunk), geometry.product.shape[1], sampling.particles),
            anchor_fields=x @ part.mT,
            stiffness=rate,
            pull=np.zeros_like(rate),
        )

        def keep(k: int, _: int, end: Snapshot, chunk=chunk) -> None:
            trained_w[chunk[k]] = end.readout
            trained[chunk[k]] = end.weights(hidden[chunk[k]])

        ends.append(
            _integrate(populations, geometry, y, np.array([time]), keep, strength, weight_decay, activation, limits)
        )
    n_outside = dimension - x.shape[1]
    squared_outside = np.zeros(readout.shape)
    if n_outside:
        squares = [
            sampling.rng(r, "source norms").chisquare(n_outside, sampling.particles) for r in range(sampling.replicas)
        ]
        squared_outside = math.exp(-2 * weight_decay * time) * np.stack(squares)
    status = tuple(status for end in ends for status in end.status)
    residual = np.concatenate([end.residual for end in ends])
    evaluations = np.concatenate([end.evaluations for end in ends])
    return SourceParticles(trained, trained_w, squared_outside, status, residual, evaluations)


def starting_weights(
    source: SourceParticles | None, dimension: int, origin: str, sampling: Draws, like: Tensor
) -> Tensor:
    """Hidden weights (R, S, d) that a target starts from.

    Args:
        source: the source; not read where ``origin`` is "scratch".
        dimension: D.
        origin: "source", "random" (of the source's norms, D-dimensional ones) or "scratch".
        sampling: the particles.
        like: inputs (P, d) of the result's dtype and device.
    """
    if origin == "source":
        return source.hidden
    if origin == "scratch":
        return torch.from_numpy(sampling.fresh(like.shape[1], "scratch")[1]).to(like)
    n_outside = dimension - like.shape[1]
    turned = [
        turn(hidden, squared_outside, n_outside, sampling.rng(r, "random anchor"))
        for r, (hidden, squared_outside) in enumerate(
            zip(source.hidden.cpu().numpy(), source.squared_outside, strict=True)
        )
    ]
    return torch.from_numpy(np.stack(turned)).to(like)


def train_target(
    anchor_weights: Tensor,
    inputs: np.ndarray,
    labels: np.ndarray,
    test_inputs: np.ndarray,
    *,
    couplings: Sequence[float],
    times: np.ndarray,
    strength: float,
    weight_decay: float,
    activation: Activation,
    sampling: Draws,
    limits: Limits,
    show: Callable[[Shown], None] | None = None,
    source_status: Sequence[Status] | None = None,
    readout: Tensor | None = None,
) -> TargetCourses:
    """Train target populations along (7) from, and tied by δ to, weights W̄: fresh ±w on each, so f(0) = 0.

    Args:
        anchor_weights: W̄ in d coordinates, (R, S, d); at equal replica all couplings share W̄ and w.
        inputs: X/√D likewise, (P, d).
        labels: y, (P,).
        test_inputs: likewise, (Pt, d).
        couplings: δ ≥ 0, n of them; inf freezes W at W̄ and is solved in closed form.
        times: increasing times ≥ 0, finite unless every δ is inf, (T,).
        strength: γ.
        weight_decay: λ of both layers.
        activation: φ.
        sampling: the particles.
        limits: of the integration.
        show: shown the particles at every record of a finite δ.
        source_status: how the training of each replica's W̄ ended: from one that was not reached, NaN, no target starts.
        readout: w̄ to go on with, the same on both copies of W̄, (R, S); None draws fresh ones.

    Returns:
        The courses.
    """
    x, y, x_test = _tensors(anchor_weights.device, inputs, labels, test_inputs)
    replicas, count = anchor_weights.shape[:2]
    shape = (replicas, len(couplings))
    fit = np.full((*shape, len(times), len(y)), np.nan)
    prediction = np.full((*shape, len(times), len(x_test)), np.nan)
    kernel = np.full((*shape, len(y), len(y)), np.nan)
    residual, evaluations = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    status = np.full(shape, Status.CONVERGED, dtype=object)
    sound = torch.isfinite(anchor_weights).all(2).all(1).tolist()

    geometry = Geometry.of(x, limits.space)
    fields = x @ anchor_weights.mT
    if readout is None:
        fresh = [torch.from_numpy(draw_readout(count, sampling.rng(r, "target"))) for r in range(replicas)]
        first, readout = None, torch.stack(fresh).to(x)
    else:
        first, readout = readout, torch.cat([readout, readout], 1)
    predictor = Predictor(anchor_weights, x_test, geometry, strength, activation)
    for r in range(replicas):
        for g in range(len(couplings)):
            if not sound[r]:
                status[r, g] = Status.DIVERGED if source_status is None else source_status[r]
            elif math.isinf(couplings[g]):
                own = None if first is None else first[r] / strength
                kernel[r, g], fit[r, g], prediction[r, g] = _frozen(
                    fields[r].T, predictor, r, y, times, weight_decay, activation, own
                )
    pairs = [(r, g) for r in range(replicas) for g in range(len(couplings)) if sound[r] and math.isfinite(couplings[g])]
    for chunk in _chunks(len(pairs), 2 * count * len(y), x):
        members = [pairs[k] for k in chunk]
        rows = torch.tensor([r for r, _ in members], device=x.device)
        own = fields[rows]
        populations = Populations(
            readout=readout[rows],
            moved=x.new_zeros(len(members), geometry.product.shape[1], 2 * count),
            anchor_fields=torch.cat([own, own], 2),
            stiffness=np.array([elastic.stiffness(weight_decay, couplings[g]) for _, g in members]),
            pull=np.array([elastic.pull(weight_decay, couplings[g]) for _, g in members]),
        )

        def keep(k: int, t: int, shot: Snapshot, members=members) -> None:
            r, g = members[k]
            fit[r, g, t] = shot.output.cpu().numpy()
            prediction[r, g, t] = predictor(r, shot).cpu().numpy()
            if t == len(times) - 1:
                features = activation.value(shot.preactivation)
                kernel[r, g] = (features.T @ features / len(features)).cpu().numpy()
            if show is not None:
                show(Shown(r, g, t, shot))

        end = _integrate(populations, geometry, y, times, keep, strength, weight_decay, activation, limits)
        for k, pair in enumerate(members):
            status[pair], residual[pair], evaluations[pair] = end.status[k], end.residual[k], end.evaluations[k]
    return TargetCourses(fit, prediction, kernel, tuple(map(tuple, status)), residual, evaluations)


def _frozen(fields, predictor, replica, labels, times, weight_decay, activation, readout):
    """Kernel, f on training and test inputs at δ = ∞ of one replica, whose readout starts at γ times ``readout``."""
    features, tests = activation.value(fields), activation.value(predictor.starting(replica))
    kernel = (features.T @ features / len(features)).cpu().numpy()
    cross = (tests.T @ features / len(features)).cpu().numpy()
    fit, prediction = np.zeros(kernel.shape[0]), np.zeros(len(cross))
    if readout is not None:
        fit, prediction = ((readout @ one / len(features)).cpu().numpy() for one in (features, tests))
    dual = frozen_course(kernel, labels.cpu().numpy(), times, readout_decay=weight_decay, initial_output=fit)
    left = faded(np.asarray(times, dtype=np.float64), weight_decay)[:, None]
    return kernel, left * fit + dual @ kernel, left * prediction + dual @ cross.T


def _integrate(populations, geometry, labels, times, keep, strength, weight_decay, activation, limits):
    return integrate(
        populations,
        geometry,
        labels,
        times,
        keep,
        strength=strength,
        readout_decay=weight_decay,
        activation=activation,
        rtol=limits.rtol,
        max_evaluations=limits.max_evaluations,
        constant_step=limits.constant_step,
        precision=limits.precision,
    )


def _tensors(device, *arrays: np.ndarray) -> list[Tensor]:
    return [torch.tensor(array, dtype=torch.float64, device=device) for array in arrays]


def _chunks(members: int, size: int, like: Tensor) -> list[range]:
    """Split populations of ``size`` elements each into batches that stay within the working set."""
    together = max(1, working_set(like) // size)
    return [range(start, min(start + together, members)) for start in range(0, members, together)]
