"""How a solver ended, and what to do about it. Failure is data: solvers return a Status or raise on it."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum


class Status(Enum):
    """How a solver ended, from good to bad; the value is the text written to tables."""

    CONVERGED = "converged"
    STALLED = "stalled"
    UNMIXED = "unmixed"
    CONDENSED = "condensed"
    DIVERGED = "diverged"

    @property
    def remedy(self) -> str:
        """What a user can do about it."""
        return _REMEDIES[self]


_REMEDIES = {
    Status.CONVERGED: "nothing to do",
    Status.STALLED: "loosen the tolerance, shorten the time, or check that data are not rank-deficient or badly scaled",
    Status.DIVERGED: "reduce the feature-learning strength, increase the weight decay or prior precision, "
    "or rescale inputs and labels to order 1",
    Status.CONDENSED: "reduce the feature-learning strength or inverse temperature, or raise the prior precision",
    Status.UNMIXED: "sample for longer (burn_in_time, sampling_time), with more particles, or at less feature-learning "
    "strength",
}


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of several statuses: what a mean over them is called."""
    return max(statuses, key=list(Status).index)


def best(statuses: Iterable[Status]) -> Status:
    """Return the best of several statuses: the most that can be said of what all of them rest on."""
    return min(statuses, key=list(Status).index)


def tied(source: Status | None, target: Status) -> Status:
    """Return how a target ended that is tied to a source: no better than the source; None where it is tied to none.

    A target that was not attempted because its source failed has the source's status.
    """
    return target if source is None else worst((source, target))


class UnconvergedError(RuntimeError):
    """A solver did not reach its tolerance. Carries the status; the message ends with its remedy."""

    def __init__(self, what: str, status: Status):
        super().__init__(what, status)  # both, so that it survives pickling on its way out of a process
        self.status = status

    def __str__(self) -> str:
        what, status = self.args
        return f"{what}: {status.value}; {status.remedy}"
