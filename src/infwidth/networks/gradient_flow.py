"""Finite two-layer networks trained by gradient flow with weight decay (docs/theory.md §2 eq. (7))."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from infwidth.networks.solution import NetworkSolution, TargetNetworks
from infwidth.networks.transfer import check_safety, run_transfer
from infwidth.networks.two_layer.ensemble import (
    SourceNetworks,
    TargetPoint,
    check_seeds,
    data_batch,
    draw,
    target_data,
)
from infwidth.networks.two_layer.exponential_flow import DEFAULT_SAFETY, FlowBatch, FlowOutcome, decay_factor, integrate
from infwidth.networks.two_layer.model import feature_kernel, predict
from infwidth.networks.two_layer.scale import check_scale
from infwidth.networks.two_layer.span import training_span
from infwidth.networks.two_layer.starts import Starts, target_batch
from infwidth.numerics.activations import get_activation
from infwidth.numerics.batching import halving, per_chunk
from infwidth.numerics.checks import InputError, check_choice, check_count, check_number, spell
from infwidth.numerics.observed import Observed, Observer
from infwidth.numerics.progress import Progress, part_of
from infwidth.numerics.status import Status
from infwidth.tasks.transfer_task import TransferTask

READOUTS = ("fresh", "continued")
"""What a target's readout starts from."""


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
        seeds: one whole number a network, B of them; a network depends on its seed and data alone: on a CPU to the last
            bit where the width is a multiple of 4, else to rounding, whichever others share its batch.
        dtype: of the integration.
        device: of the integration, and of the weights returned.
        safety: step as a fraction of the stability limit.
        progress: called with the fraction done, 0 … 1.

    Returns:
        The trained weights with a status each.

    Raises:
        InputError: an argument out of range, or shapes that do not match.
    """
    phi, seeds = get_activation(activation), check_seeds(seeds, distinct=np.ndim(x) == 2)
    _check_source(source_strength, weight_decay, time, width, safety)
    x, y = data_batch(x, y, len(seeds), dtype, device)
    check_scale("source", x, float(time), safety)
    hidden, readout = x.new_empty(len(seeds), width, x.shape[-1]), x.new_empty(len(seeds), width)
    outcomes, chunks = [], per_chunk(len(seeds), width, x.shape[1], x)
    for number, chunk in enumerate(chunks):
        some = slice(chunk.start, chunk.stop)
        batch, keep = _source_batch(x[some], y[some], seeds[some], source_strength, weight_decay, float(time), width)
        hidden[some] = readout[some] = torch.nan

        def store(k, _, w, coordinates, __, chunk=chunk, keep=keep):
            readout[chunk[k]], hidden[chunk[k]] = w, keep(k, coordinates)

        part = part_of(progress, number, len(chunks))
        end = torch.tensor([float(time)])
        outcomes += _integrate(batch, end, store, activation=phi, safety=safety, progress=part)
    status, steps, _ = _join(outcomes)
    return SourceNetworks(hidden, readout, status, steps)


def _source_batch(
    x: Tensor, y: Tensor, seeds: Sequence[int], strength: float, weight_decay: float, time: float, width: int
) -> tuple[FlowBatch, Callable[[int, Tensor], Tensor]]:
    """Source networks at time 0, and what turns final coordinates (r, N) of the k-th into its weights (N, D)."""
    dimension, rate = x.shape[-1], x.new_full((len(x),), weight_decay)
    spans = [training_span(one) for one in x]
    starts = [draw((width // 2, dimension), seed, "source hidden", x) for seed in seeds]
    halves = torch.stack([draw((width // 2,), seed, "source readout", x) for seed in seeds])
    coordinates = torch.stack([span.coordinates(w).mT for span, w in zip(spans, starts, strict=True)])
    passive = float(decay_factor(rate[0], torch.as_tensor(time).to(rate)))

    def weights(k: int, coordinates: Tensor) -> Tensor:
        start = torch.cat([starts[k], starts[k]])
        return spans[k].replace(start, coordinates.mT, passive)

    batch = FlowBatch(
        readout=torch.cat([halves, -halves], 1),
        hidden=torch.cat([coordinates, coordinates], 2),
        anchor_weights=None,
        inputs=torch.stack([span.coordinates(one) for span, one in zip(spans, x, strict=True)]) / dimension**0.5,
        labels=y,
        strength=x.new_full((len(x),), strength),
        readout_decay=rate,
        stiffness=rate,
        pull=torch.zeros_like(rate),
    )
    return batch, weights


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
    readout: str = "fresh",
    seeds: Sequence[int],
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    safety: float = DEFAULT_SAFETY,
    progress: Progress = None,
    observe: Observer | None = None,
) -> TargetNetworks:
    """Train target networks along (7), tied to their sources.

    The source's N neurons are duplicated with fresh readouts ±w, w ~ N(0, 1), on the same W̄: target width 2N,
    f(0) = 0 exactly. At equal seed w(0) is the same at all points. Continued readouts are the source's on both copies.

    Args:
        source: B source networks.
        x: target training inputs, (P2, D) or (B, P2, D).
        y: target training labels, (P2,) or (B, P2).
        x_test: test inputs, (Pt, D) or (B, Pt, D).
        points: G points: elastic coupling δ, strength γ, start and anchor of each.
        activation: "linear", "relu" or "erf".
        weight_decay: λ ≥ 0 of both layers, per unit of time.
        times: record times ≥ 0, increasing, in units of the flow (7), T of them.
        readout: "fresh", or "continued" from the source's, f(0) = (γ̄/γ) f̄; from scratch it is fresh.
        seeds: one integer a source network.
        dtype: of the integration.
        device: of the integration.
        safety: step as a fraction of the stability limit.
        progress: called with the fraction done, 0 … 1.
        observe: shown each network (its ``replica``) of each point (its ``coupling_index``) at every record, with the
            preactivations of all 2N neurons on the training inputs.

    Returns:
        Predictions at the record times, the final kernel and a status for each of B × G networks.

    Raises:
        InputError: an argument out of range, or shapes that do not match.
    """
    phi, seeds, times = get_activation(activation), check_seeds(seeds, distinct=False), _check_times(times)
    check_number("weight_decay", weight_decay, minimum=0.0)
    check_choice("readout", readout, READOUTS)
    check_safety(safety)
    source, x, y, x_test = target_data(source, x, y, x_test, points, seeds, dtype, device)
    check_scale("target", x, times[-1], safety)
    bodies, groups, width = len(seeds), len(points), source.hidden.shape[1]
    chunks = per_chunk(bodies * groups, 2 * width, x.shape[1], x)
    balanced = np.tile([readout == "fresh" or point.origin == "scratch" for point in points], bodies)
    found, outcomes = _Recorded(balanced, times, x.shape[1], x_test.shape[1]), []
    shown: set[tuple[int, int]] = set()
    for number, chunk in enumerate(chunks):
        starts = Starts(source, x, x_test, seeds)
        pairs = [divmod(k, groups) for k in chunk]
        batch = target_batch(starts, pairs, points, y, weight_decay, readout)

        def keep(k, t, w, coordinates, output, chunk=chunk, pairs=pairs, starts=starts, batch=batch):
            (b, g), moved = pairs[k], points[pairs[k][1]]
            offset = starts.passive(b, moved.origin)
            if offset is not None:
                left = float(decay_factor(batch.stiffness[k], batch.strength.new_tensor(times[t])))
                offset = ((left + (1 - left) * float(batch.pull[k])) * offset).mT.repeat(1, 2)
            f = predict(w, coordinates, starts.tests[b], moved.target_strength, phi, offset)
            found.keep(chunk[k], t, f, output)
            if observe is not None and (chunk[k], t) not in shown:  # a chunk that is halved starts again
                shown.add((chunk[k], t))
                observe(Observed(b, g, t, (starts.inputs[b] @ coordinates).mT))
            if t == len(times) - 1:
                found.kernel[chunk[k]] = feature_kernel(coordinates, starts.inputs[b], phi).cpu()

        part = part_of(progress, number, len(chunks))
        outcomes += _integrate(batch, torch.from_numpy(times), keep, activation=phi, safety=safety, progress=part)
    return found.answer(outcomes, bodies, groups)


def _integrate(batch: FlowBatch, times: Tensor, keep: Callable[..., None], **options: Any) -> list[FlowOutcome]:
    """Integrate a chunk of networks, in halves where the device's memory is too small for it."""

    def work(some: FlowBatch, first: int) -> FlowOutcome:
        return integrate(some, times, lambda k, *found: keep(first + k, *found), **options)

    return halving(work, batch, len(batch.strength))


