"""Finite two-layer networks trained by gradient flow with weight decay (docs/theory.md §2 eq. (7))."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infwidth.networks.solution import NetworkSolution, require_converged, summarise
from infwidth.networks.two_layer.ensemble import (
    SourceNetworks,
    TargetPoint,
    check_seeds,
    data_batch,
    draw,
    feature_kernel,
    per_chunk,
    predict,
    target_data,
)
from infwidth.networks.two_layer.exponential_flow import DEFAULT_SAFETY, FlowBatch, FlowOutcome, decay_factor, integrate
from infwidth.networks.two_layer.span import training_span
from infwidth.networks.two_layer.starts import Starts, target_batch
from infwidth.numerics.activations import get_activation
from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.numerics.progress import Progress, part_of
from infwidth.numerics.status import Status
from infwidth.tasks.transfer_task import TransferTask


@dataclass(frozen=True)
class TargetTrajectories:
    """Target networks along the flow: B networks (one a seed), G points.

    Attributes:
        times: record times in units of the flow (7), (T,).
        train_prediction: f on the target training inputs, (B, G, T, P2); nan from where a network diverged.
        prediction: f on the test inputs, (B, G, T, Pt); likewise.
        kernel: Φ = E φφᵀ on the training inputs at the last time, (B, G, P2, P2).
        status: converged or diverged, B × G.
        steps: integration steps tried, (B, G).
        residual: largest rms difference, over the steps, between the first- and second-order f on the
            training set, relative to rms y: an upper bound in practice on one step's error, (B, G).
    """

    times: np.ndarray
    train_prediction: np.ndarray
    prediction: np.ndarray
    kernel: np.ndarray
    status: tuple[tuple[Status, ...], ...]
    steps: np.ndarray
    residual: np.ndarray


def train_source(
    x: np.ndarray,
    y: np.ndarray,
    *,
    activation: str,
    source_strength: float,
    weight_decay: float,
    time: float,
    width: int,
    seeds: Sequence[int],
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    safety: float = DEFAULT_SAFETY,
    progress: Progress = None,
) -> SourceNetworks:
    """Train source networks along (7) with δ = 0, from W, w ~ N(0, 1).

    Neurons come in pairs (w, W), (−w, W), so that f(0) = 0 exactly.

    Args:
        x: inputs, (P, D) for all networks or (B, P, D), one set a seed.
        y: labels, (P,) or (B, P).
        activation: "linear", "relu" or "erf".
        source_strength: feature-learning strength γ̄ > 0.
        weight_decay: λ ≥ 0 of both layers, per unit of time.
        time: training time ≥ 0 in units of the flow (7).
        width: N, even.
        seeds: one integer a network, B of them; a network depends on its seed and data alone.
        dtype: of the integration.
        device: of the integration, and of the weights returned.
        safety: step as a fraction of the stability limit.
        progress: called with the fraction done, 0 … 1.

    Returns:
        The trained weights with a status each.

    Raises:
        InputError: an argument out of range, or shapes that do not match.
    """
    phi, seeds = get_activation(activation), check_seeds(seeds)
    check_number("source_strength", source_strength, minimum=0.0, open_minimum=True)
    check_number("weight_decay", weight_decay, minimum=0.0)
    check_number("time", time, minimum=0.0)
    if check_count("width", width, minimum=2) % 2:
        raise InputError(f"width = {width}: expected an even number, neurons come in ± pairs; add 1")
    x, y = data_batch(x, y, len(seeds), dtype, device)
    dimension = x.shape[-1]
    hidden, readout = x.new_empty(len(seeds), width, dimension), x.new_empty(len(seeds), width)
    outcomes, chunks = [], per_chunk(len(seeds), width, x.shape[1], x)
    for number, chunk in enumerate(chunks):
        spans = [training_span(x[b]) for b in chunk]
        starts = [draw((width // 2, dimension), seeds[b], "source hidden", x) for b in chunk]
        halves = torch.stack([draw((width // 2,), seeds[b], "source readout", x) for b in chunk])
        coordinates = torch.stack([span.coordinates(w) for span, w in zip(spans, starts, strict=True)])
        rate = x.new_full((len(chunk),), weight_decay)
        batch = FlowBatch(
            readout=torch.cat([halves, -halves], 1),
            hidden=torch.cat([coordinates, coordinates], 1),
            anchor=None,
            inputs=torch.stack([span.coordinates(x[b]) for span, b in zip(spans, chunk, strict=True)]) / dimension**0.5,
            labels=y[chunk.start : chunk.stop],
            strength=x.new_full((len(chunk),), source_strength),
            readout_decay=rate,
            hidden_decay=rate,
            pull=torch.zeros_like(rate),
        )
        passive = float(decay_factor(rate[0], torch.as_tensor(time).to(rate)))

        def keep(k, _, w, coordinates, __, chunk=chunk, spans=spans, starts=starts, passive=passive):
            readout[chunk[k]] = w
            start = torch.cat([starts[k], starts[k]]) if spans[k].basis is not None else coordinates
            hidden[chunk[k]] = spans[k].replace(start, coordinates, passive)

        hidden[chunk.start : chunk.stop] = readout[chunk.start : chunk.stop] = torch.nan
        outcomes.append(
            integrate(
                batch,
                torch.tensor([float(time)]),
                keep,
                activation=phi,
                safety=safety,
                progress=part_of(progress, number, len(chunks)),
            )
        )
    status, steps, _ = _join(outcomes)
    return SourceNetworks(hidden, readout, status, steps)


def train_target(
    source: SourceNetworks,
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    *,
    points: Sequence[TargetPoint],
    activation: str,
    weight_decay: float,
    times: Sequence[float],
    seeds: Sequence[int],
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    safety: float = DEFAULT_SAFETY,
    progress: Progress = None,
    observe: Callable[[int, int, int, Tensor], None] | None = None,
) -> TargetTrajectories:
    """Train target networks along (7), tied to their sources.

    The source's N neurons are duplicated with fresh readouts ±w, w ~ N(0, 1), on the same W̄: target width 2N,
    f(0) = 0 exactly. At equal seed w(0) is the same at all points.

    Args:
        source: B source networks.
        x: target training inputs, (P2, D) or (B, P2, D).
        y: target training labels, (P2,) or (B, P2).
        x_test: test inputs, (Pt, D) or (B, Pt, D).
        points: G points: elastic coupling δ, strength γ, start and anchor of each.
        activation: "linear", "relu" or "erf".
        weight_decay: λ ≥ 0 of both layers, per unit of time.
        times: record times ≥ 0, increasing, in units of the flow (7), T of them.
        seeds: one integer a source network.
        dtype: of the integration.
        device: of the integration.
        safety: step as a fraction of the stability limit.
        progress: called with the fraction done, 0 … 1.
        observe: called as observe(network, point, time index, preactivations) at every record, the last (2N, P2).

    Returns:
        Predictions at the record times, the final kernel and a status for each of B × G networks.

    Raises:
        InputError: an argument out of range, or shapes that do not match.
    """
    phi, seeds, times = get_activation(activation), check_seeds(seeds), _check_times(times)
    check_number("weight_decay", weight_decay, minimum=0.0)
    source, x, y, x_test = target_data(source, x, y, x_test, points, seeds, dtype, device)
    bodies, groups, width = len(seeds), len(points), source.hidden.shape[1]
    samples, tests = x.shape[1], x_test.shape[1]
    train_prediction = np.full((bodies * groups, len(times), samples), np.nan)
    prediction = np.full((bodies * groups, len(times), tests), np.nan)
    kernel = np.full((bodies * groups, samples, samples), np.nan)
    outcomes, chunks = [], per_chunk(bodies * groups, 2 * width, samples, x)
    for number, chunk in enumerate(chunks):
        starts = Starts(source, x, x_test, seeds)
        pairs = [divmod(k, groups) for k in chunk]
        batch = target_batch(starts, pairs, points, y, weight_decay)

        def keep(k, t, w, coordinates, output, chunk=chunk, pairs=pairs, starts=starts, batch=batch):
            b, g = pairs[k]
            offset = starts.passive(b, points[g].origin)
            if offset is not None:
                left = float(decay_factor(batch.hidden_decay[k], batch.strength.new_tensor(times[t])))
                offset = (left + (1 - left) * float(batch.pull[k])) * offset
                offset = torch.cat([offset, offset])
            f = predict(w, coordinates, starts.tests[b], points[g].target_strength, phi, offset)
            prediction[chunk[k], t] = f.cpu()
            train_prediction[chunk[k], t] = output.cpu()
            if observe is not None:
                observe(b, g, t, coordinates @ starts.inputs[b].mT)
            if t == len(times) - 1:
                kernel[chunk[k]] = feature_kernel(coordinates[None], starts.inputs[b][None], phi)[0].cpu()

        outcomes.append(
            integrate(
                batch,
                torch.from_numpy(times),
                keep,
                activation=phi,
                safety=safety,
                progress=part_of(progress, number, len(chunks)),
            )
        )
    status, steps, residual = _join(outcomes)
    return TargetTrajectories(
        times,
        train_prediction.reshape(bodies, groups, len(times), samples),
        prediction.reshape(bodies, groups, len(times), tests),
        kernel.reshape(bodies, groups, samples, samples),
        tuple(status[b * groups : (b + 1) * groups] for b in range(bodies)),
        steps.reshape(bodies, groups),
        residual.reshape(bodies, groups),
    )


def run(
    task: TransferTask,
    *,
    activation: str,
    source_strength: float,
    target_strength: float,
    elastic_coupling: float | Sequence[float],
    weight_decay: float,
    source_weight_decay: float | None = None,
    source_time: float,
    target_times: Sequence[float],
    start: str = "source",
    anchor: str = "source",
    width: int,
    seeds: Sequence[int] = (0,),
    strict: bool = True,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    safety: float = DEFAULT_SAFETY,
    progress: Progress = None,
) -> NetworkSolution:
    """Train source networks, then target networks tied to them, and average over seeds.

    Args:
        task: source, target and test sets.
        activation: "linear", "relu" or "erf".
        source_strength: feature-learning strength γ̄ > 0 of the source.
        target_strength: feature-learning strength γ > 0 of the target.
        elastic_coupling: δ ≥ 0, inf allowed; a sequence of n adds a leading axis to every observable.
        weight_decay: λ ≥ 0 of both target layers, per unit of time.
        source_weight_decay: the source's λ; None takes ``weight_decay``.
        source_time: the source's training time, in units of the flow (7).
        target_times: times at which the target is recorded, increasing, from the start of its training.
        start: "source", or "scratch" for fresh weights and no anchor.
        anchor: "source", or "random" for random weights of the source's norm per neuron.
        width: N of the source, even; the target has 2N neurons.
        seeds: one integer a network.
        strict: whether a network that diverged raises; otherwise its status says so.
        dtype: of the integration.
        device: of the integration.
        safety: step as a fraction of the stability limit.
        progress: called with the fraction done, 0 … 1, source and target a half each.

    Returns:
        Observables averaged over seeds, with their standard errors.

    Raises:
        InputError: an argument out of range.
        UnconvergedError: a network diverged and ``strict``; names its seed, δ and γ.
    """
    single = np.ndim(elastic_coupling) == 0
    couplings = [elastic_coupling] if single else list(elastic_coupling)
    points = [TargetPoint(delta, target_strength, start, anchor) for delta in couplings]
    target_times = _check_times(target_times)
    common = {"activation": activation, "seeds": seeds, "dtype": dtype, "device": device, "safety": safety}
    source = train_source(
        task.x_source,
        task.y_source,
        source_strength=source_strength,
        weight_decay=weight_decay if source_weight_decay is None else source_weight_decay,
        time=source_time,
        width=width,
        progress=part_of(progress, 0, 2),
        **common,
    )
    if strict:
        require_converged(source.status, [f"source network, seed {s}, γ̄={source_strength:g}" for s in seeds])
    target = train_target(
        source,
        task.x_target,
        task.y_target,
        task.x_test,
        points=points,
        weight_decay=weight_decay,
        times=target_times,
        progress=part_of(progress, 1, 2),
        **common,
    )
    if strict:
        for seed, row in zip(seeds, target.status, strict=True):
            require_converged(row, [f"target network, seed {seed}, {point}" for point in points])
    return summarise(
        {
            "prediction": target.prediction,
            "train_loss": np.square(target.train_prediction - task.y_target).mean(-1),
            "test_loss": np.square(target.prediction - task.y_test).mean(-1),
            "kernel": target.kernel,
        },
        target.status,
        target.residual,
        single=single,
        times=target_times,
    )


def _check_times(times: Sequence[float]) -> np.ndarray:
    array = np.atleast_1d(np.asarray(times, dtype=np.float64))
    if (
        array.ndim != 1
        or array.size == 0
        or not np.all(np.isfinite(array))
        or array[0] < 0
        or np.any(np.diff(array) <= 0)
    ):
        raise InputError(f"times = {times!r}: expected increasing finite numbers ≥ 0; sort them and drop repeats")
    return array


def _join(outcomes: list[FlowOutcome]) -> tuple[tuple[Status, ...], np.ndarray, np.ndarray]:
    status = tuple(status for outcome in outcomes for status in outcome.status)
    steps = torch.cat([outcome.steps for outcome in outcomes]).cpu().numpy()
    return status, steps, torch.cat([outcome.residual for outcome in outcomes]).cpu().numpy()
