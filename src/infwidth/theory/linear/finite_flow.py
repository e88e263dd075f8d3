"""Gradient flow of linear networks of any width, exactly and without a network: moments of random initial weights.

The moment equations hold at every width from a network's empirical moments (docs/theory.md §2). At initialisation
those are Wishart matrices, so that means and spreads over networks need draws of D × D matrices, whatever the width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wishart

from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.numerics.losses import mean_squared_error
from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.linear.course import Training, target_course
from infwidth.theory.linear.moment_path import integrate_moments
from infwidth.theory.linear.moments import Moments
from infwidth.theory.problem import check_couplings, check_times


@dataclass(frozen=True)
class FlowScatter:
    """Test losses of linear networks of one width; n couplings, T times.

    Attributes:
        network_losses: of each network, (draws, n, T).
        times: the target times, (T,).
    """

    network_losses: np.ndarray
    times: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """E_N, (n, T)."""
        return self.network_losses.mean(0)

    @property
    def stderr(self) -> np.ndarray:
        """Standard error of the mean, (n, T)."""
        return self.spread / math.sqrt(len(self.network_losses))

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over networks, (n, T)."""
        return self.network_losses.std(0, ddof=1)


def sample_flow(
    task: TransferTask,
    *,
    source_strength: float,
    target_strength: float,
    elastic_coupling: float | Sequence[float],
    weight_decay: float,
    source_weight_decay: float | None = None,
    source_time: float,
    target_times: Sequence[float],
    width: int,
    draws: int,
    seed: int = 0,
    rtol: float = 1e-6,
    max_evaluations: int = 1_000_000,
) -> FlowScatter:
    """Draw initial moments of networks of width N and train them.

    The source's neurons come in pairs (w, W), (−w, W), N in all; the target has two neurons with fresh readouts ±w on
    each of them. So f(0) = 0 in both, as in the networks of this package.

    Args:
        task: the data.
        source_strength: γ̄ > 0.
        target_strength: γ > 0.
        elastic_coupling: δ ≥ 0, a number or a sequence; inf freezes the hidden weights.
        weight_decay: λ ≥ 0 of the target.
        source_weight_decay: that of the source; the target's if None.
        source_time: finite time for which the source trains.
        target_times: finite increasing times, (T,).
        width: N, even.
        draws: networks.
        seed: of the draws.
        rtol: the integrator's tolerance.
        max_evaluations: right-hand sides allowed an integration.

    Returns:
        The losses; a single coupling has an axis n = 1 too.

    Raises:
        InputError: an argument out of range.
        UnconvergedError: an integration that stopped early.
    """
    task.refuse_several_outputs("the flow at finite width")
    couplings, _ = check_couplings(elastic_coupling)
    width, draws = check_count("width", width, minimum=2), check_count("draws", draws, minimum=2)
    if width % 2:
        raise InputError(f"width = {width}: expected an even number, neurons come in ± pairs; add 1")
    decay = check_number("weight_decay", weight_decay, minimum=0.0)
    source_decay = decay if source_weight_decay is None else source_weight_decay
    source_decay = check_number("source_weight_decay", source_decay, minimum=0.0)
    end = check_number("source_time", source_time, minimum=0.0)
    times = check_times("target_times", target_times, weight_decay=decay)
    check_number("target_times[-1]", times[-1])
    positive = {"minimum": 0.0, "open_minimum": True}
    strengths = (
        check_number("source_strength", source_strength, **positive),
        check_number("target_strength", target_strength, **positive),
    )
    scale = math.sqrt(task.dimension)
    source = Training.of(task.x_source / scale, task.y_source, strengths[0], source_decay, source_decay)
    target = Training.of(task.x_target / scale, task.y_target, strengths[1], decay, decay)
    tests, limits = task.x_test / scale, {"rtol": rtol, "max_evaluations": max_evaluations}
    rng = generator(check_count("seed", seed, minimum=0), "initial moments")
    losses = []
    for _ in range(draws):
        anchor_moment = _source_end(source, width, task.dimension, end, rng, limits)
        readout_moment = rng.chisquare(width) / width
        weights = [
            _course(target, anchor_moment, readout_moment, elastic_coupling, times, limits)
            for elastic_coupling in couplings
        ]
        losses.append([mean_squared_error(v @ tests.T, task.y_test) for v in weights])
    return FlowScatter(np.array(losses), times)


def _source_end(
    training: Training, width: int, dimension: int, end: float, rng: np.random.Generator, limits: dict
) -> np.ndarray:
    """E WWᵀ over the neurons of one source network when its training ends, (D, D)."""
    pairs = width // 2
    if pairs >= dimension:
        hidden_moment = wishart.rvs(pairs, np.eye(dimension) / pairs, random_state=rng).reshape(dimension, dimension)
    else:
        hidden_moment = rng.standard_normal((pairs, dimension))
        hidden_moment = hidden_moment.T @ hidden_moment / pairs
    start = Moments.fresh_readout(hidden_moment, rng.chisquare(pairs) / pairs)
    return _last(training, start, 0.0, np.array([end]), limits)[-1].hidden_moment if end else hidden_moment


def _course(
    training: Training,
    anchor_moment: np.ndarray,
    readout_moment: float,
    elastic_coupling: float,
    times: np.ndarray,
    limits: dict,
) -> np.ndarray:
    """v(t) of the target network on hidden weights of these moments, (T, D)."""
    start = Moments.fresh_readout(anchor_moment, readout_moment)
    if math.isinf(elastic_coupling):  # the readouts' scale has no effect on frozen weights
        return target_course(training, start, elastic_coupling, times, **limits).weights
    moments = _last(training, start, elastic_coupling, times, limits)
    return np.array([one.predictor for one in moments]) / training.strength


def _last(
    training: Training, start: Moments, elastic_coupling: float, times: np.ndarray, limits: dict
) -> tuple[Moments, ...]:
    """The moments at all times."""
    path = integrate_moments(
        start,
        training.design.matrix,
        training.labels,
        times,
        elastic_coupling=elastic_coupling,
        **training.rates,
        **limits,
    )
    if path.status is not Status.CONVERGED:
        what = f"moment equations at elastic_coupling = {elastic_coupling:g}: {path.evaluations} evaluations"
        raise UnconvergedError(what, path.status)
    return path.moments
