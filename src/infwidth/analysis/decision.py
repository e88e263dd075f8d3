"""What an estimate decides of a claim, how surely, at which look at the data, and what more would decide."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from infwidth.analysis.claim_file import Claim
from infwidth.analysis.estimates import LEVEL, Estimate, Foresight, margin

REPRODUCED, NOT_REPRODUCED, NO_EFFECT = "reproduced", "not reproduced", "no such effect"
INCONCLUSIVE, NOT_TESTED = "inconclusive", "not tested"
DEFINITE = (REPRODUCED, NO_EFFECT, NOT_REPRODUCED)
THEORY_SAYS = {REPRODUCED: "theory says yes", NO_EFFECT: "theory says none", NOT_REPRODUCED: "theory says no"}
"""What the theory's finding makes of a claim whose networks can't tell, without a licence that would let it decide."""
VERDICTS = (*DEFINITE, *THEORY_SAYS.values(), INCONCLUSIVE, NOT_TESTED)
MANY = 1000
"""Data sets that any claim is worth."""
MOST_NETWORKS = 16
"""Networks a data set, as many times as there are, beyond which data sets are the better buy in any case."""
SMALLEST_P = 1e-12
SOURCES = {"network": "networks a data set", "theory": "particles", "extrapolation": "extrapolation"}
SOURCES |= {"choice": "choice of learning rates"}


def level_of(look: int) -> float:
    """The level of an interval at a look at the data, so that all looks together err in 5 %: α/2, α/4, ….

    Args:
        look: its number from 1; 0 where the data are looked at once, at the full level.
    """
    return 1 - (1 - LEVEL) / 2**look


def decide(
    claim: Claim,
    found: Estimate,
    level: float = LEVEL,
    foreseen: Foresight | None = None,
    *,
    as_it_is: bool = False,
) -> str:
    """The verdict of an estimate's interval; ``as_it_is`` also where what is found may be the finite width's.

    Where the interval holds the bound there is no such effect if it excludes the smallest that counts.
    """
    low, high = claim.expect.get("above", -math.inf), claim.expect.get("below", math.inf)
    lower, upper = found.interval(level, foreseen)
    if low < lower and upper < high:
        return REPRODUCED
    if upper < low or lower > high:
        return NOT_REPRODUCED if as_it_is or getattr(found, "fails", True) else INCONCLUSIVE
    small = getattr(claim, "smallest_effect", None) or 0.0
    return NO_EFFECT if upper < low + small or lower > high - small else INCONCLUSIVE


def p_value(claim: Claim, found: Estimate, verdict: str, look: int = 0) -> float:
    """The error over all looks at which a verdict would cease to be definite, by bisection of its logarithm."""
    low, high = math.log(SMALLEST_P), math.log(1 - level_of(look))
    if decide(claim, found, 1 - SMALLEST_P) == verdict:
        return SMALLEST_P
    for _ in range(40):
        middle = (low + high) / 2
        if decide(claim, found, 1 - math.exp(middle)) == verdict:
            high = middle
        else:
            low = middle
    return math.exp(high) * 2**look


def is_hidden_by_width(claim: Claim, found: Estimate, level: float = LEVEL) -> bool:
    """Whether what is found would speak against the theory, were it not maybe the finite width's."""
    return decide(claim, found, level, as_it_is=True) == NOT_REPRODUCED and not getattr(found, "fails", True)


def budget(found: Estimate) -> dict[str, float]:
    """What the variance of an estimate is of: source → part, together 1."""
    parts = {SOURCES[kind]: round(part, 3) for kind, part in found.sampling_shares().items() if part > 0}
    return {"data sets": round(max(1 - sum(parts.values()), 0.0), 3), **parts}


def data_sets_needed(claim: Claim, found: Estimate, level: float = LEVEL, variance: float = 1.0) -> int | None:
    """Data sets in all that decide a claim with the probability ``CHANCE``; None where :func:`most_data_sets` don't."""
    spare = margin()

    def decides(seeds: int) -> bool:
        return decide(claim, found, level, Foresight(seeds, variance, spare), as_it_is=True) != INCONCLUSIVE

    return _least(decides, found.seeds, most_data_sets(found))


def most_data_sets(found: Estimate) -> int:
    """Where more would be needed, the value lies on the bound for all that can be told: ``MANY``, or four times those
    there are.
    """
    return max(MANY, 4 * found.seeds)


def to_draw(counting: int, found: Estimate, drawn: int) -> int:
    """Data sets to have in all for so many that count, as many of those to come doing so as of those drawn."""
    return math.ceil(counting * drawn / found.seeds)


def networks_needed(claim: Claim, found: Estimate, level: float = LEVEL) -> int | None:
    """How many times as many networks a data set decide a claim likewise; None where ``MOST_NETWORKS`` times don't."""
    share, spare = found.sampling_shares().get("network", 0.0), margin()

    def decides(times: int) -> bool:
        left = 1 - share * (1 - 1 / times)
        return decide(claim, found, level, Foresight(found.seeds, left, spare), as_it_is=True) != INCONCLUSIVE

    return _least(decides, 1, MOST_NETWORKS)


def _least(decides: Callable[[int], bool], low: int, high: int) -> int | None:
    """The least number above ``low`` that decides, up to ``high``: more only narrow an interval."""
    if high <= low or not decides(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def price(
    claim: Claim, found: Estimate, stderr: float | None, drawn: int, seconds: float | None, level: float = LEVEL
) -> dict[str, Any]:
    """Error budget of an inconclusive finding, and the data sets, the standard error and the minutes that decide it.

    Of what has no standard error yet the data sets that would give one.

    Args:
        claim: what is inconclusive.
        found: its estimate.
        stderr: of it; None where there is none yet.
        drawn: data sets there are. Of more to come as large a part counts for nothing as of these: solvers fail, or the
            claim is about some alone, as that on definite answers is.
        seconds: that one more costs, if known.
        level: of the interval.
    """
    least = getattr(found, "least", 2)
    counting = least if found.seeds < least else data_sets_needed(claim, found, level)
    told = {} if stderr is None else {"budget": budget(found)}
    if counting is None:
        return told
    spread = None if stderr is None else stderr * math.sqrt(found.seeds / counting)
    needed = to_draw(counting, found, drawn)
    minutes = None if seconds is None else round((needed - drawn) * seconds / 60, 1)
    return told | {"needed": needed, "needed_stderr": spread, "minutes": minutes}


def reason(told: Mapping[str, Any], found: Estimate) -> str:
    """Why a finding is inconclusive, and what :func:`price` told would decide it, in words."""
    cost = in_minutes(told.get("minutes"))
    if "budget" not in told:
        return f"{told['needed']} data sets in all{cost} would give one" if told else "more data sets would tell"
    parts = sorted(told["budget"].items(), key=lambda item: -item[1])
    of = "variance: " + ", ".join(f"{100 * part:.0f} % {source}" for source, part in parts if part >= 0.005)
    if "needed" not in told:
        return f"{of}; the value lies on the bound: {most_data_sets(found)} data sets would not decide it"
    return f"{of}; {told['needed']} data sets in all{cost}, ± {told['needed_stderr']:.2g}, would decide it"


def in_minutes(minutes: float | None) -> str:
    """What is missing costs, in brackets; nothing where it was never timed."""
    if minutes is None:
        return ""
    return " (under 0.1 min more on a core)" if minutes < 0.1 else f" ({minutes:g} min more on a core)"
