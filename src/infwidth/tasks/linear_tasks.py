"""Linear teachers: two directions at a set angle, Gaussian inputs."""

from __future__ import annotations

from infwidth.numerics.checks import check_number
from infwidth.tasks.gaussian_teachers import draw_task
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

    Inputs are x ~ N(0, I_D), labels y = w·x/√D + σ·N(0, 1), with |w̄|² = |w|² = D and w̄·w/D = α exactly. At equal
    seed the source data, the perpendicular direction and all inputs are the same for every overlap and noise, and
    a smaller sample is the beginning of a larger one.

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
    return draw_task(
        dimension=dimension,
        overlap=overlap,
        sizes={"n_source": n_source, "n_target": n_target, "n_test": n_test},
        noises=(
            check_number("source_noise", source_noise, minimum=0),
            check_number("target_noise", target_noise, minimum=0),
        ),
        links=(lambda u: u, lambda u: u),
        seed=seed,
        label="linear teachers",
    )
