"""The stages of networks: what becomes of failed sources, missing devices, and several networks a data set."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from infwidth.analysis.representation import represent
from infwidth.io.atomic import read_arrays, write_arrays
from infwidth.io.tables import read_table, select
from infwidth.numerics.activations import get_activation
from infwidth.plan.config import resolve_config
from infwidth.plan.transfer import Plan, as_argument
from infwidth.stages import data, source, target, theory
from infwidth.stages.parts.batch import over_replicas, repeated


def run(stage, params, inputs, outputs):
    options = [f"--params={params if isinstance(params, str) else json.dumps(params)}"]
    options += [f"--input={name}={path}" for name, path in inputs.items()]
    return CliRunner().invoke(stage, options + [f"--output={name}={path}" for name, path in outputs.items()])


@pytest.fixture
def changes():
    """What a study has beyond two data sets and two networks each."""
    return {}


@pytest.fixture
def study(small_config, tmp_path, changes):
    """A plan of two data sets with two networks each, and its data and sources on disk."""
    settings = small_config["experiments"]["lin"]
    settings |= {"data_seeds": 2, "network_seeds": 2, "controls": ["scratch"]} | changes
    small_config["figures"] = {}
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
    inputs = {"data": folder / "target.npz", "networks": folder / "networks.npz", "source_data": folder / "source.npz"}
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


BAYES = {"inverse_temperature": 2, "burn_in_time": 30, "sampling_time": 20, "particles": 512}
FLOW = {"weight_decay": 0.1, "source_time": 1, "target_times": [0, 1], "particles": 64, "replicas": 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"flow": FLOW}, "activation": "relu", "representation": True, "width": 64},
        {"training": {"bayes": BAYES}, "activation": "erf", "representation": True, "width": 64, "controls": []},
    ],
    ids=["flow", "bayes"],
)
def test_representations_of_what_was_trained(study):
    """From the arrays of data and networks that stages hand each other, for networks and theory alike."""
    plan, folder = study
    assert train_source(study).exit_code == 0
    table, arrays = train_target(study), read_arrays(folder / "table.npz")
    rows = select(table, condition="source", metric="preactivation_std").set_index("seed")["value"]
    networks, origin = read_arrays(folder / "networks.npz"), read_arrays(folder / "source.npz")
    phi = get_activation(plan.config["experiments"]["lin"]["activation"])
    for seed in (0, 1):
        x, y = origin["x_source"][seed], origin["y_source"][seed]
        hidden = torch.tensor(networks["hidden"][2 * seed : 2 * seed + 2])
        expected = [represent(one @ torch.tensor(x).to(one).T / x.shape[1] ** 0.5, y, phi).metrics for one in hidden]
        assert rows[seed] == pytest.approx(np.mean([found["preactivation_std"] for found in expected]), rel=1e-5)
    params = plan.theory_parameters("lin", list(plan.theory_cells("lin"))[1])
    inputs, outputs = ({name: folder / f"{name}.npz" for name in ("source", "target")}, folder / "theory.csv")
    done = run(theory.main, as_argument(params), inputs, {"table": outputs, "arrays": folder / "theory.npz"})
    assert done.exit_code == 0, done.output
    solved, drawn = read_table(outputs), read_arrays(folder / "theory.npz")
    for metric in ("kernel_alignment", "preactivation_variance"):
        for condition in ("source", "transfer"):
            ours, theirs = (select(one, metric=metric, condition=condition)["value"] for one in (table, solved))
            assert len(ours) == len(theirs) > 0
            assert np.isfinite([*ours, *theirs]).all()
            assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.25)  # 64 neurons
    assert arrays["kernel"].shape[1:] == drawn["kernel"].shape[1:] == (32, 32)
    assert set(arrays["condition"]) == set(drawn["condition"]) >= {"source", "transfer"}


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
