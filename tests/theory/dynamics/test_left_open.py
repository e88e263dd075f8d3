"""What the integrator's tolerance leaves open is in the standard error: against far smaller steps on the same draws."""

import math

import numpy as np
import pytest

from infwidth.tasks import hermite
from infwidth.theory import flow, forgetting
from infwidth.theory.dynamics import solve as dynamics

NAMES = ("prediction", "train_loss", "test_loss", "kernel")
SETTINGS = {"source_strength": 0.3, "weight_decay": 0.05, "source_time": 6.0, "target_times": [0.5, 3.0, 10.0]}
SETTINGS |= {"particles": 64, "replicas": 2, "elastic_coupling": [0.0, 3.0, 50.0, math.inf]}
SMALLER = {"relu": 1e-3, "erf": 3e-4, "tanh": 3e-4}


def draw(seed):
    degrees = [(1, 2), (2, 1), (3, 2), (1, 3)][seed % 4]
    return hermite(
        dimension=(8, 25)[seed % 2], source_degree=degrees[0], target_degree=degrees[1], overlap=1.0,
        n_source=30, n_target=20, n_test=60, seed=seed,
    )  # fmt: skip


def solve(seed=0, **changes):
    return flow.solve(draw(seed), seed=seed, **{"activation": "relu", "target_strength": 0.3, **SETTINGS, **changes})


@pytest.fixture
def without_sampling(monkeypatch):
    """Replicas scatter by nothing, so that all of a standard error is the integrator's."""

    def exact(measure):
        def measured(*given):
            value, error = measure(*given)
            return value, np.zeros_like(error)

        return measured

    for name in ("average", "average_loss"):
        monkeypatch.setattr(dynamics, name, exact(getattr(dynamics, name)))


def shares(found, exact, names=NAMES):
    """How many reported errors each number is off; those that are 0 in either are known exactly."""
    for name in names:
        error, reported = np.abs(getattr(found, name) - getattr(exact, name)), np.asarray(found.stderr[name])
        known = (error < 1e-12) & (reported < 1e-12)
        yield name, (error[~known] / reported[~known]).ravel()


def test_errors_are_within_two_of_those_reported(without_sampling):
    found = {activation: {name: [] for name in NAMES} for activation in SMALLER}
    for place, activation in enumerate(SMALLER):
        for seed in range(10 * place, 10 * place + 7):
            options = {"activation": activation, "target_strength": (0.1, 0.3, 0.6)[seed % 3]}
            pair = solve(seed, **options), solve(seed, rtol=SMALLER[activation], **options)
            for name, share in shares(*pair):
                found[activation][name].append(share)
    for activation, several in found.items():
        for name, parts in several.items():
            share = np.concatenate(parts)
            assert (share < 2).mean() >= 0.9, (activation, name)
            assert np.median(share) > 0.1, (activation, name)  # nor is it out of proportion


def test_what_the_target_leaves_of_the_source(without_sampling):
    found = []
    for seed in range(6):
        task, back = draw(seed), draw(seed + 40)
        settings = SETTINGS | {"activation": "relu", "target_strength": 0.3, "elastic_coupling": [0.0, 3.0]}
        pair = [
            forgetting.solve(task, back.x_test, back.y_test, **settings, seed=seed, rtol=rtol) for rtol in (1e-2, 1e-3)
        ]
        found += [share for _, share in shares(*pair, ("old_readout", "refitted", "before"))]
    assert (np.concatenate(found) < 2).mean() >= 0.9


def test_it_falls_with_the_tolerance_and_vanishes_where_nothing_is_integrated(without_sampling):
    loose, tight = solve(), solve(rtol=1e-4)
    for name in NAMES:
        assert np.linalg.norm(tight.stderr[name]) < 0.2 * np.linalg.norm(loose.stderr[name])
    frozen = solve(source_time=0.0, elastic_coupling=math.inf)
    assert all((error == 0).all() for error in frozen.stderr.values())


def test_values_and_the_scatter_of_replicas_are_what_they_were(monkeypatch):
    whole = solve()
    monkeypatch.setattr(dynamics, "left_open", lambda found, *_, axes: np.zeros_like(found))
    monkeypatch.setattr(dynamics, "left_open_in_loss", lambda found, *_: np.zeros(found.shape[:-1]))
    alone = solve()
    for name in NAMES:
        np.testing.assert_array_equal(getattr(whole, name), getattr(alone, name))
        assert (whole.stderr[name] >= alone.stderr[name]).all()
        assert (whole.stderr[name] > alone.stderr[name]).any()


def test_observers_of_the_coarser_tolerance_see_the_first_replica_alone():
    seen: list = []
    solve(observe_coarser=seen.append)
    assert {(one.replica, one.coupling_index) for one in seen} == {(0, g) for g in (None, 0, 1, 2, 3)}
    seen.clear()
    alone = solve(observe_coarser=seen.append, replicas=1)
    assert not seen
    assert all(np.isnan(error).all() for error in alone.stderr.values())
    with pytest.raises(ValueError, match="observe"):
        solve(activation="linear", observe_coarser=seen.append)
