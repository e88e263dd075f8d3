"""A user's arrays of several classes through the stages: networks and theory of as many outputs."""

import numpy as np
import pytest

from infwidth.io.atomic import read_arrays
from infwidth.io.tables import read_table, select
from infwidth.numerics.losses import class_error
from infwidth.plan.config import resolve_config
from infwidth.plan.transfer import Plan, as_argument
from infwidth.stages import data, source, target, theory
from infwidth.tasks import TransferTask
from infwidth.theory import bayes

from .test_networks import run

BAYES = {"inverse_temperature": 4, "burn_in_time": 10, "sampling_time": 40, "particles": 512}
STRENGTHS = {"source_strength": 0.4, "target_strength": 0.4}


def write_classes(folder, counts, sizes):
    """Files of as many classes each, by the largest of linear functions; the paths."""
    rng = np.random.default_rng(0)
    paths = {}
    for part, count in counts.items():
        teachers = np.random.default_rng(part == "source").standard_normal((8, count))
        x = rng.standard_normal((sizes[part], 8))
        y = np.argmax(x @ teachers, 1)
        y[:count] = np.arange(count)
        paths[part] = str(folder / f"{part}.npz")
        np.savez(paths[part], x=x, y=np.array([f"class {i}" for i in range(count)])[y])
    return paths


@pytest.mark.parametrize(
    ("activation", "source_classes", "classes", "width"),
    [("linear", 5, 20, 400), ("erf", 2, 3, 200), ("linear", 4, 2, 400)],
)
def test_tables_of_networks_and_theory_agree(tmp_path, activation, source_classes, classes, width):
    files = write_classes(
        tmp_path,
        {"source": source_classes, "target": classes, "test": classes},
        {"source": 100, "target": 100, "test": 300},
    )
    experiment = {
        "task": {"arrays": {**files, "n_source": 40, "n_target": 30}},
        "training": {"bayes": BAYES},
        "activation": activation,
        **STRENGTHS,
        "elastic_coupling": [0, 5],
        "width": width,
        "data_seeds": 2,
        "network_seeds": 4,
        "representation": activation != "linear",
    }
    plan = Plan(resolve_config({"preset": "p", "experiments": {"own": experiment}, "figures": {}}))
    place = {
        name: tmp_path / f"drawn_{name}" for name in ("source.npz", "target.npz", "networks.npz", "t.csv", "th.csv")
    }
    (cell,) = plan.source_data_cells("own")
    jobs = [
        (data.main, plan.data_parameters("own", cell, "source"), {}, {"data": place["source.npz"]}),
        (data.main, plan.data_parameters("own", *plan.target_data_cells("own"), "target"), {},
         {"data": place["target.npz"]}),
        (source.main, plan.source_parameters("own", *plan.source_cells("own")), {"data": place["source.npz"]},
         {"networks": place["networks.npz"]}),
        (target.main, plan.network_parameters("own", *plan.network_cells("own")),
         {"data": place["target.npz"], "networks": place["networks.npz"], "source_data": place["source.npz"]},
         {"table": place["t.csv"], "arrays": tmp_path / "t.npz"}),
        (theory.main, plan.theory_parameters("own", *plan.theory_cells("own")),
         {"source": place["source.npz"], "target": place["target.npz"]},
         {"table": place["th.csv"], "arrays": tmp_path / "th.npz"}),
    ]  # fmt: skip
    for stage, params, inputs, outputs in jobs:
        done = run(stage, as_argument(params), inputs, outputs)
        assert done.exit_code == 0, done.output
    drawn = read_arrays(place["source.npz"]), read_arrays(place["target.npz"])
    assert drawn[1]["y_target"].shape == ((2, 30, classes) if classes > 2 else (2, 30))
    networks, solved = read_table(place["t.csv"]), read_table(place["th.csv"])
    names = ("x_target", "y_target", "x_test", "y_test")
    for seed in (0, 1):
        task = TransferTask(*(drawn[0][name][seed] for name in ("x_source", "y_source")),
                            *(drawn[1][name][seed] for name in names))  # fmt: skip
        for coupling in (0.0, 5.0):
            there = {"seed": seed, "elastic_coupling": coupling}
            for metric in ("test_loss", "test_error", "train_loss"):
                ours, theirs = (select(one, metric=metric, **there) for one in (solved, networks))
                assert len(ours) == len(theirs) == 1
                error = 4 * np.hypot(theirs["stderr"].item(), np.nan_to_num(ours["stderr"].item()))
                # and the next orders: finite width, and few network seeds to know the error by
                scale = 0.1 if metric != "test_error" else 0.0
                assert abs(ours["value"].item() - theirs["value"].item()) < error + scale * ours["value"].item() + 0.02
            assert len(select(networks, metric="sampled_test_loss", **there)) == 1
        if activation == "linear":
            found = bayes.solve(task, activation="linear", elastic_coupling=5.0, inverse_temperature=4.0, **STRENGTHS)
            rows = select(solved, seed=seed, elastic_coupling=5.0).set_index("metric")["value"]
            assert rows["test_loss"] == pytest.approx(found.test_loss)
            assert rows["test_error"] == pytest.approx(class_error(found.prediction, task.y_test))
    if activation != "linear":
        for one in (networks, solved):
            aligned = select(one, metric="centred_kernel_alignment", condition="transfer")["value"]
            assert len(aligned) == 4
            assert ((aligned > 0) & (aligned < 1)).all()
