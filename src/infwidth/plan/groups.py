"""Which data sets, and which networks of each, share a job; what is added later has groups of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


def seed_groups(total: int, size: int, begin: int = 0) -> dict[str, list[int]]:
    """Return the seeds ``begin`` … total − 1 in groups of at most ``size``, by the groups' names: ``seeds=0-7``, …."""
    groups = [list(range(first, min(first + size, total))) for first in range(begin, total, size)]
    return {f"seeds={group[0]}-{group[-1]}": group for group in groups}


def study_groups(settings: Mapping[str, Any]) -> dict[str, list[int]]:
    """The groups of a study's seeds: those from the start, the theory's alone, then those that each look added."""
    size = settings["seeds_per_job"]
    groups = seed_groups(settings["seeds"], size) | theory_alone(settings)
    total = max(settings["seeds"], settings["theory_seeds"] or 0)
    for more in settings["added"]:
        groups |= seed_groups(total + more, size, total)
        total += more
    return groups


def theory_alone(settings: Mapping[str, Any]) -> dict[str, list[int]]:
    """The groups of a study's seeds on which no networks are trained."""
    return seed_groups(settings["theory_seeds"] or 0, settings["seeds_per_job"], settings["seeds"])


@dataclass(frozen=True)
class Groups:
    """The groups of an experiment's data sets.

    Attributes:
        networks: name → ``seeds``, data sets of a job, and ``networks``, numbers of those it makes on each.
        theory: name → data sets of a job.
        data_sets: how many there are of networks, and with them of theory.
        theory_data_sets: how many the theory is solved on.
        network_seeds: networks a data set.
        looks: how many states of its data each side, ``theory`` and ``networks``, has had.
    """

    networks: Mapping[str, Mapping[str, list[int]]]
    theory: Mapping[str, list[int]]
    data_sets: int
    theory_data_sets: int
    network_seeds: int
    looks: Mapping[str, int]

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Groups:
        """Those an experiment has from the start, then what each look added, in turn: no group changes by a later one.

        Data sets of networks are those that the theory alone has, where there are some left.
        """
        size, each = settings["seeds_per_job"], settings["network_seeds"]
        shared, solved = settings["data_seeds"], settings["theory_data_seeds"] or settings["data_seeds"]
        networks = {
            name: {"seeds": seeds, "networks": list(range(each))} for name, seeds in seed_groups(shared, size).items()
        }
        theory = seed_groups(shared, size) | seed_groups(solved, size, shared)
        looks = {"theory": 1, "networks": 1}
        for more in settings["added"]:
            count = more["network_seeds"] or 0
            if count:
                wanted = {"networks": list(range(each, each + count))}
                networks |= {
                    f"{name},networks={each}-{each + count - 1}": {"seeds": group["seeds"], **wanted}
                    for name, group in list(networks.items())
                    if group["networks"][0] == 0
                }
                each += count
            found = max(solved + (more["theory_data_seeds"] or 0), shared + (more["data_seeds"] or 0))
            theory |= seed_groups(found, size, solved)
            looks["theory"] += found > solved
            looks["networks"] += bool(count or more["data_seeds"])
            solved, total = found, shared + (more["data_seeds"] or 0)
            networks |= {
                name: {"seeds": seeds, "networks": list(range(each))}
                for name, seeds in seed_groups(total, size, shared).items()
            }
            shared = total
        return cls(networks, theory, shared, solved, each, looks)
