"""The ablation of optimisers on image classifiers: its parts, its tuning, and what comes out on digits."""

import math
import os

import pytest
import torch

from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies.architecture import run
from infwidth.studies.classifiers import Classifiers, Readouts

SMALL = {"samples": 40, "validation_samples": 20, "test_samples": 20, "width": 8, "batch": 10, "steps": 4,
         "rates": [0.3, 1.0]}  # fmt: skip


def table(**settings):
    return make_table({"experiment": "e", "seed": 0, **row} for row in run(seed=0, **(SMALL | settings)))


class TestClassifiers:
    def test_cnn_feeds_the_block_inputs_of_unit_scale(self):
        sizes = []

        def make_block(inputs):
            sizes.append(inputs)
            return torch.nn.Linear(inputs, 3)

        model = Classifiers("cnn", (3, 9, 7), make_block, count=2, seed=0)
        x = torch.randn(4, 3 * 9 * 7)
        assert model(x).shape == (2, 4, 3)
        assert sizes == [64]
        torch.testing.assert_close(model.backbone(x).square().mean(-1), torch.ones(2, 4), rtol=1e-3, atol=0)
        again = Classifiers("cnn", (3, 9, 7), make_block, count=2, seed=0)
        assert all(map(torch.equal, model.backbone.parameters(), again.backbone.parameters()))

    def test_convolutions_of_networks_are_each_its_own(self):
        """What grouped channels give is what torch's own layers give, network by network."""
        model = Classifiers("cnn", (3, 9, 7), torch.nn.Identity, count=3, seed=0)
        for weight in model.backbone.parameters():
            torch.nn.init.normal_(weight)
        x = torch.randn(5, 3 * 9 * 7)
        answers = model(x)
        for k in range(3):
            first, second = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 16, 3, padding=1)
            for layer, weight, bias in zip((first, second), model.backbone.weights, model.backbone.biases, strict=True):
                layer.weight.data = weight.detach().chunk(3)[k]
                layer.bias.data = bias.detach().chunk(3)[k]
            single = torch.nn.Sequential(
                torch.nn.Unflatten(1, (3, 9, 7)), first, torch.nn.ReLU(), torch.nn.MaxPool2d(2), second,
                torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(),
                torch.nn.LayerNorm(64, elementwise_affine=False),
            )  # fmt: skip
            torch.testing.assert_close(answers[k], single(x), rtol=1e-4, atol=1e-5)

    def test_mlp_is_the_block_alone(self):
        model = Classifiers("mlp", (1, 4, 4), lambda inputs: FrozenReadout(inputs, 3, width=5, seed=0), seed=0)
        x = torch.randn(2, 16)
        assert torch.equal(model(x), model.block(x)[None])
        with pytest.raises(InputError, match="did you mean 'mlp'"):
            Classifiers("mpl", (1, 4, 4), torch.nn.Identity, seed=0)

    @pytest.mark.parametrize("trained", [False, True])
    def test_blocks_side_by_side_are_frozen_readouts_of_that_start(self, trained):
        block = Readouts(4, 3, width=5, count=2, train_features=trained, seed=2)
        single = FrozenReadout(4, 3, width=5, bias=True, seed=2)
        x = torch.randn(2, 7, 4)
        for k in range(2):
            block.readouts[k].data = torch.randn(3, 5)
            single.readout.data = block.readouts[k].data
            torch.testing.assert_close(block(x)[k], single(x[k]))
            torch.testing.assert_close(block(x[:1])[k], single(x[0]))
        trainable = {name.partition(".")[0] for name, _ in block.named_parameters()}
        assert trainable == ({"readouts", "hidden"} if trained else {"readouts"})
        block(x)[0].sum().backward()
        assert torch.equal(block.readouts[1].grad, torch.zeros(3, 5))
        assert block.readouts[0].grad.any()


