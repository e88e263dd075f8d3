"""When an integration is given up before its evaluations run out: steps that rounding keeps short never recover."""

from __future__ import annotations

from dataclasses import dataclass

HOPE = 1000.0
"""How many times faster a run may have to become to end within the evaluations it is allowed."""
SOBERED = 3.0
"""By what that is divided at each judgement of a pace that does not grow: one that stands for long is there to stay."""
GAINING = 2.0
"""A run whose pace has grown by this factor since it was last judged may still come to its end."""


@dataclass
class Patience:
    """Judges the pace of one integration.

    Attributes:
        end: the last time wanted.
        max_evaluations: right-hand sides allowed.
        due: evaluations, and then each doubling of them, at which the pace is judged; the first sets a standard.
        reached: time at the last judgement.
        spent: evaluations then.
        pace: time an evaluation up to then.
        hope: how many times faster it may have to become by now.
    """

    end: float
    max_evaluations: int
    due: int
    reached: float = 0.0
    spent: int = 0
    pace: float = 0.0
    hope: float = HOPE

    def over(self, time: float, evaluations: int) -> bool:
        """Whether to give up at a time, after so many evaluations."""
        if evaluations < self.due:
            return evaluations >= self.max_evaluations
        last, self.pace = self.pace, (time - self.reached) / (evaluations - self.spent)
        self.reached, self.spent, self.due = time, evaluations, 2 * self.due
        gaining = self.pace > GAINING * last
        self.hope = HOPE if gaining else max(self.hope / SOBERED, 1.0)
        return not gaining and self.end - time > self.hope * self.pace * (self.max_evaluations - evaluations)
