"""The studies of forgetting and of failures: rows are what theory and networks answer."""

import math

import numpy as np
import pytest
import torch

from infwidth.io.tables import make_table, select
from infwidth.networks import forgetting as networks
from infwidth.numerics.checks import InputError
from infwidth.studies import failure_signatures, forgetting
from infwidth.theory import forgetting as theory

SMALL = {"dimension": 8, "n_source": 12, "n_target": 6, "n_test": 40, "target_strength": [0.3, 1.0], "width": 40}
SMALL |= {"elastic_couplings": [0, 2], "source_time": 2.0, "target_time": 2.0}


def table(**settings):
    return make_table({"experiment": "e", "seed": 0, **row} for row in forgetting.run(seed=1, **(SMALL | settings)))


def test_rows():
    found = table(network_seeds=2)
    assert len(found) == 2 * 2 * (1 + 2 * 2 * 2)
    assert set(found["kind"]) == {"theory", "network"}
    assert (select(found, kind="theory")["stderr"] == 0).all()
    assert (select(found, kind="network")["stderr"] > 0).any()
    before = select(found, metric="source_test_loss", kind="theory", target_strength=1)["value"].item()
    start = select(found, metric="source_loss_old_readout", kind="theory", time=0, target_strength=1)
    assert start["value"].to_numpy() == pytest.approx(before)
    assert len(table(width=0)) == 2 * (1 + 2 * 2 * 2)


def test_numbers_are_the_theorys():
    found = table(width=0, readout="continued")
    sizes = {"dimension": 8, "n_source": 12, "n_target": 6, "n_test": 40, "seed": 1, "source_degree": 1}
    task = forgetting.hermite(target_degree=1, overlap=0.3, **sizes)
    back = forgetting.hermite(target_degree=1, overlap=1.0, **sizes)
    expected = theory.solve(
        task, back.x_test, back.y_test, activation="linear", source_strength=0.3, target_strength=1.0,
        elastic_coupling=[0, 2], weight_decay=0.02, refit_decay=0.02, source_time=2.0, target_times=[0.0, 2.0],
        readout="continued",
    )  # fmt: skip
    for name, metric in forgetting.METRICS.items():
        row = select(found, metric=metric, target_strength=1.0, elastic_coupling=2, time=2.0)
        assert row["value"].item() == pytest.approx(getattr(expected, name)[1, 1])


@pytest.mark.parametrize("decay", [100.0, 1e6, 1e12])
def test_where_decay_takes_all_features_nothing_is_left_to_refit(decay):
    found = table(weight_decay=decay)
    late = select(found, metric="source_loss_refitted", time=2.0)
    assert set(late["status"]) == {"converged"}
    theory_, network = (select(late, kind=kind)["value"].to_numpy() for kind in ("theory", "network"))
    np.testing.assert_allclose(network, theory_, rtol=1e-6)


@pytest.mark.parametrize("decay", [1e-12, 1e-16, 1e-200])
def test_a_refit_nearly_without_decay_is_least_squares(decay):
    sizes = {"dimension": 6, "n_source": 30, "n_target": 8, "n_test": 50, "seed": 1, "noise": 0.5, "source_degree": 1}
    task, back = (forgetting.hermite(target_degree=1, overlap=overlap, **sizes) for overlap in (0.5, 1.0))
    settings = {
        "activation": "linear", "source_strength": 0.5, "target_strength": 0.5, "elastic_coupling": [1.0],
        "weight_decay": 0.1, "refit_decay": decay, "source_time": 1.0, "target_times": [1.0],
    }  # fmt: skip
    best = np.linalg.lstsq(task.x_source, task.y_source, rcond=None)[0]
    expected = np.mean((back.x_test @ best - back.y_test) ** 2)
    assert theory.solve(task, back.x_test, back.y_test, **settings).refitted.item() == pytest.approx(expected, rel=1e-6)
    for dtype, close in ((torch.float64, 1e-6), (torch.float32, 1e-5)):
        found = networks.run(task, back.x_test, back.y_test, **settings, width=32, dtype=dtype)
        assert found.refitted.item() == pytest.approx(expected, rel=close)


def test_particles_have_errors():
    found = table(activation="relu", target_degree=2, width=0, particles=64, target_strength=[0.3])
    assert (select(found, metric="source_loss_old_readout", kind="theory", time=2)["stderr"] > 0).all()


@pytest.mark.parametrize(
    ("changes", "match"), [({"width": -1}, "width = -1"), ({"elastic_couplings": [math.inf]}, "elastic_coupling = inf")]
)
def test_bad_settings(changes, match):
    with pytest.raises(InputError, match=match):
        table(**changes)


def test_failures(monkeypatch):
    monkeypatch.setattr(failure_signatures, "WIDTHS", {"case": 8, "control": 16})
    monkeypatch.setattr(failure_signatures, "NETWORKS", {"case": 2, "control": 2})
    rows = failure_signatures.run(seed=0, target_strength=[1.0, 300.0])
    found = make_table({"experiment": "e", "seed": 0, **row} for row in rows)
    said = select(found, metric="diagnosed")
    assert len(said) == 2 * 3 + 2
    unstable = said[said["target_strength"].notna()].sort_values("target_strength")
    assert unstable["value"].tolist() == [0.0, 1.0]


def test_sources_are_trained_once_for_all_target_strengths(monkeypatch):
    """And what comes out is what each strength gives by itself."""
    trained, train = [], networks.train_source
    monkeypatch.setattr(networks, "train_source", lambda *given, **more: trained.append(1) or train(*given, **more))
    together = table(network_seeds=2)
    assert len(trained) == 1
    apart = [table(network_seeds=2, target_strength=[strength]) for strength in SMALL["target_strength"]]
    assert together["value"].tolist() == [value for one in apart for value in one["value"]]