class _Recorded:
    """What networks, one a row, were recorded as; ``balanced`` ones start with pairs of neurons that cancel."""

    def __init__(self, balanced: np.ndarray, times: np.ndarray, n_train: int, n_test: int):
        self.balanced, self.times, networks = balanced, times, len(balanced)
        self.train_prediction = np.full((networks, len(times), n_train), np.nan)
        self.prediction = np.full((networks, len(times), n_test), np.nan)
        self.kernel = np.full((networks, n_train, n_train), np.nan)

    def keep(self, row: int, time_index: int, prediction: Tensor, train_prediction: Tensor) -> None:
        """Keep outputs at a time. At time 0 balanced pairs cancel: f = 0 but for rounding, which has a sign."""
        moved = float(self.times[time_index] > 0 or not self.balanced[row])
        self.prediction[row, time_index] = moved * prediction.cpu()
        self.train_prediction[row, time_index] = moved * train_prediction.cpu()

    def answer(self, outcomes: list[FlowOutcome], bodies: int, groups: int) -> TargetNetworks:
        """Return the networks, arranged as bodies × groups."""
        status, steps, residual = _join(outcomes)
        arrays = self.prediction, self.train_prediction, self.kernel
        prediction, train_prediction, kernel = (array.reshape(bodies, groups, *array.shape[1:]) for array in arrays)
        return TargetNetworks(
            prediction=prediction,
            train_prediction=train_prediction,
            kernel=kernel,
            status=tuple(status[b * groups : (b + 1) * groups] for b in range(bodies)),
            steps=steps.reshape(bodies, groups),
            residual=residual.reshape(bodies, groups),
            times=self.times,
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
    readout: str = "fresh",
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
        readout: "fresh", or "continued" from the source's.
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
    task.refuse_several_outputs("gradient flow")
    target_times = _check_times(target_times)
    source_weight_decay = weight_decay if source_weight_decay is None else source_weight_decay
    _check_source(source_strength, source_weight_decay, source_time, width, safety)
    check_number("weight_decay", weight_decay, minimum=0.0)
    check_choice("readout", readout, READOUTS)
    return run_transfer(
        task,
        partial(train_source, weight_decay=source_weight_decay, time=source_time, width=width),
        partial(train_target, weight_decay=weight_decay, times=target_times, readout=readout),
        what="gradient flow",
        source_strength=source_strength,
        target_strength=target_strength,
        elastic_coupling=elastic_coupling,
        start=start,
        anchor=anchor,
        strict=strict,
        progress=progress,
        activation=activation,
        seeds=seeds,
        dtype=dtype,
        device=device,
        safety=safety,
    )


def _check_source(strength: float, weight_decay: float, time: float, width: int, safety: float) -> None:
    check_number("source_strength", strength, minimum=0.0, open_minimum=True)
    check_number("source weight_decay", weight_decay, minimum=0.0)
    check_number("source time", time, minimum=0.0)
    if check_count("width", width, minimum=2) % 2:
        raise InputError(f"width = {width}: expected an even number, neurons come in ± pairs; add 1")
    check_safety(safety)


def _check_times(times: Sequence[float]) -> np.ndarray:
    listed = [times] if np.ndim(times) == 0 else list(times)
    array = np.array([check_number("times", time, minimum=0.0) for time in listed])
    if not len(array) or np.any(np.diff(array) <= 0):
        raise InputError(f"times = {spell(times)}: expected increasing finite numbers ≥ 0; sort them and drop repeats")
    return array


def _join(outcomes: list[FlowOutcome]) -> tuple[tuple[Status, ...], np.ndarray, np.ndarray]:
    status = tuple(status for outcome in outcomes for status in outcome.status)
    steps = torch.cat([outcome.steps for outcome in outcomes]).cpu().numpy()
    return status, steps, torch.cat([outcome.residual for outcome in outcomes]).cpu().numpy()
