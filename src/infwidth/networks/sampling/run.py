"""Runs posterior chains with a sampler, starts those again that explode, and says which mixed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from infwidth.networks.sampling.diagnostics import (
    LARGEST_DRIFT,
    LARGEST_R_HAT,
    LEAST_SAMPLES,
    drift,
    effective_samples,
    split_r_hat,
)
from infwidth.networks.sampling.hamiltonian import run as run_hmc
from infwidth.networks.sampling.kinetic import run as run_langevin
from infwidth.networks.sampling.posterior import PosteriorBatch
from infwidth.networks.sampling.records import SHORT, SHORTEST, Collector, Records, Schedule
from infwidth.networks.sampling.state import Chains, Noise
from infwidth.numerics.activations import Activation
from infwidth.numerics.loops import efficient_loop
from infwidth.numerics.progress import Foresight, Progress
from infwidth.numerics.status import Status

SAMPLERS = {"hmc": run_hmc, "langevin": run_langevin}
DEFAULT_SAFETY = 0.4
"""Step as a fraction of the stability limit 2/√(1 + λ_max)."""
TARGET_ACCEPTANCE = 0.8
REMEDY = (
    "to be faster, reduce the feature-learning strength or inverse_temperature, rescale labels to order 1, or sample "
    "for a shorter time"
)
MAX_RESTARTS = 6
"""Restarts, each with half the step, after which a chain is given up as diverged."""


@dataclass(frozen=True)
class ChainOutcome:
    """How K chains ended.

    Attributes:
        status: converged, unmixed or diverged, K of them.
        steps: steps taken since the last restart, (K,).
        effective_samples: of the slowest monitored scalar, (K,); 0 where nothing was sampled.
        drift: largest difference of two halves' means over the monitored scalars, in standard errors, (K,).
        r_hat: largest split R̂ over them, (K,); inf where nothing was sampled.
        acceptance: share of the trajectories sampled that were accepted, (K,); NaN for Langevin dynamics.
        readout: w at the end, (K, N) or (K, C, N).
        hidden: W at the end, (K, r, N).
    """

    status: tuple[Status, ...]
    steps: np.ndarray
    effective_samples: np.ndarray
    drift: np.ndarray
    r_hat: np.ndarray
    acceptance: np.ndarray
    readout: Tensor
    hidden: Tensor


@efficient_loop()
@torch.inference_mode()
def sample(
    posterior: PosteriorBatch,
    width: int,
    seeds: Sequence[int],
    purpose: str,
    *,
    activation: Activation,
    sampler: str = "hmc",
    target_acceptance: float = TARGET_ACCEPTANCE,
    burn_in_time: float,
    sampling_time: float,
    samples: int = 1,
    collector: Collector | None = None,
    least_samples: float = LEAST_SAMPLES,
    largest_r_hat: float = LARGEST_R_HAT,
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
        sampler: one of ``SAMPLERS``.
        target_acceptance: of HMC's trajectories, 0 … 1.
        burn_in_time: time discarded, > 0, in units where the prior's oscillators have frequency 1; the step
            follows the curvature.
        sampling_time: time sampled, > 0, likewise; the step is fixed.
        samples: samples handed to the collector, evenly spaced over ``sampling_time``.
        collector: takes the samples.
        largest_r_hat: split R̂ above which a chain is unmixed.
        least_samples: effective samples of the slowest monitored scalar below which a chain is unmixed.
        safety: step as a fraction of the stability limit.
        progress: called with the fraction of time done, 0 … 1.

    Returns:
        Final weights, statuses and diagnostics.
    """
    like, total = posterior.strength, len(posterior.strength)
    records = Records(total, (posterior.inputs.shape[-1], width), like, tuple(posterior.labels.shape[2:]))
    pending, foresight = torch.arange(total, device=like.device), Foresight(purpose, REMEDY)
    for restart in range(MAX_RESTARTS + 1):
        schedule = Schedule(burn_in_time, sampling_time, samples, safety / 2**restart, target_acceptance,
                            collector, progress, foresight)  # fmt: skip
        noise = Noise(seeds, purpose, like)
        for k in pending.tolist():
            records.reset(k)
            if collector is not None:
                collector.reset(k)
        chains = Chains(posterior.select(pending), width, noise, pending, activation)
        if not restart:
            _announce(purpose, schedule, chains)
        lost = SAMPLERS[sampler](chains, schedule, records)
        pending = lost[[k not in records.given_up for k in lost.tolist()]]
        if not len(pending):
            break
    diverged = {*pending.tolist(), *records.given_up}
    series = [records.series(k) for k in range(total)]
    with np.errstate(over="ignore", invalid="ignore"):  # squares beyond the range of numbers count as one sample
        ess = np.array([min(map(effective_samples, rows.T)) if len(rows) > 3 else 0.0 for rows in series])
        drifts = np.array([max(map(drift, rows.T)) if len(rows) > 7 else 0.0 for rows in series])
        r_hats = np.array([max(map(split_r_hat, rows.T)) if len(rows) > 7 else np.inf for rows in series])
    status = []
    for k in range(total):
        mixed = drifts[k] <= LARGEST_DRIFT and r_hats[k] <= largest_r_hat and ess[k] >= least_samples
        status.append(Status.DIVERGED if k in diverged else Status.CONVERGED if mixed else Status.UNMIXED)
    return ChainOutcome(
        tuple(status), records.steps, ess, drifts, r_hats, records.acceptance, records.readout, records.hidden
    )


def _announce(purpose: str, schedule: Schedule, chains: Chains) -> None:
    """Say before the start where the likelihood asks for very many steps, or for more than are taken."""
    steps = float((schedule.duration / chains.step(schedule.safety)).max())
    if not steps > 1 / SHORT:
        return
    end = "which are taken" if steps <= 1 / SHORTEST else f"more than the {1 / SHORTEST:.0e} that are taken"
    warnings.warn(
        f"{purpose}: rates of √{float(chains.curvature.max()):.0e} × the prior's ask for some {steps:.0e} steps to "
        f"time {schedule.duration:g}, {end}; lower inverse_temperature, raise prior_precision, rescale inputs to "
        "|x|² ≈ D, or sample for a shorter time",
        stacklevel=2,
    )
