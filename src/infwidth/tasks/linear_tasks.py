"""Linear teachers: two directions at a set angle, Gaussian inputs."""

from __future__ import annotations

import numpy as np

from infwidth.numerics.checks import check_count, check_number
from infwidth.numerics.seeds import generator
from infwidth.tasks.transfer_task import TransferTask


def linear(
    *,
    dimension: int,
    overlap: float,
    n_source: int,
    n_target: int,
    n_test: int,
    source_noise: float = 0.0,
    target_noise: float = 0.0,
    seed: int,
) -> TransferTask:
    """Draw a linear source task and a linear target task whose teachers have a set overlap.

    Inputs are x ~ N(0, I_D), labels y = w·x/√D + σ·N(0, 1), with |w̄|² = |w|² = D and w̄·w/D = α exactly:
    w = α w̄ + √(1−α²) o, with o orthogonal to w̄ and |o|² = D.

    Everything random has a stream of its own, named by its purpose. At equal seed the source data, o and all
    inputs are therefore the same for every overlap and noise, and a smaller sample is the beginning of a
    larger one.

    Args:
        dimension: input dimension D ≥ 2.
        overlap: α in [−1, 1], cosine between the source teacher w̄ and the target teacher w.
        n_source: source samples P1.
        n_target: target training samples P2.
        n_test: target test samples Pt.
        source_noise: standard deviation σ of the label noise of the source.
        target_noise: standard deviation σ of the label noise of the target. Test labels carry it too, so no
            predictor's expected test loss is below σ².
        seed: whole number ≥ 0 that all streams derive from.

    Returns:
        The task, inputs (P1, D), (P2, D) and (Pt, D); labels are of order 1.

    Raises:
        InputError: an argument is of the wrong type or out of range.
    """
    dimension = check_count("dimension", dimension, minimum=2)
    overlap = check_number("overlap", overlap, minimum=-1, maximum=1)
    seed = check_count("seed", seed, minimum=0)
    sizes = {
        "source": check_count("n_source", n_source),
        "target": check_count("n_target", n_target),
        "test": check_count("n_test", n_test),
    }
    source_noise = check_number("source_noise", source_noise, minimum=0)
    target_noise = check_number("target_noise", target_noise, minimum=0)

    source_teacher = _scale(generator(seed, "source vector").standard_normal(dimension))
    perpendicular = generator(seed, "perpendicular direction").standard_normal(dimension)
    for _ in range(2):  # one pass leaves rounding errors where the draw is nearly parallel
        perpendicular = perpendicular - source_teacher * (perpendicular @ source_teacher) / dimension
        perpendicular = _scale(perpendicular)
    target_teacher = overlap * source_teacher + np.sqrt(1 - overlap**2) * perpendicular

    arrays = {}
    for part, teacher, noise in (
        ("source", source_teacher, source_noise),
        ("target", target_teacher, target_noise),
        ("test", target_teacher, target_noise),
    ):
        x = generator(seed, f"{part} inputs").standard_normal((sizes[part], dimension))
        # not x @ w: a BLAS may sum a row differently when there are more of them
        y = np.einsum("pd,d->p", x, teacher) / np.sqrt(dimension)
        arrays[f"x_{part}"] = x
        arrays[f"y_{part}"] = y + noise * generator(seed, f"{part} noise").standard_normal(sizes[part])
    return TransferTask(**arrays, label="linear teachers")


def _scale(vector: np.ndarray) -> np.ndarray:
    """The vector (D,) with squared norm D."""
    return vector * np.sqrt(len(vector)) / np.linalg.norm(vector)
