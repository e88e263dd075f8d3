"""Linear teachers whose test points are the population: the mean of squares over them is (v − w)ᵀΣ(v − w)/D."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from infwidth.tasks.gaussian_teachers import Given, input_laws, teachers
from infwidth.tasks.linear_tasks import linear
from infwidth.tasks.transfer_task import TransferTask


def population(
    dimension: int,
    overlap: float,
    sizes: Sequence[int],
    seed: int,
    *,
    noises: tuple[float, float] = (0.0, 0.0),
    spectra: tuple[Given, Given] = (None, None),
) -> TransferTask:
    """Draw a task of linear teachers with the target's principal axes x = √(Dλ_i) q_i as test points.

    Args:
        dimension: D.
        overlap: α.
        sizes: P1 and P2.
        seed: of the data.
        noises: σ of the labels of source and target; test labels have none.
        spectra: of the source's and of the target's inputs, as :func:`linear` takes them.
    """
    task = linear(
        dimension=dimension,
        overlap=overlap,
        n_source=sizes[0],
        n_target=sizes[1],
        n_test=1,
        source_noise=noises[0],
        target_noise=noises[1],
        spectrum=spectra[0],
        target_spectrum=spectra[1],
        seed=seed,
    )
    _, teacher = teachers(dimension, overlap, seed)
    (_, inputs), _ = input_laws(dimension, spectra, seed)
    axes = inputs.draw(np.eye(dimension))
    return dataclasses.replace(task, x_test=math.sqrt(dimension) * axes, y_test=axes @ teacher)