def test_digits_are_learned_and_unfrozen_features_are_best():
    found = table(samples=500, validation_samples=200, test_samples=300, width=128, batch=32, steps=80,
                  optimisers=["unfrozen_adam", "frozen_adam", "adam_star", "sgd"])  # fmt: skip
    errors = select(found, metric="test_error")
    assert (errors["value"] < 0.2).all()
    losses = select(found, metric="test_loss").set_index(["condition", "kind", "optimiser"])["value"]
    for architecture in ("mlp", "cnn"):
        own = losses[architecture]["network"]
        assert own.idxmin() == "unfrozen_adam"
        assert own["adam_star"] < 1.5 * own["frozen_adam"]
        # the infinite width is a model of its own, not a copy
        assert losses[architecture]["theory"]["adam_star"] == pytest.approx(own["adam_star"], rel=0.5)


def test_the_rate_of_least_validation_loss_is_chosen():
    found = table(rates=[0.1, 1.0, 1e4], optimisers=["sgd", "adam_star"], learning_rates={"sgd": 3.0, "adam_star": 1.0})
    assert len(select(found, metric="sweep_loss")) == 2 * 2 * 3
    for (_, optimiser), rows in select(found, kind="network").groupby(["condition", "optimiser"]):
        sweep = select(rows, metric="sweep_loss").dropna(subset=["value"])
        best = sweep.loc[sweep["value"].idxmin(), "learning_rate"]
        final = rows[rows["metric"] != "sweep_loss"]
        assert set(final["metric"]) == {"test_loss", "test_error"}
        assert set(final["learning_rate"]) == {best}
        limit = select(found, kind="theory", optimiser=optimiser)
        assert (optimiser == "adam_star") == (not limit.empty)
        assert set(limit["width"]) <= {math.inf}


def test_rates_share_their_start_and_order():
    first, second = table(optimisers=["sgd"]), table(optimisers=["momentum", "sgd"], rates=[1.0])
    at = {"optimiser": "sgd", "learning_rate": 15.0, "metric": "sweep_loss"}
    assert select(first, **at)["value"].tolist() == select(second, **at)["value"].tolist()
    assert table(optimisers=["sgd"], infinite=False)["kind"].unique().tolist() == ["network"]


def test_diverged_trainings_are_rows_and_never_chosen():
    found = table(optimisers=["adam_star"], rates=[1e38, 1.0])
    sweep = select(found, metric="sweep_loss")
    assert set(sweep.loc[sweep["learning_rate"] > 1e38, "status"]) == {"diverged"}
    assert set(found.loc[found["metric"] != "sweep_loss", "learning_rate"]) == {1.5}
    lost = table(optimisers=["adam_star"], rates=[1e38])
    assert set(lost["status"]) == {"diverged"}
    assert lost["value"].isna().all()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"architectures": ["rnn"]}, r"architectures\[0\] = 'rnn'"),
        ({"optimisers": ["unfrozn"]}, "did you mean 'unfrozen_adam'"),
        ({"width": 0}, "width = 0"),
        ({"rates": []}, r"rates = \[\]: expected a list of factors"),
        ({"rates": [0.0]}, r"rates\[0\] = 0.0: expected a number > 0"),
        ({"samples": 1430}, "samples = 1450: expected ≤ 1442"),
        ({"steps": 0}, "steps = 0"),
        ({"weight_decay": -1}, "weight_decay = -1"),
    ],
)
def test_bad_settings(changes, match):
    with pytest.raises(InputError, match=match):
        run(seed=0, **(SMALL | changes))


@pytest.mark.skipif("INFWIDTH_TEST_IMAGES" not in os.environ, reason="INFWIDTH_TEST_IMAGES names no .npz")
def test_colour_images_are_learned():
    path = os.environ["INFWIDTH_TEST_IMAGES"]
    found = table(dataset="auto", dataset_path=path, samples=600, validation_samples=100, test_samples=200, width=64,
                  batch=32, steps=60, optimisers=["adam_star"], rates=[0.3])  # fmt: skip
    errors = select(found, metric="test_error")
    assert len(errors) == 4
    assert (errors["value"] < 0.85).all()  # chance is 0.9
