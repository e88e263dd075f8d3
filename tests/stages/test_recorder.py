"""The recorder of representations: averages over replicas, and errors of either kind."""

import math

import numpy as np
import pytest
import torch

from infwidth.analysis.representation import represent
from infwidth.numerics.activations import get_activation
from infwidth.numerics.tolerance import SHARE
from infwidth.stages.parts.recorder import Recorder

LABELS = np.array([1.0, -1.0, 1.0, -1.0])
NEURONS = [torch.randn(30, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) for seed in range(4)]


def rows(order, coarser=None):
    recorder = Recorder("relu", [0.0, 5.0], coarser=coarser)
    for r in order:
        recorder.target("a", r, 1, NEURONS[r], LABELS)
        recorder.source("a", r, NEURONS[r], LABELS)
    return {(row["time"], row["metric"]): row for row in recorder.rows({}, "a", keep=False)}


def test_the_first_replica_is_compared_with_itself_in_whatever_order_replicas_arrive():
    coarser = Recorder("relu", [0.0, 5.0])
    coarser.target("a", 0, 1, NEURONS[3], LABELS)
    alone = rows((0, 1, 2))
    for order in ((0, 1, 2), (2, 0, 1)):
        both = rows(order, coarser)
        for (time, metric), row in both.items():
            first, nearby = (represent(NEURONS[r], LABELS, get_activation("relu")).metrics[metric] for r in (0, 3))
            change = SHARE * abs(first - nearby) if time == 5.0 else 0.0  # nothing was shown of the source
            assert row["stderr"] == pytest.approx(math.hypot(alone[time, metric]["stderr"], change), rel=1e-12)
            assert row["value"] == alone[time, metric]["value"]


@pytest.mark.parametrize("chains", [1, 2])
def test_chains_that_are_shown_again_and_again_are_averaged_first(chains):
    recorder = Recorder("relu", [math.nan])
    for place, one in enumerate(NEURONS):
        recorder.target("a", place % chains, 0, one, LABELS)
    alone = [represent(one, LABELS, get_activation("relu")).metrics for one in NEURONS]
    for row in recorder.rows({}, "a", keep=False):
        values = [np.mean([metrics[row["metric"]] for metrics in alone[chain::chains]]) for chain in range(chains)]
        assert row["value"] == pytest.approx(np.mean(values), rel=1e-12)
        error = np.std(values, ddof=1) / math.sqrt(chains) if chains > 1 else math.nan
        assert row["stderr"] == pytest.approx(error, rel=1e-12, nan_ok=True)
