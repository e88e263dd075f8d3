"""How whatever takes long says how far it is."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

Progress = Callable[[float], None] | None
"""Called with the fraction done, 0 … 1; None where nobody looks."""
PATIENCE = 2.0
"""Seconds after which a bar of progress appears on a terminal."""
MANY_STEPS = 2e4
"""Steps ahead of an integration from which on it says so, and how long they take."""
FIRST_LOOK = 512
"""Steps done at which it first looks; then at each doubling, as steps grow shorter on the way."""


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


class Foresight:
    """Says of an integration once, early and also where nobody looks at its progress, that very many steps are ahead.

    Args:
        what: what is integrated.
        remedy: what makes it shorter.
    """

    def __init__(self, what: str, remedy: str):
        self.what, self.remedy, self.said, self.looked = what, remedy, False, time.perf_counter()

    def look(self, done: int, ahead: Callable[[], float]) -> None:
        """Look ahead, where it is time to.

        Args:
            done: steps done, called for each of them.
            ahead: steps left at their present length.
        """
        if self.said or done & (done - 1) or 2 * done < FIRST_LOOK:
            return
        now, last = time.perf_counter(), self.looked
        self.looked = now
        steps = ahead() if done >= FIRST_LOOK else 0.0
        if steps < MANY_STEPS:
            return
        self.said, left = True, timedelta(seconds=round(steps * (now - last) / (done / 2)))
        warnings.warn(
            f"{self.what}: {done} steps are done and, at their length, some {steps:.0e} left, about {left} (h:mm:ss); "
            f"{self.remedy}",
            stacklevel=2,
        )


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
