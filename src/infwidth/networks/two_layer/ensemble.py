"""Two-layer networks in mean-field scaling: f(x) = 1/(γN) Σ_i w_i φ(W_i·x/√D) (docs/theory.md §0).

Everything here works on K independent networks at once: readout (K, N), hidden (K, N, D), inputs x/√D
(K, P, D), labels (K, P), feature-learning strength γ (K,).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.activations import Activation
from infwidth.numerics.checks import InputError, check_choice, check_number
from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status

STARTS = ("source", "scratch")
ANCHORS = ("source", "random")


@dataclass(frozen=True)
class SourceNetworks:
    """Trained or sampled source networks, one a seed.

    Attributes:
        hidden: first-layer weights W̄, (B, N, D).
        readout: second-layer weights w̄, (B, N).
        status: how each network's training ended, B of them.
        steps: integration steps taken by each network, (B,).
    """

    hidden: Tensor
    readout: Tensor
    status: tuple[Status, ...]
    steps: np.ndarray


@dataclass(frozen=True)
class TargetPoint:
    """One point of the inner axes: how a target network is tied to its source.

    Attributes:
        elastic_coupling: δ ≥ 0; inf freezes the hidden layer at its anchor.
        target_strength: γ > 0.
        start: "source" starts from the anchor's weights; "scratch" from fresh ones, tied to nothing at any δ.
        anchor: "source" ties to the source's weights; "random" to random ones of the same norm per neuron.

    Raises:
        InputError: a value out of range or an unknown choice.
    """

    elastic_coupling: float
    target_strength: float
    start: str = "source"
    anchor: str = "source"

    def __post_init__(self) -> None:
        check_number("elastic_coupling", self.elastic_coupling, minimum=0.0, allow_inf=True)
        check_number("target_strength", self.target_strength, minimum=0.0, open_minimum=True)
        check_choice("start", self.start, STARTS)
        check_choice("anchor", self.anchor, ANCHORS)

    @property
    def coupling(self) -> float:
        """The δ that acts: 0 from scratch."""
        return 0.0 if self.start == "scratch" else float(self.elastic_coupling)

    @property
    def origin(self) -> str:
        """Where the first-layer weights start: "source", "random" or "scratch"."""
        return "scratch" if self.start == "scratch" else self.anchor

    def __str__(self) -> str:
        tie = {"source": "", "random": ", random anchor", "scratch": ", from scratch"}[self.origin]
        return f"δ={self.elastic_coupling:g}, γ={self.target_strength:g}{tie}"


class Batch:
    """A frozen dataclass of tensors whose first axis runs over networks; a field may be None."""

    def select(self, keep: Tensor) -> Self:
        """Return the networks of those indices."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return type(self)(**{name: value if value is None else value[keep] for name, value in values.items()})


def draw(shape: tuple[int, ...], seed: int, purpose: str, like: Tensor) -> Tensor:
    """Return standard normals that depend on seed and purpose alone, as ``like``'s dtype and device."""
    return torch.from_numpy(generator(seed, purpose).standard_normal(shape)).to(like)


def origin_weights(source: SourceNetworks, index: int, seed: int, origin: str) -> Tensor:
    """Return the first-layer weights (N, D) that target network ``index`` starts from and is tied to."""
    hidden = source.hidden[index]
    if origin == "source":
        return hidden
    fresh = draw(tuple(hidden.shape), seed, f"target hidden, {origin}", hidden)
    if origin == "scratch":
        return fresh
    return fresh * (hidden.norm(dim=-1, keepdim=True) / fresh.norm(dim=-1, keepdim=True))


def data_batch(
    x: np.ndarray | Tensor,
    y: np.ndarray | Tensor | None,
    count: int,
    dtype: torch.dtype,
    device: str | torch.device,
) -> tuple[Tensor, Tensor]:
    """Return inputs (count, P, D) and labels (count, P); a single data set is broadcast.

    Raises:
        InputError: shapes that match neither one data set nor ``count`` of them.
    """
    x = torch.as_tensor(np.array(x) if isinstance(x, np.ndarray) else x).to(device, dtype)
    y = x.new_zeros(x.shape[:-1]) if y is None else torch.as_tensor(np.array(y) if isinstance(y, np.ndarray) else y)
    if x.ndim == 2:
        x, y = x[None].expand(count, -1, -1), y[None] if y.ndim == 1 else y
        y = y.expand(count, -1)
    if x.ndim != 3 or len(x) != count or tuple(y.shape) != tuple(x.shape[:2]):
        raise InputError(
            f"inputs {tuple(x.shape)} and labels {tuple(y.shape)}: expected (P, D) and (P,), "
            f"or ({count}, P, D) and ({count}, P) for {count} seeds; reshape them"
        )
    return x, y.to(device, dtype)


def target_data(
    source: SourceNetworks,
    x: np.ndarray,
    y: np.ndarray,
    x_test: np.ndarray,
    points: Sequence[TargetPoint],
    seeds: Sequence[int],
    dtype: torch.dtype,
    device: str,
) -> tuple[SourceNetworks, Tensor, Tensor, Tensor]:
    """Return sources, inputs (B, P, D), labels (B, P) and test inputs (B, Pt, D) of a target problem, on the device.

    Raises:
        InputError: no points, or numbers of seeds, sources and data sets that do not match.
    """
    if len(seeds) != len(source.hidden):
        raise InputError(f"{len(seeds)} seeds for {len(source.hidden)} source networks: expected one each; match them")
    if not points:
        raise InputError("points is empty: expected at least one TargetPoint; pass [TargetPoint(1.0, 0.5)], say")
    hidden, readout = source.hidden.to(device, dtype), source.readout.to(device, dtype)
    x, y = data_batch(x, y, len(seeds), dtype, device)
    x_test, _ = data_batch(x_test, None, len(seeds), dtype, device)
    if x_test.shape[-1] != x.shape[-1] or hidden.shape[-1] != x.shape[-1]:
        raise InputError(
            f"dimensions {hidden.shape[-1]} (source), {x.shape[-1]} (target), {x_test.shape[-1]} (test): "
            "expected one; embed all inputs alike"
        )
    return SourceNetworks(hidden, readout, source.status, source.steps), x, y, x_test


