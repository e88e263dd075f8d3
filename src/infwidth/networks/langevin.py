"""Finite two-layer networks sampled from their Bayesian posteriors (docs/theory.md §1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from infwidth.networks.sampling.moments import MomentCollector, Sums
from infwidth.networks.sampling.posterior import PosteriorBatch
from infwidth.networks.sampling.run import DEFAULT_SAFETY, SAMPLERS, TARGET_ACCEPTANCE, sample
from infwidth.networks.sampling.span import coordinates
from infwidth.networks.sampling.target import target_posteriors
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
from infwidth.networks.two_layer.span import training_span
from infwidth.numerics.activations import get_activation
from infwidth.numerics.batching import per_chunk
from infwidth.numerics.checks import check_choice, check_count, check_number
from infwidth.numerics.observed import Observed, Observer
from infwidth.numerics.progress import Progress, part_of
from infwidth.tasks.transfer_task import TransferTask

BURN_IN_TIME = 40.0
SAMPLING_TIME = 100.0
SOURCE_SAMPLES = 8.0
"""Effective samples asked of a source chain, of which one draw is used."""
SHOWN = 16
"""Samples of a chain shown to an observer."""


def sample_source(
    x: np.ndarray,
    y: np.ndarray,
    *,
    activation: str,
    source_strength: float,
    inverse_temperature: float,
    prior_precision: float = 1.0,
    width: int,
    seeds: Sequence[int],
    burn_in_time: float = BURN_IN_TIME,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    sampler: str = "hmc",
    target_acceptance: float = TARGET_ACCEPTANCE,
    safety: float = DEFAULT_SAFETY,
    progress: Progress = None,
) -> SourceNetworks:
    """Draw one network a seed from the source posterior.

    Args:
        x: inputs, (P, D) for all networks or (B, P, D), one set a seed.
        y: labels, (P,) or (B, P); of C outputs (B, P, C), with inputs of each network.
        activation: "linear", "relu" or "erf".
        source_strength: feature-learning strength γ̄ > 0.
        inverse_temperature: β > 0.
        prior_precision: λ > 0 of both layers.
        width: N.
        seeds: one whole number a network, B of them; a network depends on its seed and data alone: on a CPU to the last
            bit where the width is a multiple of 4, else to rounding, whichever others share its batch.
        burn_in_time: length of the chain, in units where the prior's oscillators have frequency 1; its last
            three quarters must be stationary.
        dtype: of the chain.
        device: of the chain, and of the weights returned. Noise is drawn there: devices differ in the draw.
        sampler: "hmc" (Hamiltonian Monte Carlo, exact) or "langevin" (kinetic Langevin dynamics).
        target_acceptance: share of HMC's trajectories to accept, 0 … 1; its step is adapted to that in the burn-in.
        safety: step as a fraction of the stability limit; of HMC, where the adaptation starts.
        progress: called with the fraction done, 0 … 1.

    Returns:
        The last state of each chain, with a status.

    Raises:
        InputError: an argument out of range, or shapes that do not match.
    """
    phi, seeds = get_activation(activation), check_seeds(seeds, distinct=np.ndim(x) == 2)
    check_number("source_strength", source_strength, minimum=0.0, open_minimum=True)
    check_count("width", width)
    check_safety(safety)
    _check_posterior(inverse_temperature, prior_precision, sampler, target_acceptance, burn_in_time=burn_in_time)
    x, y = data_batch(x, y, len(seeds), dtype, device, several_outputs=True)
    hidden, readout = x.new_empty(len(seeds), width, x.shape[-1]), x.new_empty(len(seeds), *y.shape[2:], width)
    outcomes, chunks = [], per_chunk(len(seeds), width, max(x.shape[1:]), x)
    for number, chunk in enumerate(chunks):
        rows = slice(chunk.start, chunk.stop)
        constant, spans = x.new_ones(len(chunk)), [training_span(one) for one in x[rows]]
        posterior = PosteriorBatch(
            prior_mean=None,
            inputs=coordinates(spans, x[rows] / x.shape[-1] ** 0.5),
            labels=y[rows],
            strength=constant * source_strength,
            inverse_temperature=constant * inverse_temperature,
            readout_precision=constant * prior_precision,
            stiffness=constant * prior_precision,
        )
        outcome = sample(
            posterior,
            width,
            seeds[rows],
            "source chain",
            activation=phi,
            burn_in_time=burn_in_time / 4,
            sampling_time=burn_in_time * 3 / 4,
            least_samples=SOURCE_SAMPLES,
            largest_r_hat=math.inf,  # a source's few readings say more through their drift
            sampler=sampler,
            target_acceptance=target_acceptance,
            safety=safety,
            progress=part_of(progress, number, len(chunks)),
        )
        readout[rows] = outcome.readout
        for k, span, found in zip(chunk, spans, outcome.hidden.mT, strict=True):
            prior = found if span.basis is None else draw(hidden.shape[1:], seeds[k], "outside the source's span", x)
            hidden[k] = span.replace(prior * prior_precision**-0.5, found, 1.0)
        outcomes.append(outcome)
    status = tuple(status for outcome in outcomes for status in outcome.status)
    return SourceNetworks(hidden, readout, status, np.concatenate([outcome.steps for outcome in outcomes]))


def sample_target(
    source: SourceNetworks,
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    *,
    points: Sequence[TargetPoint],
    activation: str,
    inverse_temperature: float,
    prior_precision: float = 1.0,
    burn_in_time: float = BURN_IN_TIME,
    sampling_time: float = SAMPLING_TIME,
    samples: int | None = None,
    seeds: Sequence[int],
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    sampler: str = "hmc",
    target_acceptance: float = TARGET_ACCEPTANCE,
    safety: float = DEFAULT_SAFETY,
    observe: Observer | None = None,
    progress: Progress = None,
) -> TargetNetworks:
    """Sample the target posterior anchored at each source network; chains of one seed share their noise.

    Args:
        source: B source networks W̄, one posterior draw each.
        x: target training inputs, (P2, D) or (B, P2, D).
        y: target training labels, (P2,) or (B, P2); of C outputs (B, P2, C), with inputs of each network.
        x_test: test inputs, (Pt, D) or (B, Pt, D).
        points: G points: elastic coupling δ, strength γ, start and anchor of each.
        activation: "linear", "relu" or "erf".
        inverse_temperature: β > 0.
        prior_precision: λ > 0 of both layers.
        burn_in_time: time discarded, in units where the prior's oscillators have frequency 1.
        sampling_time: time sampled, likewise.
        samples: samples averaged, evenly spaced; None takes one per unit of time.
        seeds: one integer a source network.
        dtype: of the chains.
        device: of the chains.
        sampler: "hmc" (Hamiltonian Monte Carlo, exact) or "langevin" (kinetic Langevin dynamics).
        target_acceptance: share of HMC's trajectories to accept, 0 … 1; its step is adapted to that in the burn-in.
        safety: step as a fraction of the stability limit; of HMC, where the adaptation starts.
        observe: shown each chain, by its source network (``replica``) and point (``coupling_index``), at up to
            ``SHOWN`` of its samples, with the preactivations of all N neurons on the target training inputs.
        progress: called with the fraction done, 0 … 1.

    Returns:
        Posterior averages and a status for each of B × G chains.

    Raises:
        InputError: an argument out of range, or shapes that do not match.
    """
    phi, seeds = get_activation(activation), check_seeds(seeds, distinct=False)
    check_safety(safety)
    durations = {"burn_in_time": burn_in_time, "sampling_time": sampling_time}
    _check_posterior(inverse_temperature, prior_precision, sampler, target_acceptance, **durations)
    samples = max(1, round(sampling_time)) if samples is None else check_count("samples", samples)
    source, x, y, x_test = target_data(source, x, y, x_test, points, seeds, dtype, device, several_outputs=True)
    bodies, groups, width = len(seeds), len(points), source.hidden.shape[1]
    sums = Sums(bodies * groups, x.shape[1], x_test.shape[1], tuple(y.shape[2:]))
    shown = range(0, samples, -(-samples // SHOWN))
    show = None if observe is None else (lambda row, h: observe(Observed(*divmod(row, groups), 0, h)))
    outcomes, chunks = [], per_chunk(bodies * groups, width, max(x.shape[1:]), x)
    for number, chunk in enumerate(chunks):
        pairs = [divmod(k, groups) for k in chunk]
        some = [b for b, _ in pairs], [points[g] for _, g in pairs]
        posterior, tests, outside = target_posteriors(
            source, x, y, x_test, *some, seeds, inverse_temperature, prior_precision
        )
        strengths = [point.target_strength for point in some[1]]
        collector = MomentCollector(sums, chunk.start, posterior.inputs, tests, outside, strengths, phi, show, shown)
        outcomes.append(
            sample(
                posterior,
                width,
                [seeds[b] for b in some[0]],
                "target chain",
                activation=phi,
                **durations,
                samples=samples,
                collector=collector,
                sampler=sampler,
                target_acceptance=target_acceptance,
                safety=safety,
                progress=part_of(progress, number, len(chunks)),
            )
        )
    return sums.answer(outcomes, bodies, groups)


def run(
    task: TransferTask,
    *,
    activation: str,
    source_strength: float,
    target_strength: float,
    elastic_coupling: float | Sequence[float],
    inverse_temperature: float,
    prior_precision: float = 1.0,
    start: str = "source",
    anchor: str = "source",
    width: int,
    seeds: Sequence[int] = (0,),
    burn_in_time: float = BURN_IN_TIME,
    sampling_time: float = SAMPLING_TIME,
    strict: bool = True,
    dtype: torch.dtype = torch.float64,
    device: str = "cpu",
    sampler: str = "hmc",
    target_acceptance: float = TARGET_ACCEPTANCE,
    safety: float = DEFAULT_SAFETY,
    progress: Progress = None,
) -> NetworkSolution:
    """Draw source networks, sample the target posteriors anchored at them, and average over seeds.

    Args:
        task: source, target and test sets, of one output or several.
        activation: "linear", "relu" or "erf".
        source_strength: feature-learning strength γ̄ > 0 of the source.
        target_strength: feature-learning strength γ > 0 of the target.
        elastic_coupling: δ ≥ 0, inf allowed; a sequence of n adds a leading axis to every observable.
        inverse_temperature: β > 0 of both tasks.
        prior_precision: λ > 0 of both layers and tasks.
        start: "source", or "scratch" for no anchor.
        anchor: "source", or "random" for random weights of the source's norm per neuron.
        width: N of source and target.
        seeds: one integer a source network and its target chains.
        burn_in_time: time discarded, in units where the prior's oscillators have frequency 1.
        sampling_time: time sampled, likewise.
        strict: whether a chain that diverged or did not mix raises; otherwise its status says so.
        dtype: of the chains.
        device: of the chains.
        sampler: "hmc" (Hamiltonian Monte Carlo, exact) or "langevin" (kinetic Langevin dynamics).
        target_acceptance: share of HMC's trajectories to accept, 0 … 1; its step is adapted to that in the burn-in.
        safety: step as a fraction of the stability limit; of HMC, where the adaptation starts.
        progress: called with the fraction done, 0 … 1, source and target a half each.

    Returns:
        Losses of the posterior-mean predictor of each seed, and of single sampled networks, averaged over seeds,
        with standard errors.

    Raises:
        InputError: an argument out of range.
        UnconvergedError: a chain diverged or did not mix and ``strict``; names its seed, δ and γ.
    """
    check_count("width", width)
    check_safety(safety)
    durations = {"burn_in_time": burn_in_time, "sampling_time": sampling_time}
    _check_posterior(inverse_temperature, prior_precision, sampler, target_acceptance, **durations)
    return run_transfer(
        task,
        partial(sample_source, width=width),
        partial(sample_target, sampling_time=sampling_time),
        what="posterior sampling",
        source_strength=source_strength,
        target_strength=target_strength,
        elastic_coupling=elastic_coupling,
        start=start,
        anchor=anchor,
        strict=strict,
        progress=progress,
        activation=activation,
        inverse_temperature=inverse_temperature,
        prior_precision=prior_precision,
        seeds=seeds,
        burn_in_time=burn_in_time,
        safety=safety,
        sampler=sampler,
        target_acceptance=target_acceptance,
        dtype=dtype,
        device=device,
    )


def _check_posterior(
    inverse_temperature: float, prior_precision: float, sampler: str, target_acceptance: float, **durations: float
) -> None:
    check_choice("sampler", sampler, SAMPLERS)
    check_number("target_acceptance", target_acceptance, minimum=0.1, maximum=0.99)
    scales = {"inverse_temperature": inverse_temperature, "prior_precision": prior_precision}
    for name, value in (scales | durations).items():
        check_number(name, value, minimum=0.0, open_minimum=True)
