"""Failure signatures of transfer by name: what a solution shows, alone or beside others (docs/version_two.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from infwidth.numerics.checks import InputError, check_count
from infwidth.numerics.status import Status

MARGIN = 0.02
"""Relative difference of losses below which they count as equal."""
SIGNIFICANT = 3.0
"""Standard errors of a difference that make it one."""
LARGE = 10.0
"""Coupling δ from which a tie counts as large, prior and decays being of order 1 or less."""
SETTLED = 0.05
"""Relative change of a loss over the last factor LATE of time, below which it is at rest."""
LATE = 2.0
CLOSE = 0.05
"""Domain margin q below which a posterior is about to condense."""


@dataclass(frozen=True)
class _Evidence:
    """A solution in arrays with one row a coupling, and what it is held against.

    Attributes:
        solution: the solution.
        couplings: δ, (n,).
        losses: test losses at the end, (n,).
        errors: their standard errors, (n,).
        courses: test losses over time, (n, T); None of a posterior.
        scratch: the loss from scratch and its standard error, or None where it isn't known.
        networks: losses (n,) and standard errors (n,) of finite networks, or None.
        width: N at which c/N is looked at, or None.
    """

    solution: Any
    couplings: np.ndarray
    losses: np.ndarray
    errors: np.ndarray
    courses: np.ndarray | None
    scratch: tuple[float, float] | None
    networks: tuple[np.ndarray, np.ndarray] | None
    width: int | None


@dataclass(frozen=True)
class Signature:
    """A way in which transfer fails.

    Attributes:
        meaning: what it is, in words.
        remedy: what to do about it.
        recognises: whether evidence has it; False where it cannot tell.
    """

    meaning: str
    remedy: str
    recognises: Callable[[_Evidence], bool]


def diagnose(
    solution: Any, *, scratch: Any = None, network_solution: Any = None, width: int | None = None
) -> tuple[str, ...]:
    """Return the names in ``SIGNATURES`` of what a solution shows.

    Args:
        solution: an answer of ``bayes.solve`` or ``flow.solve``, with ``strict=False`` where it may not have converged.
        scratch: the same from scratch (``start="scratch"``), which a flow needs for the first two signatures; a
            posterior that was solved at δ = 0 too has it in itself.
        network_solution: an answer of ``networks.gradient_flow.run`` or ``langevin.run`` at the same couplings.
        width: N of networks that are not there, for which the theory's c/N stands in where it knows c.

    Raises:
        InputError: networks at other couplings, or no such width.
    """
    evidence = _gather(solution, scratch, network_solution, width)
    return tuple(name for name, signature in SIGNATURES.items() if signature.recognises(evidence))


def _gather(solution: Any, scratch: Any, networks: Any, width: int | None) -> _Evidence:
    if width is not None:
        check_count("width", width)
    couplings = np.atleast_1d(np.asarray(solution.elastic_coupling, dtype=float))
    losses, errors, courses = _ends(solution, len(couplings))
    found = None
    if scratch is not None:
        level, error, _ = _ends(scratch, np.size(scratch.elastic_coupling))
        found = float(level[0]), float(error[0])
    elif courses is None and (couplings == 0).any():
        place = int(np.flatnonzero(couplings == 0)[0])
        found = float(losses[place]), float(errors[place])
    beside = None
    if networks is not None:
        beside = _ends(networks, len(couplings))[:2]
        if len(beside[0]) != len(couplings):
            raise InputError(
                f"networks at {len(beside[0])} couplings: expected the theory's {len(couplings)}; run those"
            )
    return _Evidence(solution, couplings, losses, errors, courses, found, beside, width)


def _ends(solution: Any, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Test losses (n,) at the end, standard errors (n,), and courses (n, T) of a flow."""
    timed = getattr(solution, "times", None) is not None
    shape = (count, -1) if timed else (count,)
    try:
        losses = np.reshape(np.asarray(solution.test_loss, dtype=float), shape)
    except ValueError:
        losses = np.asarray(solution.test_loss, dtype=float)
    errors = np.broadcast_to(
        np.nan_to_num(np.asarray(solution.stderr["test_loss"], dtype=float)), np.shape(solution.test_loss)
    )
    errors = np.reshape(errors, losses.shape)
    return (losses[:, -1], errors[:, -1], losses) if timed else (losses, errors, None)


def _above(loss: np.ndarray, error: np.ndarray, level: float, other: float) -> np.ndarray:
    """Whether losses exceed a level, beyond the margin and their errors."""
    return loss - level > np.maximum(MARGIN * level, SIGNIFICANT * np.hypot(error, other))


def _plateaus(evidence: _Evidence) -> bool:
    if evidence.courses is None or evidence.scratch is None or evidence.courses.shape[1] < 2:
        return False
    times = evidence.solution.times
    late = int(np.searchsorted(times, times[-1] / LATE, side="right")) - 1
    now, then = evidence.losses, evidence.courses[:, max(late, 0)]
    rests = np.abs(now - then) <= SETTLED * now
    return bool((rests & _above(now, evidence.errors, *evidence.scratch)).any())


def _gains_nothing(evidence: _Evidence) -> bool:
    large = evidence.couplings >= LARGE
    if evidence.scratch is None or not large.any():
        return False
    level, other = evidence.scratch
    below = level - evidence.losses > np.maximum(MARGIN * level, SIGNIFICANT * np.hypot(evidence.errors, other))
    known = np.isfinite(evidence.losses)
    return bool((large & known).any() and not below[large & known].any())


def _unstable(evidence: _Evidence) -> bool:
    status = evidence.solution.status
    statuses = [status] if isinstance(status, Status) else list(status)
    if {Status.CONDENSED, Status.DIVERGED} & set(statuses):
        return True
    return bool((np.atleast_1d(getattr(evidence.solution, "domain_margin", 1.0)) < CLOSE).any())


def _depends_on_width(evidence: _Evidence) -> bool:
    if evidence.networks is not None:
        losses, errors = evidence.networks
        apart, error = np.abs(losses - evidence.losses), np.hypot(errors, evidence.errors)
        return bool((apart > np.maximum(MARGIN * evidence.losses, SIGNIFICANT * error)).any())
    if evidence.width is None or not hasattr(evidence.solution, "finite_width"):
        return False
    needed = np.atleast_1d(evidence.solution.finite_width.one_percent) / (100 * MARGIN)
    needed = needed[..., -1] if hasattr(evidence.solution, "times") else needed
    return bool((needed > evidence.width).any())


SIGNATURES = {
    "plateau above scratch": Signature(
        "the test loss has come to rest above that of training from scratch",
        "loosen the tie: the source's features do not hold the target, and the tie keeps them",
        _plateaus,
    ),
    "no gain despite a large tie": Signature(
        f"no coupling δ ≥ {LARGE:g} ends below training from scratch",
        "drop the source, or find one that shares more with the target",
        _gains_nothing,
    ),
    "instability at large feature learning": Signature(
        f"neurons condense, the solver diverged, or the domain margin q is below {CLOSE:g}",
        "reduce the feature-learning strength or inverse temperature, or raise the prior precision or decay",
        _unstable,
    ),
    "finite-width mismatch": Signature(
        f"networks of this width are over {100 * MARGIN:g} % off the infinite one",
        "take wider networks, or add c/N to what the theory says",
        _depends_on_width,
    ),
}
"""Name → failure signature, in the order in which they are looked for."""
