"""Readouts on features computed once: against the modules they stand for, and the kernel's own features."""

import math

import numpy as np
import pytest
import torch

from infwidth.adam_ntk.adam_star import OPTIMISERS, make_optimiser
from infwidth.adam_ntk.feature_kernels import feature_kernel
from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.adam_ntk.random_features import draw_hidden, features
from infwidth.numerics.checks import InputError
from infwidth.studies.images import draw_images
from infwidth.studies.readout_training import (
    check_counts,
    kernel_features,
    mean_loss,
    measured,
    minibatches,
    rate_of,
    read_out,
    train_dual,
    train_readout,
    training_loss,
)

SHARED = [name for name, options in OPTIMISERS.items() if options.get("sharing") != "none"]
X = torch.randn(12, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
Y = torch.nn.functional.one_hot((X[:, 0] > 0).long() + (X[:, 1] > 0).long(), 3).double()
BATCHES = minibatches(12, 5, 9, "tests")


def train(some, *, draws=1, width=16, optimiser="adam_star", loss="squared", **options):
    drawn = [draw_hidden(width, 5, seed=seed).double() for seed in range(draws)]
    seen = torch.stack([features(some, hidden, "relu") for hidden in drawn])
    return train_readout(
        seen if draws > 1 else seen[0], Y, batches=BATCHES, loss=loss, optimiser=optimiser, learning_rate=0.2, **options
    )


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("loss", ["squared", "cross_entropy"])
def test_is_the_frozen_block(optimiser, loss):
    block = FrozenReadout(5, 3, width=16, seed=1).double()
    moved = make_optimiser(optimiser, block.parameters(), 0.2)
    for rows in BATCHES:
        moved.zero_grad()
        training_loss(block(X[rows]), Y[rows], loss).backward()
        moved.step()
    found, _ = train(X, draws=2, optimiser=optimiser, loss=loss)
    torch.testing.assert_close(found[1], block.readout.detach())
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_steps_far_too_long_have_diverged_though_their_numbers_be_finite(optimiser):
    settings = {"batches": BATCHES, "loss": "squared", "optimiser": optimiser}
    seen = torch.stack([features(X, draw_hidden(16, 5, seed=seed).double(), "relu") for seed in range(2)])
    found, kept = train_readout(seen, Y, learning_rate=1e6, keep=(9,), **settings)
    assert found.isnan().all()
    assert kept[9].isnan().all()
    assert train_dual(X, Y, learning_rate=1e6, **settings)(X).isnan().all()
    sound, _ = train_readout(seen, Y, learning_rate=1e-3, **settings)
    assert sound.isfinite().all()
    assert train_dual(X, Y, learning_rate=1e-3, **settings)(X).isfinite().all()


def test_kept_steps_are_those_of_shorter_trainings():
    final, kept = train(X, keep=(4, 9))
    assert set(kept) == {4, 9}
    assert torch.equal(kept[9], final)
    seen = features(X, draw_hidden(16, 5, seed=0).double(), "relu")
    short, _ = train_readout(seen, Y, batches=BATCHES[:4], loss="squared", optimiser="adam_star", learning_rate=0.2)
    assert torch.equal(kept[4], short)


def test_losses_are_torchs():
    logits = X[:, :3]
    expected = torch.nn.functional.cross_entropy(logits, Y.argmax(1))
    torch.testing.assert_close(mean_loss(logits, Y, "cross_entropy"), expected)
    torch.testing.assert_close(training_loss(logits, Y, "cross_entropy"), expected)
    squares = torch.nn.functional.mse_loss(logits, Y, reduction="sum") / 12
    torch.testing.assert_close(mean_loss(logits, Y, "squared"), squares)
    torch.testing.assert_close(training_loss(logits, Y, "squared"), squares / 2)


@pytest.mark.parametrize("optimiser", SHARED)
def test_the_kernels_own_features_train_as_the_dual_does(optimiser):
    far = X.flip(1)
    seen, shown, back = kernel_features(*(feature_kernel(x, X, activation="relu") for x in (X, far)))
    readout, _ = train_readout(seen, Y, batches=BATCHES, loss="squared", optimiser=optimiser, learning_rate=0.2)
    dual = train_dual(X, Y, batches=BATCHES, loss="squared", optimiser=optimiser, learning_rate=0.2)
    with torch.no_grad():
        torch.testing.assert_close(read_out(shown, readout), dual(far), rtol=1e-6, atol=1e-8)
    # and the matrix gives the coefficients of the training inputs
    coefficients = readout @ back
    torch.testing.assert_close(
        feature_kernel(far, X, activation="relu") @ coefficients.T, read_out(shown, readout), rtol=1e-6, atol=1e-8
    )


def test_repeated_inputs_leave_fewer_kernel_features():
    twice = torch.cat([X, X])
    seen, shown, _ = kernel_features(*(feature_kernel(x, twice, activation="relu") for x in (twice, X)))
    assert seen.shape == (24, 12)
    torch.testing.assert_close(seen @ seen.T / 12, feature_kernel(twice, twice, activation="relu"))
    torch.testing.assert_close(shown, seen[:12])


def test_minibatches_are_passes_without_replacement():
    batches = minibatches(10, 3, 8, 1, "order")
    assert [len(rows) for rows in batches] == [3] * 8
    for start in (0, 3):
        assert len(set(torch.cat(batches[start : start + 3]).tolist())) == 9
    again = minibatches(10, 3, 4, 1, "order")
    assert all(torch.equal(*pair) for pair in zip(batches, again, strict=False))
    with pytest.raises(InputError, match="batch = 11: expected ≤ 10, the training samples"):
        minibatches(10, 11, 1, 0)


def test_measured_numbers():
    found = measured(torch.tensor([1.0, 2.0, 6.0]))
    assert found == {"value": 3.0, "stderr": pytest.approx(np.std([1, 2, 6], ddof=1) / 3**0.5), "status": "converged"}
    assert measured(torch.tensor(2.0))["stderr"] == 0
    failed = measured(torch.tensor([1.0, math.inf]))
    assert failed["status"] == "diverged"
    assert math.isnan(failed["value"])


def test_bad_settings():
    with pytest.raises(InputError, match=r"learning_rates has none for 'sgd'"):
        rate_of({"adam": 1.0}, "sgd")
    with pytest.raises(InputError, match=r"learning_rates.sgd = 0: expected a number > 0"):
        rate_of({"sgd": 0}, "sgd")
    with pytest.raises(InputError, match=r"widths\[1\] = 0: expected a whole number ≥ 1"):
        check_counts("widths", [4, 0])
    with pytest.raises(InputError, match="widths = 4: expected a list"):
        check_counts("widths", 4)
    with pytest.raises(InputError, match=r"loss = 'square': .*did you mean 'squared'"):
        mean_loss(X, X, "square")


class TestImages:
    def test_all_classes_centred_and_scaled(self):
        sample = draw_images("digits", None, samples=200, test_samples=50, seed=0)
        assert (sample.x.shape, sample.y.shape) == ((200, 64), (200, 10))
        assert (sample.x_test.shape, sample.shape, sample.name) == ((50, 64), (1, 8, 8), "digits")
        torch.testing.assert_close(sample.x.square().sum(1), torch.full((200,), 64.0, dtype=torch.float64))
        assert sample.x.mean(0).norm() < 0.1 * 8
        assert torch.equal(sample.y.sum(1), torch.ones(200, dtype=torch.float64))
        assert len(draw_images("digits", None, samples=5, seed=0).x_test) > 300

    def test_choice_derives_from_the_seed(self):
        few, more, other = (draw_images("digits", None, samples=n, seed=s) for n, s in ((20, 0), (40, 0), (20, 1)))
        assert torch.equal(few.y, more.y[:20])
        assert not torch.equal(few.y, other.y)

    def test_colour_and_own_labels(self, tmp_path):
        random = np.random.default_rng(0)
        pictures = {f"x_{part}": random.integers(0, 256, (6, 4, 5, 3), dtype=np.uint8) for part in ("train", "test")}
        np.savez(tmp_path / "own.npz", **pictures, y_train=[7, 3] * 3, y_test=[3] * 6)
        sample = draw_images("auto", tmp_path / "own.npz", samples=6, seed=0)
        assert (sample.x.shape[1], sample.shape, sample.y.shape[1]) == (60, (3, 4, 5), 2)
        flat = pictures["x_train"].transpose(0, 3, 1, 2).reshape(6, -1) / 255
        flat = flat - flat.mean(0)
        expected = flat * (60**0.5 / np.linalg.norm(flat, axis=1))[:, None]
        found = sample.x.numpy()
        assert all(np.isclose(found, row).all(1).any() for row in expected)
        assert sample.y_test.tolist() == [[1.0, 0.0]] * 6

    def test_too_many(self):
        with pytest.raises(InputError, match=r"samples = 5000: expected ≤ 1442, all train images of digits"):
            draw_images("digits", None, samples=5000, seed=0)
        with pytest.raises(InputError, match="test_samples = 0"):
            draw_images("digits", None, samples=5, test_samples=0, seed=0)
