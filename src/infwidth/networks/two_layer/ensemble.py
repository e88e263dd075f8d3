"""Sets of two-layer networks: sources, the points their targets are trained at, random draws, batches of data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import index

import numpy as np
import torch
from torch import Tensor

from infwidth.numerics.arrays import real_array
from infwidth.numerics.checks import InputError, check_choice, check_number, spell
from infwidth.numerics.seeds import generator
from infwidth.numerics.status import Status

DTYPES = (torch.float32, torch.float64)
STARTS = ("source", "scratch")
ANCHORS = ("source", "random")


@dataclass(frozen=True)
class SourceNetworks:
    """Trained or sampled source networks, one a seed.

    Attributes:
        hidden: first-layer weights W̄, (B, N, D).
        readout: second-layer weights w̄, (B, N), or (B, C, N) of C outputs.
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


def draw(shape: tuple[int, ...], seed: int, purpose: str, like: Tensor) -> Tensor:
    """Return standard normals that depend on seed and purpose alone, as ``like``'s dtype and device."""
    return torch.from_numpy(generator(seed, purpose).standard_normal(shape)).to(like)


def origin_weights(source: SourceNetworks, body: int, seed: int, origin: str) -> Tensor:
    """Return the first-layer weights (N, D) that target network ``body`` starts from and is tied to."""
    hidden = source.hidden[body]
    if origin == "source":
        return hidden
    fresh = draw(tuple(hidden.shape), seed, f"target hidden, {origin}", hidden)
    if origin == "scratch":
        return fresh
    return fresh * (hidden.norm(dim=-1, keepdim=True) / fresh.norm(dim=-1, keepdim=True))


def check_seeds(seeds: Sequence[int], *, distinct: bool) -> list[int]:
    """Return the seeds, whole numbers, as ints.

    Args:
        seeds: one a network.
        distinct: whether networks see the same data, so that two of one seed would be one network counted twice.

    Raises:
        InputError: no seeds, one that is no whole number, or two alike where they must differ.
    """
    found = list(seeds) if isinstance(seeds, Iterable) and not isinstance(seeds, str | bytes) else None
    if not found or any(isinstance(seed, bool) or not hasattr(seed, "__index__") for seed in found):
        raise InputError(f"seeds = {spell(seeds)}: expected whole numbers, one a network; pass e.g. seeds=(0, 1)")
    numbers = [index(seed) for seed in found]
    if distinct and len(set(numbers)) < len(numbers):
        twice = next(seed for seed in numbers if numbers.count(seed) > 1)
        raise InputError(f"seeds hold {twice} twice: expected different ones, or networks count twice; change one")
    return numbers


def check_place(dtype: torch.dtype, device: str) -> None:
    """Raise InputError unless networks can be computed in a dtype, float32 or float64, on a device."""
    if dtype not in DTYPES:
        raise InputError(f"dtype = {spell(dtype)}: expected torch.float32 or torch.float64; pass one of them")
    try:
        torch.empty(0, device=device)
    except (
        RuntimeError,
        TypeError,
        AssertionError,
    ) as error:  # unknown to torch, or not there
        reason = str(error).splitlines()[0]
        raise InputError(f"device = {spell(device)}: expected one of this machine's ({reason}); pass 'cpu'") from error


def _numbers(name: str, values: np.ndarray | Tensor) -> Tensor:
    """Real finite numbers as a tensor."""
    if not isinstance(values, Tensor):
        values = torch.from_numpy(real_array(name, values))
    if values.is_complex() or not values.isfinite().all():
        raise InputError(f"{name} hold complex, NaN or infinite entries: expected finite real numbers; clean the data")
    return values.detach()


def data_batch(
    x: np.ndarray | Tensor,
    y: np.ndarray | Tensor | None,
    count: int,
    dtype: torch.dtype,
    device: str,
    *,
    several_outputs: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return inputs (count, P, D) and labels (count, P); a single data set is broadcast.

    Labels of ``several_outputs``, where these are allowed, come with inputs of each network, (count, P, C).

    Raises:
        InputError: entries that are no finite real numbers, shapes that match neither one data set nor ``count`` of
            them, or a dtype or device that there is none of.
    """
    check_place(dtype, device)
    x = _numbers("inputs", x).to(device, dtype)
    y = x.new_zeros(x.shape[:-1]) if y is None else _numbers("labels", y)
    if x.ndim == 2:
        x, y = x[None].expand(count, -1, -1), y[None] if y.ndim == 1 else y
        y = y.expand(count, -1) if y.ndim == 2 and len(y) in (1, count) else y
    if (
        x.ndim != 3
        or len(x) != count
        or tuple(y.shape[:2]) != tuple(x.shape[:2])
        or y.ndim > 2 + several_outputs
        or not x.numel()
    ):
        raise InputError(
            f"inputs {tuple(x.shape)} and labels {tuple(y.shape)}: expected (P, D) and (P,), "
            f"or ({count}, P, D) and ({count}, P{', or C outputs' * several_outputs}) for {count} seeds; reshape them"
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
    *,
    several_outputs: bool = False,
) -> tuple[SourceNetworks, Tensor, Tensor, Tensor]:
    """Return sources, inputs (B, P, D), labels (B, P) and test inputs (B, Pt, D) of a target problem, on the device.

    Labels of ``several_outputs``, where these are allowed, are (B, P, C).

    Raises:
        InputError: no points, or numbers of seeds, sources and data sets that do not match.
    """
    if len(seeds) != len(source.hidden):
        raise InputError(f"{len(seeds)} seeds for {len(source.hidden)} source networks: expected one each; match them")
    if not points:
        raise InputError("points is empty: expected at least one TargetPoint; pass [TargetPoint(1.0, 0.5)], say")
    hidden, readout = source.hidden.to(device, dtype), source.readout.to(device, dtype)
    x, y = data_batch(x, y, len(seeds), dtype, device, several_outputs=several_outputs)
    x_test, _ = data_batch(x_test, None, len(seeds), dtype, device)
    if x_test.shape[-1] != x.shape[-1] or hidden.shape[-1] != x.shape[-1]:
        raise InputError(
            f"dimensions {hidden.shape[-1]} (source), {x.shape[-1]} (target), {x_test.shape[-1]} (test): "
            "expected one; embed all inputs alike"
        )
    return SourceNetworks(hidden, readout, source.status, source.steps), x, y, x_test


def probe_vector(labels: Tensor) -> Tensor:
    """Return the unit vector of the labels' shape, (K, P) or (K, P, C), that power iteration starts from, the same for
    every network.
    """
    vector = draw(tuple(labels.shape[1:]), 0, "power iteration", labels)
    return (vector / vector.norm()).expand_as(labels)
