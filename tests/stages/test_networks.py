"""The stages of networks: what becomes of failed sources, missing devices, and several networks a data set."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from infwidth.io.atomic import read_arrays, write_arrays
from infwidth.io.tables import read_table, select
from infwidth.plan.config import resolve_config
from infwidth.plan.transfer import Plan, as_argument
from infwidth.stages import data, source, target
from infwidth.stages.parts.batch import over_replicas, repeated


def run(stage, params, inputs, outputs):
    options = [f"--params={params if isinstance(params, str) else json.dumps(params)}"]
    options += [f"--input={name}={path}" for name, path in inputs.items()]
    return CliRunner().invoke(stage, options + [f"--output={name}={path}" for name, path in outputs.items()])


@pytest.fixture
def study(small_config, tmp_path):
    """A plan of two data sets with two networks each, and its data and sources on disk."""
    settings = small_config["experiments"]["lin"]
    settings |= {"data_seeds": 2, "network_seeds": 2, "controls": ["scratch"]}
    plan = Plan(resolve_config(small_config))
    (cell,) = plan.source_data_cells("lin")
    made = run(
        data.main, as_argument(plan.data_parameters("lin", cell, "source")), {}, {"data": tmp_path / "source.npz"}
    )
    assert made.exit_code == 0, made.output
    cell = list(plan.target_data_cells("lin"))[1]
    made = run(
        data.main, as_argument(plan.data_parameters("lin", cell, "target")), {}, {"data": tmp_path / "target.npz"}
    )
    assert made.exit_code == 0, made.output
    return plan, tmp_path


def train_source(study, **changes):
    plan, folder = study
    (cell,) = plan.source_cells("lin")
    params = json.loads(as_argument(plan.source_parameters("lin", cell))) | changes
    return run(source.main, params, {"data": folder / "source.npz"}, {"networks": folder / "networks.npz"})


def train_target(study):
    plan, folder = study
    params = plan.network_parameters("lin", list(plan.network_cells("lin"))[1])
    inputs = {"data": folder / "target.npz", "networks": folder / "networks.npz"}
    done = run(
        target.main, as_argument(params), inputs, {"table": folder / "table.csv", "arrays": folder / "table.npz"}
    )
    assert done.exit_code == 0, done.output
    return read_table(folder / "table.csv")


def test_rows_are_means_over_networks_with_their_error(study):
    assert train_source(study).exit_code == 0
    table = train_target(study)
    assert set(table["seed"]) == {0, 1}
    assert set(table["overlap"]) == {0.5}
    last = select(table, time=1.0, metric="test_loss", condition="transfer")
    assert (last["stderr"] > 0).all()
    assert (last["status"] == "converged").all()
    assert select(table, condition="scratch")["elastic_coupling"].isna().all()


def test_a_target_is_no_better_than_its_source(study):
    assert train_source(study).exit_code == 0
    path = study[1] / "networks.npz"
    write_arrays(path, read_arrays(path) | {"status": np.array(["converged", "unmixed", "converged", "converged"])})
    table = train_target(study)
    assert set(select(table, seed=0, condition="transfer")["status"]) == {"unmixed"}
    assert set(select(table, seed=1)["status"]) == {"converged"}
    assert set(select(table, condition="scratch")["status"]) == {"converged"}


def test_a_diverged_source_fails_naming_its_seed_and_strength(study):
    done = train_source(study, source_strength=1e200)
    assert done.exit_code == 1
    line = done.output.splitlines()[-1]  # after the log, which has no file here
    assert "source lin" in line
    assert "γ̄ = 1e+200" in line
    assert "reduce the feature-learning strength" in line


def test_a_missing_device_is_one_line(study, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    done = train_source(study, device="cuda")
    assert done.exit_code == 1
    assert "device = 'cuda': expected a CUDA device, found none; set device: auto or cpu" in done.output


def test_replicas_are_innermost():
    params = {"network_seeds": {"0": [1, 2], "1": [3, 4]}}
    (doubled,) = repeated(params, np.array([10.0, 20.0]))
    assert doubled.tolist() == [10, 10, 20, 20]
    mean, error = over_replicas(params, np.array([1.0, 3.0, 5.0, 5.0]))
    assert mean.tolist() == [2, 5]
    assert error.tolist() == [1, 0]
    single = {"network_seeds": {"0": [1], "1": [3]}}
    assert np.isnan(over_replicas(single, np.array([1.0, 2.0]))[1]).all()
