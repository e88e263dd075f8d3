"""How whatever takes long says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Progress = Callable[[float], None] | None
"""Called with the fraction done, 0 … 1; None where nobody looks."""
PATIENCE = 2.0
"""Seconds after which a bar of progress appears on a terminal."""


def part_of(progress: Progress, number: int, count: int) -> Progress:
    """Return the progress callable of part ``number`` of ``count`` equal parts."""
    return None if progress is None else lambda fraction: progress((number + fraction) / count)


class Counter:
    """Reports the fraction done of a known number of parts."""

    def __init__(self, progress: Progress, parts: int):
        self.progress, self.parts, self.done = progress, parts, 0

    def advance(self) -> None:
        """Count one part as done."""
        self.done += 1
        if self.progress is not None:
            self.progress(self.done / self.parts)


@contextmanager
def shown(progress: Progress, what: str) -> Iterator[Progress]:
    """Give ``progress``, or where it is None a bar on stderr: on a terminal alone, and of what takes a while."""
    if progress is not None:
        yield progress
        return
    from tqdm import tqdm

    # disable=None: silent unless stderr is a terminal
    form = "{desc}: {percentage:3.0f} %, {remaining} left"
    with tqdm(total=1.0, desc=what, disable=None, delay=PATIENCE, bar_format=form) as bar:
        yield None if bar.disable else lambda fraction: bar.update(fraction - bar.n)
