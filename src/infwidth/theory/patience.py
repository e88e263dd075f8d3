"""When an integration is given up before its evaluations run out: steps that rounding keeps short never recover."""

from __future__ import annotations

from dataclasses import dataclass

HOPE = 1000.0
"""How many times faster a run may have to become to end within the evaluations it is allowed."""
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
    """

    end: float
    max_evaluations: int
    due: int
    reached: float = 0.0
    spent: int = 0
    pace: float = 0.0

    def over(self, time: float, evaluations: int) -> bool:
        """Whether to give up at a time, after so many evaluations."""
        if evaluations < self.due:
            return evaluations >= self.max_evaluations
        last, self.pace = self.pace, (time - self.reached) / (evaluations - self.spent)
        self.reached, self.spent, self.due = time, evaluations, 2 * self.due
        hopeless = self.end - time > HOPE * self.pace * (self.max_evaluations - evaluations)
        return hopeless and self.pace <= GAINING * last
