"""The theory's stage: each row has the status of what it is about."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from infwidth.io.atomic import write_arrays
from infwidth.io.tables import read_table, select
from infwidth.numerics.observed import Observed
from infwidth.numerics.status import Status
from infwidth.stages import theory
from infwidth.tasks import linear
from infwidth.theory import bayes, flow

P1, P2, PT = 6, 4, 5
COUPLINGS = [0.0, 1.0, 10.0]


def solver(statuses, source):
    """A stand-in for the flow's door: it shows a source and targets, and ends with these statuses."""

    def solve(task, *, elastic_coupling, observe, observe_coarser, sources, start, **_):
        rng = np.random.default_rng(0)
        if start != "scratch":
            sources["a source"] = SimpleNamespace(status=source)
            observe(Observed(0, None, None, torch.from_numpy(rng.normal(size=(20, P1)))))
        for i, _ in enumerate(elastic_coupling):
            for show, replica in ((observe, 1), (observe, 0), (observe_coarser, 0)):
                show(Observed(replica, i, 0, torch.from_numpy(rng.normal(size=(20, P2)))))
        count = len(elastic_coupling)
        return SimpleNamespace(
            times=np.array([1.0]),
            prediction=np.zeros((count, 1, PT)),
            train_loss=np.zeros((count, 1)),
            test_loss=np.zeros((count, 1)),
            status=statuses[:count],
            residual=np.zeros(count),
            stderr={"prediction": np.zeros((count, 1, PT))},
        )

    return solve


