"""When an integration is given up before its evaluations run out (steps that rounding keeps short never recover)."""

from __future__ import annotations

from dataclasses import dataclass

CHECKED = 2000
"""Evaluations, and each doubling of them, after which the pace is judged."""
HOPE = 1000.0
"""How many times faster a run may have to become to end within the evaluations it is allowed."""


@dataclass
class Patience:
    """Judges the pace of one integration.

    Attributes:
        end: the last time wanted.
        max_evaluations: right-hand sides allowed.
        reached: time at the last judgement.
        spent: evaluations then.
        due: evaluations at which the next one falls.
    """

    end: float
    max_evaluations: int
    reached: float = 0.0
    spent: int = 0
    due: int = CHECKED

    def over(self, time: float, evaluations: int) -> bool:
        """Whether to give up at a time, after so many evaluations."""
        if evaluations < self.due:
            return evaluations >= self.max_evaluations
        pace = (time - self.reached) / (evaluations - self.spent)
        self.reached, self.spent, self.due = time, evaluations, 2 * self.due
        return (self.end - time) > HOPE * pace * (self.max_evaluations - evaluations)
