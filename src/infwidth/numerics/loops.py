"""What a processor needs to run a long loop over tensors at its speed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def efficient_loop() -> Iterator[None]:
    """Let what loops over tensors for long run as fast as it can; a context, or as ``@efficient_loop()`` a decorator.

    glibc keeps what temporaries free, for the rest of the process: returned to the system each time, a step takes half
    as long again. Subnormal numbers (below 1e-38 in single precision, 1e-308 in double) count as 0 in this thread until
    the end: weights that decay for long become such numbers, each of which costs some processors a hundred times as
    much, and no result shows them.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)  # freeing a block raises malloc's dynamic thresholds to its size
    before = not torch.full((), torch.finfo(torch.float32).tiny).mul(0.5).item()
    torch.set_flush_denormal(True)  # False where the processor can't
    try:
        yield
    finally:
        torch.set_flush_denormal(before)
