"""The families of tasks: how each is drawn, and what can be set of it.

Plan, workflow and configuration read this registry, and the stage that draws looks a family's door up in it when it
runs; so adding one here draws no data anew. A new family is its module and an entry here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from infwidth.numerics.settings import Axis, Count, Different, Ge, Le, MaxLen, Meaning, MinLen

if TYPE_CHECKING:
    from infwidth.tasks.transfer_task import TransferTask

Overlap = Axis[Annotated[float, Ge(-1), Le(1)]]
ImageCount = Annotated[int, Ge(2)]
ClassPair = Annotated[list[Annotated[int, Ge(0)]], MinLen(2), MaxLen(2), Different()]


class Linear:
    """Linear teacher: x ~ N(0, I_D), y = w·x/√D + noise, |w|² = D."""

    dimension: Annotated[int, Ge(2), Meaning("D, input dimension.")]
    overlap: Annotated[Overlap, Meaning("α, cosine between the source and target teacher vectors.")]
    n_source: Annotated[Axis[Count], Meaning("P1, source samples.")]
    n_target: Annotated[Axis[Count], Meaning("P2, target samples.")]
    n_test: Annotated[Count, Meaning("Test samples.")] = 1000
    source_noise: Annotated[float, Ge(0), Meaning("Standard deviation of the source label noise.")] = 0
    target_noise: Annotated[
        float, Ge(0), Meaning("Standard deviation of the target label noise, test labels included.")
    ] = 0


class Hermite:
    """Hermite teacher: x ~ N(0, I_D), y = He_k(β·x) + noise, He_k normalised, |β| = 1."""

    dimension: Annotated[int, Ge(2), Meaning("D, input dimension.")]
    # k! is no float64 beyond 170
    source_degree: Annotated[Count, Le(170), Meaning("k of the source's polynomial.")]
    target_degree: Annotated[Count, Le(170), Meaning("k of the target's polynomial.")]
    overlap: Annotated[Overlap, Meaning("α, cosine between the source's and the target's direction.")] = [1]  # noqa: RUF012
    n_source: Annotated[Axis[Count], Meaning("P1, source samples.")]
    n_target: Annotated[Axis[Count], Meaning("P2, target samples.")]
    n_test: Annotated[Count, Meaning("Test samples.")] = 1000
    noise: Annotated[float, Ge(0), Meaning("Standard deviation of the label noise, of source, target and test.")] = 0


class Images:
    """Two classes of labelled images against two others, labels ±1."""

    source_classes: Annotated[ClassPair, Meaning("Class indices of the source; the first has label −1.")]
    target_classes: Annotated[ClassPair, Meaning("Class indices of the target; the first has label −1.")]
    n_source: Annotated[Axis[ImageCount], Meaning("P1, source samples, both classes together.")]
    n_target: Annotated[Axis[ImageCount], Meaning("P2, target samples, both classes together.")]
    n_test: Annotated[ImageCount | None, Meaning("Test samples; null takes all of the two classes.")] = None


@dataclass(frozen=True)
class Family:
    """How tasks of a family are drawn.

    Attributes:
        module: below the package, that draws them.
        function: of that module: settings and seed ↦ TransferTask; images come first where they are drawn from some.
        settings: what the configuration says of a task: the arguments of ``function``, those of ``axes`` as lists.
        axes: arguments with a cell for each value.
        any_target: the arguments that the source does not depend on, with values to draw it alone with.
        from_images: whether tasks are drawn from the images that the configuration's ``images`` names.
    """

    module: str
    function: str
    settings: type
    axes: tuple[str, ...]
    any_target: Mapping[str, Any]
    from_images: bool = False

    @property
    def source_axes(self) -> tuple[str, ...]:
        """The axes that the source depends on."""
        return tuple(axis for axis in self.axes if axis not in self.any_target)

    def door(self) -> Callable[..., TransferTask]:
        """Return ``function``, importing its module."""
        return getattr(importlib.import_module(f"infwidth.{self.module}"), self.function)


FAMILIES = {
    "linear": Family(
        "tasks.linear_tasks",
        "linear",
        Linear,
        axes=("n_source", "n_target", "overlap"),
        any_target={"overlap": 0.0, "n_target": 1, "n_test": 1, "target_noise": 0.0},
    ),
    "hermite": Family(
        "tasks.hermite_tasks",
        "hermite",
        Hermite,
        axes=("n_source", "n_target", "overlap"),
        any_target={"target_degree": 1, "overlap": 1.0, "n_target": 1, "n_test": 1},
    ),
    "images": Family(
        "tasks.image_tasks",
        "image_task",
        Images,
        axes=("n_source", "n_target"),
        any_target={"n_target": 2, "n_test": 2},
        from_images=True,
    ),
}
"""Name → family; a name is what a configuration writes under ``task``."""
