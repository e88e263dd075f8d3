"""Work on many networks at once: chunks that fit into the cache, going on with some of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def take(value: Any, keep: Tensor) -> Any:
    """Return the rows of those indices of whatever holds one row a network.

    Args:
        value: a tensor, a list, None, or a tuple or :class:`Batch` of such.
        keep: indices, (n,).
    """
    if value is None:
        return None
    if isinstance(value, Batch):
        return value.select(keep)
    if isinstance(value, tuple):
        parts = [take(part, keep) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return [value[row] for row in keep.tolist()] if isinstance(value, list) else value[keep]


class Batch:
    """A dataclass whose fields hold one row a network, as :func:`take` reads them."""

    def select(self, keep: Tensor) -> Self:
        """Return the networks of those indices."""
        return type(self)(**{field.name: take(getattr(self, field.name), keep) for field in fields(self)})


def working_set(like: Tensor) -> int:
    """Elements of the largest temporary worth making: a cache's worth on a CPU, a GPU's worth on a GPU."""
    return 2**26 if like.is_cuda else 2**17


LIVE = 16
"""Arrays of a chunk that a step holds at a time, with room to spare."""


def per_chunk(networks: int, width: int, samples: int, like: Tensor) -> list[range]:
    """Split ``networks`` into ranges whose arrays of width × samples numbers hold no more than 2 MiB.

    Measured at widths of 100 to 2,000: half of that costs 10 % and more, twice that gains nothing. On a GPU it is
    1 GiB, or a :data:`LIVE`-th of the free memory where that is less.
    """
    most = min(2**30, torch.cuda.mem_get_info(like.device)[0] // LIVE) if like.is_cuda else 2**21
    size = max(1, most // (like.element_size() * width * samples))
    return [range(start, min(start + size, networks)) for start in range(0, networks, size)]


def halving(work: Callable[[Any, int], T], batch: Any, size: int, first: int = 0) -> list[T]:
    """Return what work does for a batch, or for its halves in turn where the device's memory is too small for it.

    Args:
        work: called with a batch (see :func:`take`) and the row of the whole that its first one is; whatever it stored
            before it ran out of memory it stores again.
        batch: what holds one row a network.
        size: how many rows.
        first: the row of the whole that is this batch's first.

    Raises:
        torch.OutOfMemoryError: a single network is too large.
    """
    try:
        return [work(batch, first)]
    except torch.OutOfMemoryError:
        if size == 1:
            raise
    torch.cuda.empty_cache()  # only here, where the error no longer holds what failed; without a GPU it does nothing
    halves = torch.arange(size).split([size // 2, size - size // 2])
    return [one for half in halves for one in halving(work, take(batch, half), len(half), first + int(half[0]))]
