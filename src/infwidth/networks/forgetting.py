"""What target training leaves of the source in finite networks: its loss under the trained target's features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from infwidth.networks.gradient_flow import train_source
from infwidth.networks.solution import require_converged
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint, target_data
from infwidth.networks.two_layer.exponential_flow import DEFAULT_SAFETY, decay_factor, integrate
from infwidth.networks.two_layer.starts import Starts, target_batch
from infwidth.numerics.activations import get_activation
from infwidth.numerics.losses import mean_squared_error
from infwidth.tasks.transfer_task import TransferTask


@dataclass(frozen=True)
class NetworksForgetting:
    """The source's test loss of B networks after the target's training; n couplings, T target times.

    Attributes:
        before: under the source networks themselves, (B,).
        old_readout: under the target's hidden weights and the source's readout, (B, n, T).
        refitted: under the target's hidden weights and a readout that is trained on the source's samples, (B, n, T).
        times: the target times, (T,).
        source: the source networks.
    """

    before: np.ndarray
    old_readout: np.ndarray
    refitted: np.ndarray
    times: np.ndarray
    source: SourceNetworks


def run(
    task: TransferTask,
    x_source_test: np.ndarray,
    y_source_test: np.ndarray,
    *,
    activation: str,
    source_strength: float,
    target_strength: float,
    elastic_coupling: Sequence[float],
    weight_decay: float,
    source_weight_decay: float | None = None,
    refit_decay: float = 0.05,
    source_time: float,
    target_times: Sequence[float],
    readout: str = "fresh",
    width: int,
    seeds: Sequence[int] = (0,),
    dtype: torch.dtype = torch.float64,
    source: SourceNetworks | None = None,
) -> NetworksForgetting:
    """Train source networks and then the target ones, and go back to the source's test points.

    Args:
        task: the data.
        x_source_test: test inputs of the source, (n, D).
        y_source_test: their labels, (n,).
        activation: φ, a name.
        source_strength: γ̄ > 0.
        target_strength: γ > 0.
        elastic_coupling: δ ≥ 0, n of them.
        weight_decay: λ ≥ 0 of both layers of the target.
        source_weight_decay: that of the source; the target's if None.
        refit_decay: λ > 0 of the readout that is trained on the source's samples to its end.
        source_time: time for which the source trains.
        target_times: increasing times ≥ 0, (T,).
        readout: the target's: "fresh", or "continued" from the source's.
        width: N of the source, even; the target has 2N neurons.
        seeds: B of them, one a network.
        dtype: of the integration.
        source: those of an earlier run that differs in the target's settings alone, which need not be trained again.

    Returns:
        The losses of each network.

    Raises:
        InputError: an argument out of range.
        UnconvergedError: a network diverged.
    """
    task.refuse_several_outputs("forgetting")
    phi, root = get_activation(activation), math.sqrt(task.dimension)
    decay = weight_decay if source_weight_decay is None else source_weight_decay
    sources = source or train_source(
        task.x_source, task.y_source, activation=activation, source_strength=source_strength, weight_decay=decay,
        time=source_time, width=width, seeds=seeds, dtype=dtype,
    )  # fmt: skip
    require_converged(sources.status, [f"source network, seed {seed}" for seed in seeds])
    points = [TargetPoint(coupling, target_strength) for coupling in elastic_coupling]
    times = np.asarray(target_times, dtype=np.float64)
    sources, x, y, x_test = target_data(
        sources, task.x_target, task.y_target, x_source_test, points, seeds, dtype, "cpu"
    )
    starts = Starts(sources, x, x_test, seeds)
    pairs = [(b, g) for b in range(len(seeds)) for g in range(len(points))]
    batch = target_batch(starts, pairs, points, y, weight_decay, readout)
    on_source, tests = (torch.tensor(one / root).to(x).T for one in (task.x_source, np.asarray(x_source_test)))
    labels = torch.tensor(task.y_source)
    rounding = max(torch.finfo(labels.dtype).eps, torch.finfo(dtype).eps ** 2)  # of a kernel
    shape = (len(seeds), len(points), len(times))
    old, new = np.full(shape, np.nan), np.full(shape, np.nan)

    def look(k, t, _, coordinates, __) -> None:
        b, g = pairs[k]
        left = float(decay_factor(batch.stiffness[k], batch.strength.new_tensor(times[t])))
        passive = left + (1 - left) * float(batch.pull[k])
        hidden = starts.spans[b].replace(sources.hidden[b].repeat(2, 1), coordinates.mT, passive)
        features, others = (phi.value(hidden @ one).double() for one in (on_source, tests))
        kept = sources.readout[b].repeat(2).double()
        kernel, cross = (one.T @ features / len(kept) for one in (features, others))
        rates, modes = torch.linalg.eigh(kernel)
        seen = rates > len(labels) * rounding * rates[-1]  # by the features; none where decay has taken all of them
        rates, modes = rates[seen], modes[:, seen]
        fits = modes @ ((modes.mT @ labels) / (rates + refit_decay))
        old[b, g, t] = mean_squared_error((kept @ others / (len(kept) * source_strength)).numpy(), y_source_test)
        new[b, g, t] = mean_squared_error((cross @ fits).numpy(), y_source_test)

    outcome = integrate(batch, torch.from_numpy(times), look, activation=phi, safety=DEFAULT_SAFETY)
    require_converged(outcome.status, [f"target network, seed {seeds[b]}, {points[g]}" for b, g in pairs])
    first = [w @ phi.value(hidden @ tests) for w, hidden in zip(sources.readout, sources.hidden, strict=True)]
    before = np.array([mean_squared_error((f / (width * source_strength)).numpy(), y_source_test) for f in first])
    return NetworksForgetting(before, old, new, times, sources)
