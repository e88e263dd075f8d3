"""Two teachers on Gaussian inputs: directions at a set angle, each seen through a function of one variable."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from infwidth.numerics.checks import check_count, check_number
from infwidth.numerics.seeds import generator
from infwidth.tasks.transfer_task import TransferTask

Link = Callable[[np.ndarray], np.ndarray]


def draw_task(
    *,
    dimension: int,
    overlap: float,
    sizes: dict[str, int],
    noises: tuple[float, float],
    links: tuple[Link, Link],
    seed: int,
    label: str,
) -> TransferTask:
    """Draw source, target and test sets with labels y = link(w·x/√D) + σ·N(0, 1).

    Inputs are x ~ N(0, I_D), so w·x/√D ~ N(0, 1). The teachers have |w̄|² = |w|² = D and w̄·w/D = α exactly:
    w = α w̄ + √(1−α²) o, with o orthogonal to w̄ and |o|² = D.

    Everything random has a stream of its own, named by its purpose. At equal seed the source data, o and all
    inputs are therefore the same for every overlap, link and noise, and a smaller sample is the beginning of a
    larger one.

    Args:
        dimension: input dimension D ≥ 2.
        overlap: α in [−1, 1].
        sizes: samples by argument name: ``n_source``, ``n_target``, ``n_test``.
        noises: standard deviations σ ≥ 0 of the label noise of source and target; test labels carry the target's.
        links: of the source and of the target.
        seed: whole number ≥ 0 that all streams derive from.
        label: what the task is called.

    Returns:
        The task.

    Raises:
        InputError: an argument is of the wrong type or out of range.
    """
    dimension = check_count("dimension", dimension, minimum=2)
    overlap = check_number("overlap", overlap, minimum=-1, maximum=1)
    seed = check_count("seed", seed, minimum=0)
    counts = [check_count(name, size) for name, size in sizes.items()]

    source_teacher = _scale(generator(seed, "source vector").standard_normal(dimension))
    perpendicular = generator(seed, "perpendicular direction").standard_normal(dimension)
    for _ in range(2):  # one pass leaves rounding errors where the draw is nearly parallel
        perpendicular = perpendicular - source_teacher * (perpendicular @ source_teacher) / dimension
        perpendicular = _scale(perpendicular)
    target_teacher = overlap * source_teacher + np.sqrt(1 - overlap**2) * perpendicular

    arrays = {}
    for part, count, teacher, link, noise in (
        ("source", counts[0], source_teacher, links[0], noises[0]),
        ("target", counts[1], target_teacher, links[1], noises[1]),
        ("test", counts[2], target_teacher, links[1], noises[1]),
    ):
        x = generator(seed, f"{part} inputs").standard_normal((count, dimension))
        # not x @ w: a BLAS may sum a row differently when there are more of them
        y = link(np.einsum("pd,d->p", x, teacher) / np.sqrt(dimension))
        arrays[f"x_{part}"] = x
        arrays[f"y_{part}"] = y + noise * generator(seed, f"{part} noise").standard_normal(count)
    return TransferTask(**arrays, label=label)


def _scale(vector: np.ndarray) -> np.ndarray:
    """The vector (D,) with squared norm D."""
    return vector * np.sqrt(len(vector)) / np.linalg.norm(vector)
