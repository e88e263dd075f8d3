"""The families of tasks: how each is drawn, and what can be set of it.

Plan, workflow and configuration read this registry, and the stage that draws looks a family's door up in it when it
runs; so adding one here draws no data anew. A new family is its module and an entry here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from infwidth.numerics.settings import Axis, Count, Different, File, Ge, Le, MaxLen, Meaning, MinLen

if TYPE_CHECKING:
    from infwidth.tasks.transfer_task import TransferTask

Overlap = Axis[Annotated[float, Ge(-1), Le(1)]]
ImageCount = Annotated[int, Ge(2)]
ArrayFile = Annotated[str, File()]
RELATIVE = "a relative path starts from the configuration's place"
ClassPair = Annotated[list[Annotated[int, Ge(0)]], MinLen(2), MaxLen(2), Different()]


class Spectrum:
    """A power-law spectrum of Gaussian inputs: Σ has eigenvalues k^−e/⟨k^−e⟩, k = 1 … D, so that its trace is D."""

    exponent: Annotated[float, Ge(0), Le(10), Meaning("e; 0 is Σ = I.")]
    rotated: Annotated[
        bool, Meaning("Whether the principal axes are drawn, a random rotation for each data set, or the coordinates'.")
    ] = False


OfInputs = Annotated[Spectrum | None, Meaning("Covariance Σ of the source's inputs; null: the identity.")]
OfTarget = Annotated[
    Spectrum | None,
    Meaning("Of the inputs of target and test, rotated by a rotation of its own; null: the source's Σ, axes included."),
]


class Linear:
    """Linear teacher: x ~ N(0, Σ), y = w·x/√D + noise, |w|² = D."""

    dimension: Annotated[int, Ge(2), Meaning("D, input dimension.")]
    overlap: Annotated[Overlap, Meaning("α, cosine between the source and target teacher vectors.")]
    n_source: Annotated[Axis[Count], Meaning("P1, source samples.")]
    n_target: Annotated[Axis[Count], Meaning("P2, target samples.")]
    n_test: Annotated[Count, Meaning("Test samples.")] = 1000
    source_noise: Annotated[float, Ge(0), Meaning("Standard deviation of the source label noise.")] = 0
    target_noise: Annotated[
        float, Ge(0), Meaning("Standard deviation of the target label noise, test labels included.")
    ] = 0
    spectrum: OfInputs = None
    target_spectrum: OfTarget = None


class Hermite:
    """Hermite teacher: x ~ N(0, Σ), y = He_k(β·x/√(β·Σβ)) + noise, He_k normalised, |β| = 1."""

    dimension: Annotated[int, Ge(2), Meaning("D, input dimension.")]
    # k! is no float64 beyond 170
    source_degree: Annotated[Count, Le(170), Meaning("k of the source's polynomial.")]
    target_degree: Annotated[Count, Le(170), Meaning("k of the target's polynomial.")]
    overlap: Annotated[Overlap, Meaning("α, cosine between the source's and the target's direction.")] = [1]  # noqa: RUF012
    n_source: Annotated[Axis[Count], Meaning("P1, source samples.")]
    n_target: Annotated[Axis[Count], Meaning("P2, target samples.")]
    n_test: Annotated[Count, Meaning("Test samples.")] = 1000
    noise: Annotated[float, Ge(0), Meaning("Standard deviation of the label noise, of source, target and test.")] = 0
    spectrum: OfInputs = None
    target_spectrum: OfTarget = None


class Images:
    """Two classes of labelled images against two others, labels ±1."""

    source_classes: Annotated[ClassPair, Meaning("Class indices of the source; the first has label −1.")]
    target_classes: Annotated[ClassPair, Meaning("Class indices of the target; the first has label −1.")]
    n_source: Annotated[Axis[ImageCount], Meaning("P1, source samples, both classes together.")]
    n_target: Annotated[Axis[ImageCount], Meaning("P2, target samples, both classes together.")]
    n_test: Annotated[ImageCount | None, Meaning("Test samples; null takes all of the two classes.")] = None


class Arrays:
    """Your own labelled arrays, of which each data set is a subset (docs/own_data.md)."""

    source: Annotated[ArrayFile, Meaning(f"The source's samples: an .npz, or an .npy of inputs; {RELATIVE}.")]
    target: Annotated[ArrayFile, Meaning("The target's samples, likewise.")]
    test: Annotated[ArrayFile | None, Meaning("Test samples, likewise; null takes what the target leaves.")] = None
    source_labels: Annotated[
        ArrayFile | None, Meaning("The source's labels, an .npy or .npz; null: in the file of its inputs.")
    ] = None
    target_labels: Annotated[ArrayFile | None, Meaning("The target's labels, likewise.")] = None
    test_labels: Annotated[ArrayFile | None, Meaning("The test samples' labels, likewise.")] = None
    inputs_key: Annotated[str, Meaning("Key of the inputs in an .npz.")] = "x"
    labels_key: Annotated[str, Meaning("Key of the labels in an .npz.")] = "y"
    labels: Annotated[
        Literal["auto", "classes", "regression"],
        Meaning(
            "What labels are: up to 20 classes, or a regression's numbers; `auto` finds out where it is clear. Three "
            "classes or more, or several numbers a sample, are a network's outputs, which `bayes` alone covers."
        ),
    ] = "auto"
    n_source: Annotated[Axis[Count], Meaning("P1, source samples.")]
    n_target: Annotated[Axis[Count], Meaning("P2, target samples.")]
    n_test: Annotated[Count | None, Meaning("Test samples; null takes all of the test file.")] = None


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
        files: arguments that are paths of a user's files, whose change draws anew what is drawn from them.
        check: function of the module that checks those files before a run: settings ↦ sizes that only they say.
    """

    module: str
    function: str
    settings: type
    axes: tuple[str, ...]
    any_target: Mapping[str, Any]
    from_images: bool = False
    files: tuple[str, ...] = ()
    check: str | None = None

    @property
    def source_axes(self) -> tuple[str, ...]:
        """The axes that the source depends on."""
        return tuple(axis for axis in self.axes if axis not in self.any_target)

    def door(self) -> Callable[..., TransferTask]:
        """Return ``function``, importing its module."""
        return self._named(self.function)

    def file_sizes(self, task: Mapping[str, Any]) -> dict[str, int]:
        """What a user's files say of a task's sizes; raises InputError for files that it can't be drawn from."""
        return self._named(self.check)(**task) if self.check else {}

    def _named(self, function: str) -> Callable[..., Any]:
        return getattr(importlib.import_module(f"infwidth.{self.module}"), function)


FAMILIES = {
    "linear": Family(
        "tasks.linear_tasks",
        "linear",
        Linear,
        axes=("n_source", "n_target", "overlap"),
        any_target={"overlap": 0.0, "n_target": 1, "n_test": 1, "target_noise": 0.0, "target_spectrum": None},
    ),
    "hermite": Family(
        "tasks.hermite_tasks",
        "hermite",
        Hermite,
        axes=("n_source", "n_target", "overlap"),
        any_target={"target_degree": 1, "overlap": 1.0, "n_target": 1, "n_test": 1, "target_spectrum": None},
    ),
    "images": Family(
        "tasks.image_tasks",
        "image_task",
        Images,
        axes=("n_source", "n_target"),
        any_target={"n_target": 2, "n_test": 2},
        from_images=True,
    ),
    "arrays": Family(
        "tasks.array_tasks",
        "arrays",
        Arrays,
        axes=("n_source", "n_target"),
        any_target={
            **dict.fromkeys(("target", "test", "target_labels", "test_labels")),
            **{"n_target": 1, "n_test": 1},
        },
        files=("source", "target", "test", "source_labels", "target_labels", "test_labels"),
        check="check_arrays",
    ),
}
"""Name → family; a name is what a configuration writes under ``task``."""
