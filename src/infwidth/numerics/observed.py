"""What a solver shows an observer of its neurons: one record for theory and networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Observed:
    """Neurons of one population as an observer is shown them.

    Attributes:
        replica: index of the independent population: a replica or block of particles, or a network.
        coupling_index: of the target's point (its elastic coupling δ); None for the source.
        time_index: of the record time; 0 for a posterior, None for the source.
        preactivation: h of its neurons, which weigh the same, on its own training points, (neurons, P).
    """

    replica: int
    coupling_index: int | None
    time_index: int | None
    preactivation: Tensor


Observer = Callable[[Observed], None]
