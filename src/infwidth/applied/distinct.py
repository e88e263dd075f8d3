"""A user's data without the copies in them, and which target samples a prediction may be judged by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from infwidth.numerics.checks import InputError
from infwidth.tasks.copies import copy_groups, shared_samples
from infwidth.tasks.own_data import OwnData
from infwidth.tasks.own_labels import LEAST_SPREAD

NAMED = 3
"""Copies that a note names."""


@dataclass(frozen=True)
class Distinct:
    """Data of different samples.

    Attributes:
        data: source and target, copies merged.
        judged: target samples that the source has not, (P2,).
        notes: what was found, a line each.
    """

    data: OwnData
    judged: np.ndarray
    notes: tuple[str, ...]

    @property
    def _shared(self) -> int:
        return int((~self.judged).sum())

    def warning(self) -> str:
        """What the sentence has to add, or ""."""
        if not self._shared:
            return ""
        return (
            f" Warning: {self._shared} of {len(self.judged)} target samples are the source's, too; the prediction is "
            f"judged by the other {int(self.judged.sum())} alone."
        )

    def refusal(self) -> str:
        """Why there is no prediction where hardly any sample is left to judge it by."""
        return (
            f"Can't tell: {self._shared} of {len(self.judged)} target samples are the source's, too, which has seen "
            "their labels; add target samples that the source lacks, or take those they share out of the source."
        )


def distinct(data: OwnData) -> Distinct:
    """Merge copies, also nearly exact ones, in each set, and find the target samples that the source has as well.

    Raises:
        InputError: copies whose labels cancel, so that nothing is left to learn.
    """
    notes = []
    arrays = {}
    given = data.weights is not None
    for part in ("target",) if given else ("source", "target"):
        x, y = getattr(data, f"x_{part}"), getattr(data, f"y_{part}")
        groups = copy_groups(x)
        first = np.unique(groups, return_index=True)[1]
        if len(first) < len(x):
            copies = np.setdiff1d(np.arange(len(x)), first)
            named = ", ".join(f"x[{i}] of x[{first[groups[i]]}]" for i in copies[:NAMED])
            notes.append(
                f"{part}: {len(copies)} of {len(x)} samples are copies ({named}{', …' * (len(copies) > NAMED)}); "
                "copies count as one sample, with the mean of their labels"
            )
            y = _mean_labels(y, groups, part)
        arrays |= {f"x_{part}": x[first], f"y_{part}": y}
    if given:  # what the network was trained on is not known
        arrays |= {"x_source": arrays["x_target"], "y_source": arrays["y_target"]}
        return Distinct(replace(data, **arrays), np.full(len(first), True), tuple(notes))
    shared = shared_samples(arrays["x_target"], arrays["x_source"])
    if shared.any():
        found = first[shared]
        named = ", ".join(f"x[{i}]" for i in found[:NAMED])
        notes.append(
            f"{len(found)} of {len(shared)} different target samples ({named}{', …' * (len(found) > NAMED)}) are the "
            "source's, too: they are learnt from, not judged by"
        )
    return Distinct(replace(data, **arrays), ~shared, tuple(notes))


def _mean_labels(y: np.ndarray, groups: np.ndarray, part: str) -> np.ndarray:
    """Mean label of each group of copies; raises InputError where the means no longer differ."""
    means = np.zeros((groups.max() + 1, *y.shape[1:]))
    np.add.at(means, groups, y)
    means /= np.bincount(groups).reshape(-1, *[1] * (y.ndim - 1))
    if np.ptp(means, axis=0).max() <= LEAST_SPREAD * np.abs(y).max():
        named = ", ".join(f"{value:.3g}" for value in np.atleast_1d(means[0]))
        raise InputError(
            f"{part}: every sample has copies, and the mean of their labels is {named} for all of them; "
            "expected labels that differ; check how they were assigned"
        )
    return means
