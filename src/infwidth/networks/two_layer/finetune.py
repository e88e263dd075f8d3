"""One network's weights after the flow (7), for use outside the studies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from infwidth.networks.gradient_flow import train_source
from infwidth.networks.solution import require_converged
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint, origin_weights, target_data
from infwidth.networks.two_layer.exponential_flow import DEFAULT_SAFETY, decay_factor, integrate
from infwidth.networks.two_layer.starts import Starts, target_batch
from infwidth.numerics.activations import get_activation
from infwidth.numerics.batching import per_chunk
from infwidth.numerics.status import Status


def trained_weights(
    source: tuple[np.ndarray, np.ndarray] | np.ndarray | None,
    x: np.ndarray,
    y: np.ndarray,
    *,
    activation: str,
    strengths: tuple[float, float],
    elastic_coupling: float,
    weight_decay: float,
    time: float,
    width: int,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Train a source and a target tied to it, or a target from scratch where there is no source.

    Args:
        source: inputs (P1, D) and labels (P1,); or W̄ of a trained source, (width/2, D); or None.
        x: target inputs, (P2, D).
        y: target labels, (P2,).
        activation: φ.
        strengths: γ̄ and γ.
        elastic_coupling: δ ≥ 0, inf allowed, in units of the flow.
        weight_decay: λ ≥ 0 of both layers.
        time: of source and of target, in units of the flow.
        width: neurons of the network returned, a multiple of four.
        seed: of the initial weights.

    Returns:
        W (width, D) and w (width,) with f(x) = Σ_i w_i φ(W_i·x/√D)/(γ width).

    Raises:
        InputError: an argument out of range.
        UnconvergedError: a network diverged.
    """
    common = {"activation": activation, "weight_decay": weight_decay, "time": time, "seeds": (seed,)}
    if source is None:
        found = train_source(x, y, source_strength=strengths[1], width=width, **common)
        require_converged(found.status, ["network"])
        return found.hidden[0], found.readout[0]
    if isinstance(source, np.ndarray):
        hidden = torch.from_numpy(source)[None]
        anchors = SourceNetworks(hidden, hidden.new_zeros(hidden.shape[:2]), (Status.CONVERGED,), np.zeros(1, int))
    else:
        anchors = train_source(*source, source_strength=strengths[0], width=width // 2, **common)
        require_converged(anchors.status, ["source network"])
    target = {"elastic_coupling": elastic_coupling, "weight_decay": weight_decay, "time": time, "seed": seed}
    return tied_weights(anchors, x, y, activation=activation, strength=strengths[1], **target)


def tied_weights(
    source: SourceNetworks,
    x: np.ndarray,
    y: np.ndarray,
    *,
    activation: str,
    strength: float,
    elastic_coupling: float,
    weight_decay: float,
    time: float,
    seed: int,
) -> tuple[Tensor, Tensor]:
    """Train a target tied to a source network; the arguments are those of :func:`trained_weights`.

    Args:
        source: one source network, of N neurons.
        x: target inputs, (P2, D).
        y: target labels, (P2,).
        activation: φ.
        strength: γ.
        elastic_coupling: δ ≥ 0, inf allowed, in units of the flow.
        weight_decay: λ ≥ 0 of both layers.
        time: of training.
        seed: of the readout's initial weights.

    Returns:
        W (2N, D), the source's neurons twice, and w (2N,).

    Raises:
        UnconvergedError: the network diverged.
    """
    points = [TargetPoint(elastic_coupling, strength)]
    common = {"activation": activation, "weight_decay": weight_decay, "time": time}
    hidden, readout = target_weights(source, x, y, points=points, seeds=(seed,), **common)
    return hidden[0, 0], readout[0, 0]


def target_weights(
    source: SourceNetworks,
    x: np.ndarray,
    y: np.ndarray,
    *,
    points: Sequence[TargetPoint],
    activation: str,
    weight_decay: float,
    time: float,
    seeds: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Train targets of B source networks at G points, all at once, for their weights.

    Args:
        source: B networks of N neurons.
        x: target inputs, (P2, D), or (B, P2, D).
        y: target labels, (P2,), or (B, P2).
        points: couplings in units of the flow, strengths and starts.
        activation: φ.
        weight_decay: λ ≥ 0 of both layers.
        time: of training.
        seeds: of the initial weights, one a source network.

    Returns:
        W (B, G, 2N, D), the source's neurons twice (fresh ones from scratch), and w (B, G, 2N).

    Raises:
        UnconvergedError: a network diverged.
    """
    anchors, inputs, labels, _ = target_data(source, x, y, x[..., :1, :], points, seeds, torch.float64, "cpu")
    neurons = 2 * anchors.hidden.shape[1]
    hidden = labels.new_empty(len(seeds), len(points), neurons, inputs.shape[-1])
    readout = labels.new_empty(len(seeds), len(points), neurons)
    for chunk in per_chunk(len(seeds) * len(points), neurons, inputs.shape[1], inputs):
        starts = Starts(anchors, inputs, inputs[:, :1], seeds)
        pairs = [divmod(k, len(points)) for k in chunk]
        batch = target_batch(starts, pairs, points, labels, weight_decay)

        def keep(k, _, outer, coordinates, __, pairs=pairs, starts=starts, batch=batch):
            body, point = pairs[k]
            left = float(decay_factor(batch.stiffness[k], labels.new_tensor(time)))
            passive = left + (1 - left) * float(batch.pull[k])
            first = origin_weights(anchors, body, seeds[body], points[point].origin).repeat(2, 1)
            hidden[body, point] = starts.spans[body].replace(first, coordinates.mT, passive)
            readout[body, point] = outer

        outcome = integrate(
            batch, torch.tensor([float(time)]), keep, activation=get_activation(activation), safety=DEFAULT_SAFETY
        )
        require_converged(outcome.status, ["target network"] * len(pairs))
    return hidden, readout
