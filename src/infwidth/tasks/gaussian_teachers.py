"""Two teachers on Gaussian inputs: directions at a set angle, each seen through a function of one variable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from infwidth.numerics.checks import check_count, check_number
from infwidth.numerics.seeds import generator
from infwidth.tasks.spectra import Inputs, Spectrum
from infwidth.tasks.transfer_task import TransferTask

Link = Callable[[np.ndarray], np.ndarray]
Given = Mapping[str, Any] | None
"""A spectrum as settings have it: keys ``exponent`` and ``rotated``; None where nothing is said."""


def draw_task(
    *,
    dimension: int,
    overlap: float,
    sizes: dict[str, int],
    noises: tuple[float, float],
    links: tuple[Link, Link],
    spectra: tuple[Given, Given] = (None, None),
    standardised: bool = False,
    seed: int,
    label: str,
) -> TransferTask:
    """Draw source, target and test sets with labels y = link(w·x/√D) + σ·N(0, 1).

    Inputs are x ~ N(0, Σ) with tr Σ = D, Σ̄ of the source and Σ of target and test; w·x/√D ~ N(0, 1) where Σ = I. The
    teachers have |w̄|² = |w|² = D and w̄·w/D = α exactly, whatever Σ: w = α w̄ + √(1−α²) o, with o orthogonal to w̄ and
    |o|² = D. They are drawn without regard to Σ, so that w̄ᵀΣw/D → α too as D → ∞, as long as no direction holds a
    finite share of Σ.

    Everything random has a stream of its own, named by its purpose. At equal seed the source data, o and all
    inputs are therefore the same for every overlap, link and noise, a smaller sample is the beginning of a
    larger one, and inputs of different Σ are made of the same white ones.

    Args:
        dimension: input dimension D ≥ 2.
        overlap: α in [−1, 1].
        sizes: samples by argument name: ``n_source``, ``n_target``, ``n_test``.
        noises: standard deviations σ ≥ 0 of the label noise of source and target; test labels carry the target's.
        links: of the source and of the target.
        spectra: of the source's and of the target's inputs, eq. (10); the target's is the source's, axes included,
            where it is None.
        standardised: whether links see w·x/√(wᵀΣw), of unit variance, in place of w·x/√D.
        seed: whole number ≥ 0 that all streams derive from.
        label: what the task is called; spectra are added to it.

    Returns:
        The task.

    Raises:
        InputError: an argument is of the wrong type or out of range.
    """
    dimension = check_count("dimension", dimension, minimum=2)
    overlap = check_number("overlap", overlap, minimum=-1, maximum=1)
    seed = check_count("seed", seed, minimum=0)
    counts = [check_count(name, size) for name, size in sizes.items()]

    inputs, words = input_laws(dimension, spectra, seed)

    source_teacher, target_teacher = teachers(dimension, overlap, seed)
    arrays = {}
    for part, count, side, teacher in (
        ("source", counts[0], 0, source_teacher),
        ("target", counts[1], 1, target_teacher),
        ("test", counts[2], 1, target_teacher),
    ):
        x = inputs[side].draw(generator(seed, f"{part} inputs").standard_normal((count, dimension)))
        # not x @ w: a BLAS may sum a row differently when there are more of them
        seen = np.einsum("pd,d->p", x, teacher) / np.sqrt(dimension)
        y = links[side](seen / np.sqrt(inputs[side].variance(teacher)) if standardised else seen)
        arrays[f"x_{part}"] = x
        arrays[f"y_{part}"] = y + noises[side] * generator(seed, f"{part} noise").standard_normal(count)
    return TransferTask(**arrays, label=label + words)


def teachers(dimension: int, overlap: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The teachers w̄ and w of a task, (D,) each; see :func:`draw_task`.

    Args:
        dimension: D.
        overlap: α.
        seed: of the task.
    """
    source = _scale(generator(seed, "source vector").standard_normal(dimension))
    perpendicular = generator(seed, "perpendicular direction").standard_normal(dimension)
    for _ in range(2):  # one pass leaves rounding errors where the draw is nearly parallel
        perpendicular = perpendicular - source * (perpendicular @ source) / dimension
        perpendicular = _scale(perpendicular)
    return source, overlap * source + np.sqrt(1 - overlap**2) * perpendicular


def input_laws(dimension: int, spectra: tuple[Given, Given], seed: int) -> tuple[tuple[Inputs, Inputs], str]:
    """The laws of the source's and of the target's inputs, and what a label says of them.

    Args:
        dimension: D.
        spectra: of source and target; the target's is the source's, axes included, where it is None.
        seed: that rotations derive from, each from a stream of its own.

    Raises:
        InputError: a spectrum is not one.
    """
    source = Spectrum.of("spectrum", spectra[0])
    first = Inputs.of(source, dimension, seed, "source rotation")
    if spectra[1] is None:
        return (first, first), "" if source.exponent == 0 else f", spectrum {source}"
    target = Spectrum.of("target_spectrum", spectra[1])
    words = f", spectrum {source} → {target}" if source.exponent or target.exponent else ""
    return (first, Inputs.of(target, dimension, seed, "target rotation")), words


def _scale(vector: np.ndarray) -> np.ndarray:
    """The vector (D,) with squared norm D."""
    return vector * np.sqrt(len(vector)) / np.linalg.norm(vector)
