"""How whatever takes long says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float], None] | None
"""Called with the fraction done, 0 … 1; None where nobody looks."""


def part_of(progress: Progress, number: int, count: int) -> Progress:
    """Return the progress callable of part ``number`` of ``count`` equal parts."""
    return None if progress is None else lambda fraction: progress((number + fraction) / count)
