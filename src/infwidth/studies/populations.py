"""Linear teachers whose test points are the population: the mean of squares over them is |v − w|²/D."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from infwidth.tasks.linear_tasks import linear
from infwidth.tasks.transfer_task import TransferTask


def population(
    dimension: int, overlap: float, sizes: Sequence[int], seed: int, *, noises: tuple[float, float] = (0.0, 0.0)
) -> TransferTask:
    """Draw a task of linear teachers with x = √D e_i, of label w_i, as test points.

    Args:
        dimension: D.
        overlap: α.
        sizes: P1 and P2.
        seed: of the data.
        noises: σ of the labels of source and target; test labels have none.
    """
    settings = {"dimension": dimension, "overlap": overlap, "n_source": sizes[0], "n_target": sizes[1], "seed": seed}
    clean = linear(**settings, n_test=dimension)
    root = math.sqrt(dimension)
    teacher = np.linalg.solve(clean.x_test, clean.y_test * root)
    noisy = linear(**settings, n_test=1, source_noise=noises[0], target_noise=noises[1]) if any(noises) else clean
    return dataclasses.replace(noisy, x_test=root * np.eye(dimension), y_test=teacher)
