"""Readouts tuned on frozen features of trained networks beside the closed forms (V5) and (V6), nothing between them."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from infwidth.networks import gradient_flow
from infwidth.studies.populations import population
from infwidth.theory import fine_tuning

DIMENSION, WIDTH, DATA_SETS = 200, 2000, 5


def task(source_ratio, seed):
    """ν = ¼; at ν̄ = ∞ the source's inputs are so many that XᵀX/D is a multiple of the identity."""
    few = population(DIMENSION, 0.9, (min(2 * DIMENSION, int(source_ratio * DIMENSION)), DIMENSION // 4), seed)
    if source_ratio < 1:
        return few
    teacher = np.linalg.lstsq(few.x_source, few.y_source, rcond=None)[0]
    every = math.sqrt(DIMENSION) * np.eye(DIMENSION)
    return dataclasses.replace(few, x_source=every, y_source=every @ teacher)


@pytest.mark.parametrize(
    ("source_ratio", "source_time"), [(4.0, 5.0), (0.25, 12.0)], ids=["(V5), P1 → ∞", "(V6), P1 = D/4"]
)
def test_networks_have_the_closed_forms(source_ratio, source_time):
    """Sources from w, W ~ N(0, 1) train to their end without decay; the readout of the target does, from a fresh start.

    The error is that of the mean over data sets, each with a network of its own. A width of 2,000 adds some P2/N = 2 %.
    """
    losses = [
        gradient_flow.run(
            task(source_ratio, seed),
            activation="linear",
            source_strength=4.0 / math.sqrt(DIMENSION),
            target_strength=0.1,
            elastic_coupling=math.inf,
            weight_decay=0.0,
            source_time=source_time,
            target_times=[40.0],
            width=WIDTH,
            seeds=[seed],
            dtype=torch.float32,
        )
        for seed in range(DATA_SETS)
    ]
    assert max(loss.train_loss[0] for loss in losses) < 1e-3
    losses = [loss.test_loss[0] for loss in losses]
    closed = fine_tuning.interpolated(source_ratio=source_ratio, target_ratio=0.25, source_richness=4.0, overlap=0.9)
    error = np.std(losses, ddof=1) / math.sqrt(DATA_SETS)
    assert error < 0.06 * closed
    assert abs(np.mean(losses) - closed) < 3 * error
