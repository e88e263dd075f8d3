"""Work on many networks at once: chunks that fit into the cache, going on with some of a batch."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Self

import torch
from torch import Tensor


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


def per_chunk(networks: int, width: int, samples: int, like: Tensor) -> list[range]:
    """Split ``networks`` into ranges whose arrays of width × samples numbers hold no more than 2 MiB, on a GPU 1 GiB.

    Measured at widths of 100 to 2,000: half of that costs 10 % and more, twice that gains nothing.
    """
    size = max(1, (2**30 if like.is_cuda else 2**21) // (like.element_size() * width * samples))
    return [range(start, min(start + size, networks)) for start in range(0, networks, size)]


def keep_freed_memory() -> None:
    """Have glibc keep what temporaries free; returned to the system each time, a step takes half as long again.

    Freeing one large block raises malloc's dynamic thresholds to that block's size, for the process.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
