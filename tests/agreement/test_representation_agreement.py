"""What theory and networks show of their hidden layers agrees, at the start, at the end, and for the source."""

from collections import defaultdict

import numpy as np
import pytest
import torch

from infwidth.analysis.representation import represent
from infwidth.networks import gradient_flow
from infwidth.networks.two_layer.ensemble import TargetPoint
from infwidth.numerics.activations import get_activation
from infwidth.tasks import hermite
from infwidth.theory import flow

COUPLINGS = (0.0, 10.0, np.inf)
TIMES = [0.0, 5.0]
SEEDS = tuple(range(6))


def by_theory(task, activation):
    """(coupling index or None for the source, time index) → metric → one value a replica."""
    found = defaultdict(list)

    def observe(seen):
        labels = task.y_source if seen.coupling_index is None else task.y_target
        shown = represent(seen.preactivation, labels, get_activation(activation))
        found[seen.coupling_index, seen.time_index].append(shown.metrics)

    flow.solve(
        task, activation=activation, source_strength=1.0, target_strength=1.0, elastic_coupling=COUPLINGS,
        weight_decay=0.05, source_time=5.0, target_times=TIMES, particles=1024, replicas=6, observe=observe,
    )  # fmt: skip
    return found


def by_networks(task, activation):
    found = defaultdict(list)
    phi = get_activation(activation)
    shared = {"activation": activation, "weight_decay": 0.05, "seeds": SEEDS}
    source = gradient_flow.train_source(
        task.x_source, task.y_source, source_strength=1.0, time=5.0, width=2000, **shared
    )
    for hidden in source.hidden:
        inputs = torch.tensor(task.x_source) / np.sqrt(task.dimension)
        found[None, None].append(represent(hidden @ inputs.T, task.y_source, phi).metrics)
    gradient_flow.train_target(
        source, task.x_target, task.y_target, task.x_test, times=TIMES,
        points=[TargetPoint(coupling, 1.0, "source", "source") for coupling in COUPLINGS],
        observe=lambda seen: found[seen.coupling_index, seen.time_index].append(
            represent(seen.preactivation, task.y_target, phi).metrics
        ), **shared,
    )  # fmt: skip
    return found


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_alignment_and_preactivations_agree(activation):
    task = hermite(
        dimension=10, source_degree=1, target_degree=1, overlap=0.5, n_source=30, n_target=20, n_test=5, seed=3
    )
    theory, networks = by_theory(task, activation), by_networks(task, activation)
    assert set(theory) == set(networks) == {(None, None)} | {(g, t) for g in range(3) for t in range(2)}
    for key, replicas in theory.items():
        for metric in replicas[0]:
            samples = [np.array([one[metric] for one in side[key]]) for side in (theory, networks)]
            assert all(len(sample) == 6 for sample in samples)
            error = np.sqrt(sum(sample.var(ddof=1) / len(sample) for sample in samples))
            gap = abs(samples[0].mean() - samples[1].mean())
            assert gap < 4 * error + 0.01, (key, metric, gap, error)
    # the tie keeps the end near the start, and without it the kernel turns to the task
    ends = [np.mean([one["kernel_alignment"] for one in theory[g, 1]]) for g in range(3)]
    starts = np.mean([one["kernel_alignment"] for one in theory[2, 0]])
    assert ends[2] == pytest.approx(starts)
    assert ends[0] > ends[1] > ends[2]


def test_the_linear_theory_has_nothing_to_show():
    task = hermite(dimension=5, source_degree=1, target_degree=1, n_source=4, n_target=4, n_test=2, seed=0)
    with pytest.raises(ValueError, match="observe"):
        flow.solve(
            task, activation="linear", source_strength=1.0, target_strength=1.0, elastic_coupling=0, weight_decay=0.1,
            source_time=1.0, target_times=[1.0], observe=lambda *_: None,
        )  # fmt: skip


def test_a_source_is_trained_once_for_all_that_start_from_it():
    task = hermite(dimension=5, source_degree=1, target_degree=1, n_source=6, n_target=4, n_test=2, seed=0)
    sources: dict = {}
    shared = {"activation": "relu", "source_strength": 1.0, "elastic_coupling": 1.0, "weight_decay": 0.1}
    shared |= {"source_time": 1.0, "target_times": [1.0], "particles": 64, "replicas": 2}
    for strength in (0.5, 1.0):
        kept = flow.solve(task, target_strength=strength, sources=sources, **shared)
        assert kept.test_loss == flow.solve(task, target_strength=strength, **shared).test_loss
    assert len(sources) == 1
    flow.solve(task, target_strength=1.0, sources=sources, **shared | {"source_time": 2.0})
    assert len(sources) == 2
