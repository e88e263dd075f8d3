"""Which frozen features a readout uses: more of those along the target when wide, never as many as training makes."""

import math

import pytest
import torch

from infwidth.adam_ntk.random_features import draw_hidden, features
from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies.selection import aligned_share, run
from infwidth.studies.teacher_training import neuron_task, train_features

SMALL = {"dimensions": [4], "samples": 60, "test_samples": 50, "widths": [8, 64], "trained_widths": [16],
         "steps": 20, "trained_steps": 20, "trained_batch": 20, "sampled_features": 64}  # fmt: skip


def table(**settings):
    return make_table({"experiment": "e", "seed": 0, **row} for row in run(seed=0, **(SMALL | settings)))


def test_wide_frozen_features_select_less_than_training_and_less_in_more_dimensions():
    found = table(dimensions=[6, 12], samples=400, test_samples=400, widths=[32, 1024], trained_widths=[64],
                  optimisers=["adam_star"], steps=200, trained_steps=400, trained_batch=100,
                  sampled_features=2048)  # fmt: skip
    for metric in ("aligned_mass", "aligned_norm"):
        mass = select(found, metric=metric)
        for d in (6, 12):
            own = select(mass, dimension=d)
            frozen = select(own, condition="frozen", kind="network")
            narrow, wide = (select(frozen, width=width)["value"].item() for width in (32, 1024))
            trained = select(own, optimiser="trained_features")["value"].item()
            limit = select(own, kind="theory")
            assert 1 / d < narrow < wide < trained
            assert trained > 0.8
            assert wide == pytest.approx(limit["value"].item(), rel=0.2)
            assert 0 < limit["stderr"].item() < 0.1 * limit["value"].item()
        wide = select(mass, condition="frozen", width=1024).set_index("dimension")["value"]
        assert wide[12] < 0.75 * wide[6]
    losses = select(found, metric="test_loss", dimension=12)
    frozen, trained = (select(losses, condition=kind)["value"].min() for kind in ("frozen", "trained"))
    assert trained < 0.1 * frozen < 0.1
    assert select(found, metric="uniform_mass").set_index("dimension")["value"].to_dict() == {6: 1 / 6, 12: 1 / 12}


def test_aligned_share_of_known_readouts():
    u = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    hidden = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-3.0, 0.0, 4.0]], dtype=torch.float64)
    weight = torch.tensor([1.0, -2.0, 0.2], dtype=torch.float64)  # masses 2, 2, 1; cos² 1, 0, 0.36
    assert aligned_share(hidden, weight, u, 1).item() == pytest.approx((2 + 0.36) / 5)
    assert aligned_share(hidden, weight, u, 2).item() == pytest.approx((4 + 0.36) / 9)
    many = draw_hidden(40_000, 3, seed=0).double()
    for power in (1, 2):
        assert aligned_share(many, torch.ones(40_000, dtype=torch.float64), u, power).item() == pytest.approx(
            1 / 3, abs=0.01
        )


def test_teacher_and_trained_features():
    task = neuron_task(5, samples=20_000, test_samples=10, seed=0)
    assert task.direction.norm().item() == pytest.approx(1)
    assert task.y.square().mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(task.y, 2**0.5 * (task.x @ task.direction).relu()[:, None])
    hidden, readout = train_features(task.x, task.y, width=32, learning_rate=0.1, steps=300, batch=100, seed=3)
    start = draw_hidden(32, 5, seed=3)
    assert hidden.shape == start.shape
    assert (hidden - start).norm() > 1
    found = features(task.x, hidden, "relu") @ readout.T / 32
    assert (found - task.y).square().mean() < 0.01


def test_rows():
    found = table()
    assert set(found["status"]) == {"converged"}
    assert set(found["dimension"]) == {4.0}
    assert len(select(found, kind="theory")) == 1 + 2 * 4  # 1/d; optimisers, metrics
    assert len(select(found, kind="network")) == (2 * 2 + 1) * 4
    assert select(found, kind="network", width=8, metric="test_loss")["stderr"].min() > 0  # several draws
    assert set(select(found, kind="network", width=64, metric="test_loss")["stderr"]) == {0.0}
    without_limit = table(optimisers=["adam"], learning_rates={"adam": 0.5, "trained_features": 0.1})
    assert set(select(without_limit, kind="theory")["metric"]) == {"uniform_mass"}


def test_diverged_trainings_are_rows():
    rates = {"adam_star": 1.0, "sgd": 1e30, "trained_features": 0.1}
    found = table(learning_rates=rates)
    assert set(select(found, optimiser="sgd", kind="network", metric="train_loss")["status"]) == {"diverged"}
    assert set(select(found, optimiser="adam_star")["status"]) == {"converged"}
    assert select(found, metric="uniform_mass")["width"].tolist() == [math.inf]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"dimensions": [1]}, "dimensions"),
        ({"widths": [0]}, r"widths\[0\] = 0"),
        ({"samples": 0}, "samples = 0"),
        ({"optimisers": ["sdg"]}, "did you mean 'sgd'"),
        ({"learning_rates": {"adam_star": 1.0, "sgd": 1.0}}, "none for 'trained_features'"),
        ({"sampled_features": 8}, "sampled_features = 8"),
    ],
)
def test_bad_settings(changes, match):
    with pytest.raises(InputError, match=match):
        run(seed=0, **(SMALL | changes))