class Response(NamedTuple):
    """What one evaluation on the training set gives, for K networks.

    Attributes:
        output: f on the training inputs, (K, P).
        readout_force: Σ_μ Δ_μ φ(h_μ), (K, N).
        hidden_force: w Σ_μ Δ_μ φ'(h_μ) x_μ/√D, (K, N, D).
        slope: largest |Σ_μ Δ_μ φ'(h_μ) x_μ/√D| over a network's neurons, (K,).
        probe: the product asked for of the tangent kernel with a vector, (K, P), or None.
    """

    output: Tensor
    readout_force: Tensor
    hidden_force: Tensor
    slope: Tensor
    probe: Tensor | None


def respond(
    readout: Tensor,
    hidden: Tensor,
    inputs: Tensor,
    labels: Tensor,
    strength: Tensor,
    activation: Activation,
    probe: tuple[Tensor, Tensor, Tensor] | None = None,
) -> Response:
    """Evaluate outputs and forces of K networks on their training sets.

    Args:
        readout: w, (K, N).
        hidden: W, (K, N, D).
        inputs: x/√D, (K, P, D).
        labels: y, (K, P).
        strength: γ, (K,).
        activation: φ.
        probe: (v, a, b) of shapes (K, P), (K,), (K,): also return [aΦ + b E[w²φ'φ'ᵀ]∘C] v.

    Returns:
        The outputs and forces; Δ = y − f.
    """
    preactivation = torch.bmm(hidden, inputs.mT)
    features, gates = activation.value(preactivation), activation.derivative(preactivation)
    output = torch.bmm(readout[:, None], features)[:, 0] / (strength[:, None] * readout.shape[1])
    error = labels - output
    slopes = torch.bmm(gates * error[:, None], inputs)
    product = None
    if probe is not None:
        vector, readout_weight, hidden_weight = probe
        projected = torch.bmm(features, vector[:, :, None]) * readout_weight[:, None, None]
        product = torch.bmm(projected.mT, features)[:, 0]
        pulled = torch.bmm(gates * vector[:, None], inputs)
        pulled *= (readout.square() * hidden_weight[:, None])[:, :, None]
        product = (product + (torch.bmm(pulled, inputs.mT) * gates).sum(1)) / readout.shape[1]
    slope = torch.linalg.vector_norm(slopes, dim=2).amax(1)
    slopes *= readout[:, :, None]
    readout_force = torch.bmm(features, error[:, :, None])[:, :, 0]
    return Response(output, readout_force, slopes, slope, product)


def probe_vector(inputs: Tensor) -> Tensor:
    """Return the unit vector (K, P) that power iteration starts from, the same for every network."""
    vector = draw((inputs.shape[1],), 0, "power iteration", inputs)
    return (vector / vector.norm()).expand(len(inputs), -1)


def feature_kernel(hidden: Tensor, inputs: Tensor, activation: Activation) -> Tensor:
    """Return Φ = E φφᵀ over the neurons, (K, P, P)."""
    features = activation.value(torch.bmm(hidden, inputs.mT))
    return torch.bmm(features.mT, features) / hidden.shape[1]


def predict(
    readout: Tensor,
    hidden: Tensor,
    inputs: Tensor,
    strength: float,
    activation: Activation,
    offset: Tensor | None = None,
) -> Tensor:
    """Return f (Pt,) of one network: readout (N,), hidden (N, D), inputs x/√D (Pt, D).

    ``offset`` (N, Pt) is added to h. Test sets are large, so points go in blocks that fit in the cache.
    """
    block = max(1, working_set(hidden) // len(readout))
    pieces = []
    for start in range(0, len(inputs), block):
        preactivation = hidden @ inputs[start : start + block].T
        if offset is not None:
            preactivation += offset[:, start : start + block]
        pieces.append(readout @ activation.value(preactivation))
    return torch.cat(pieces) / (strength * len(readout))


def working_set(like: Tensor) -> int:
    """Elements of the largest temporary worth making: a cache's worth on a CPU, a GPU's worth on a GPU."""
    return 2**26 if like.is_cuda else 2**17


def keep_freed_memory() -> None:
    """Have glibc keep what temporaries free; returned to the system each time, a step takes half as long again.

    Freeing one large block raises malloc's dynamic thresholds to that block's size, for the process.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def per_chunk(networks: int, width: int, samples: int, like: Tensor) -> list[range]:
    """Split ``networks`` into ranges whose width × samples temporaries stay within the working set."""
    size = max(1, 2 * working_set(like) // (width * samples))
    return [range(start, min(start + size, networks)) for start in range(0, networks, size)]


def check_seeds(seeds: Sequence[int]) -> list[int]:
    """Return the seeds as ints; raises InputError when there are none."""
    if len(seeds) == 0:
        raise InputError("seeds = (): expected at least one; pass e.g. seeds=(0,)")
    return [int(seed) for seed in seeds]