@pytest.fixture
def run(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    data = {"source": {"x_source": rng.normal(size=(1, P1, 3)), "y_source": np.sign(rng.normal(size=(1, P1)))}}
    data["target"] = {
        **{"x_target": rng.normal(size=(1, P2, 3)), "y_target": np.array([[1.0, -1, 1, -1]])},
        **{"x_test": rng.normal(size=(1, PT, 3)), "y_test": np.array([[1.0, -1, 1, -1, 1]])},
        **{"seeds": np.array([0]), "label": "d"},
    }
    for name, arrays in data.items():
        write_arrays(tmp_path / f"{name}.npz", arrays)
    params = {
        **{
            "experiment": "e",
            "training": "flow",
            "activation": "relu",
            "representation": True,
            "controls": ["scratch"],
        },
        **{"axes": {"source_strength": 1.0}, "target_strength": [0.5], "elastic_coupling": COUPLINGS},
        **{"settings": {"target_times": [1.0]}, "particle_seeds": {"0": 3}},
    }

    def go(statuses, source):
        monkeypatch.setattr("infwidth.theory.flow.solve", solver(statuses, source))
        options = [f"--params={json.dumps(params)}"]
        options += [f"--input={name}={tmp_path / name}.npz" for name in data]
        options += [f"--output=table={tmp_path / 't.csv'}", f"--output=arrays={tmp_path / 't.npz'}"]
        done = CliRunner().invoke(theory.main, options)
        assert done.exit_code == 0, done.output
        return read_table(tmp_path / "t.csv")

    return go


FINE, STALLED, DIVERGED = Status.CONVERGED, Status.STALLED, Status.DIVERGED


@pytest.mark.parametrize(
    ("statuses", "source", "expected"),
    [
        ([FINE, FINE, DIVERGED], [FINE, FINE], "converged"),  # the last δ says nothing about the source
        ([FINE, STALLED, STALLED], [FINE], "converged"),
        ([STALLED, STALLED, STALLED], [FINE, STALLED], "stalled"),
        ([DIVERGED, DIVERGED, FINE], [DIVERGED], "diverged"),
    ],
)
def test_rows_of_the_source_have_its_own_status(run, statuses, source, expected):
    table = run(statuses, source)
    assert set(select(table, condition="source")["status"]) == {expected}
    for coupling, status in zip(COUPLINGS, statuses, strict=True):
        rows = select(table, condition="transfer", elastic_coupling=coupling)
        assert set(rows["status"]) == {status.value}


def test_a_posteriors_source_is_no_worse_than_the_best_target_tied_to_it():
    def status(*ends):
        line = SimpleNamespace(elastic_couplings=COUPLINGS)
        return theory._source_status(SimpleNamespace(status=ends), line, {})

    assert status(Status.UNMIXED, FINE, Status.UNMIXED) is FINE
    assert status(FINE, Status.UNMIXED, Status.UNMIXED) is Status.UNMIXED  # δ = 0 is tied to no source


class TestFiniteWidth:
    """A linear network's rows say what its losses gain at finite width; nobody else's do."""

    def rows(self, tmp_path, training, **settings):
        task = linear(dimension=6, overlap=0.5, n_source=12, n_target=5, n_test=20, seed=0)
        write_arrays(tmp_path / "source.npz", {"x_source": task.x_source[None], "y_source": task.y_source[None]})
        names = ("x_target", "y_target", "x_test", "y_test")
        target = {name: getattr(task, name)[None] for name in names} | {"seeds": np.array([0]), "label": task.label}
        write_arrays(tmp_path / "target.npz", target)
        params = {
            "experiment": "e",
            "training": training,
            "activation": "linear",
            "representation": False,
            "controls": [],
        }
        params |= {"axes": {"source_strength": 1.0}, "target_strength": [0.5], "elastic_coupling": [0.0, 3.0]}
        params |= {"settings": settings, "particle_seeds": {"0": 3}}
        options = [f"--params={json.dumps(params)}"]
        options += [f"--input={name}={tmp_path / name}.npz" for name in ("source", "target")]
        options += [f"--output=table={tmp_path / 't.csv'}", f"--output=arrays={tmp_path / 't.npz'}"]
        done = CliRunner().invoke(theory.main, options)
        assert done.exit_code == 0, done.output
        return task, read_table(tmp_path / "t.csv")

    def test_of_a_posterior(self, tmp_path):
        task, table = self.rows(tmp_path, "bayes", inverse_temperature=20.0)
        shared = {"activation": "linear", "source_strength": 1.0, "target_strength": 0.5, "inverse_temperature": 20.0}
        solution = bayes.solve(task, elastic_coupling=[0.0, 3.0], **shared)
        found = solution.finite_width
        expected = {
            "sampled_test_loss": solution.test_loss,
            "sampled_test_loss_deviation": found.total,
            "test_loss_deviation": found.mean + found.source,
            **{f"{name}_deviation": getattr(found, name) for name in ("mean", "thermal", "source")},
        }
        for metric, values in expected.items():
            rows = select(table, metric=metric).sort_values("elastic_coupling")
            np.testing.assert_allclose(rows["value"], values, rtol=1e-12)
            assert set(rows["stderr"]) == {0.0}

    def test_of_a_flow(self, tmp_path):
        settings = {"weight_decay": 0.1, "source_weight_decay": 0.1, "source_time": 1.0, "target_times": [0.0, 1.0]}
        task, table = self.rows(tmp_path, "flow", **settings)
        shared = {"activation": "linear", "source_strength": 1.0, "target_strength": 0.5}
        solution = flow.solve(task, elastic_coupling=[0.0, 3.0], **shared, **settings)
        found = solution.finite_width
        expected = {
            "test_loss_deviation": (found.total, found.stderr["total"]),
            "train_loss_deviation": (solution.train_finite_width.total, solution.train_finite_width.stderr["total"]),
            "test_loss_spread": (found.spread, found.stderr["spread"]),
            **{
                f"{name}_deviation": (getattr(found, name), found.stderr[name])
                for name in ("mean", "thermal", "source")
            },
        }
        for metric, (values, errors) in expected.items():
            rows = select(table, metric=metric).sort_values(["elastic_coupling", "time"])
            np.testing.assert_allclose(rows["value"], values.ravel(), rtol=1e-12)
            np.testing.assert_allclose(rows["stderr"], errors.ravel(), rtol=1e-12)
        assert not table["metric"].str.contains("sampled").any()
