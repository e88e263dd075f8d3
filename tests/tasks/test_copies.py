"""Copies are found, exact and nearly exact ones; samples that are none are not."""

import numpy as np
import pytest

from infwidth.tasks.copies import copy_groups, shared_samples


def inputs(name, size=80, seed=0):
    rng = np.random.default_rng(seed)
    if name == "digits":
        from sklearn.datasets import load_digits

        x = load_digits().data[seed * size : (seed + 1) * size]
        return (x - x.mean(0)) / x.std()
    if name == "clusters":
        return np.concatenate([rng.normal(centre, 0.2, (size // 2, 12)) for centre in (-1, 1)])
    if name == "tails":
        return rng.standard_t(2, (size, 15))
    return rng.standard_normal((size, int(name)))


def count(x):
    return len(x) - copy_groups(x).max() - 1


@pytest.mark.parametrize("name", ["1", "2", "5", "20", "300", "digits", "clusters", "tails"])
@pytest.mark.parametrize("seed", [0, 1])
def test_different_samples_are_no_copies(name, seed):
    x = inputs(name, seed=seed)
    assert count(x) == 0
    assert np.array_equal(copy_groups(x), np.arange(len(x)))
    assert not shared_samples(x[::2], x[1::2]).any()


@pytest.mark.parametrize("name", ["5", "20", "300", "digits"])
@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-3])
@pytest.mark.parametrize("times", [1, 3])
def test_copies_of_some_or_of_all_are_found(name, noise, times):
    x, rng = inputs(name), np.random.default_rng(5)
    for copied in (7, len(x)):
        repeated = np.repeat(np.arange(copied), times)
        copies = x[repeated] + noise * rng.standard_normal((len(repeated), x.shape[1]))
        order = rng.permutation(len(x) + len(copies))
        mixed = np.concatenate([x, copies])[order]
        assert count(mixed) == len(copies)
        groups, origin = copy_groups(mixed), np.concatenate([np.arange(len(x)), repeated])[order]
        assert len(set(zip(groups.tolist(), origin.tolist(), strict=True))) == len(x)
        assert shared_samples(x, copies).sum() == copied


def test_single_precision_makes_no_difference():
    x = inputs("1")
    assert count(np.concatenate([x, x.astype(np.float32)])) == len(x)


def test_sets_of_equal_or_few_samples():
    assert count(np.zeros((5, 3))) == 4
    assert count(np.ones((1, 3))) == 0
    assert shared_samples(np.ones((3, 2)), np.ones((1, 2))).all()


@pytest.mark.parametrize("name", ["20", "300", "digits", "clusters", "tails"])
@pytest.mark.parametrize("share", [0.01, 0.04])
@pytest.mark.parametrize("copied", [9, 80])
def test_copies_are_found_however_samples_spread(name, share, copied):
    """Noise a small share of the distance to the nearest neighbour, in data of many scales and in several clusters."""
    x, rng = inputs(name), np.random.default_rng(6)
    apart = np.linalg.norm(x[:, None] - x, axis=2)
    nearest = np.sort(apart, axis=1)[:, 1].mean()
    noise = rng.standard_normal(x[:copied].shape)
    noise *= share * nearest / np.linalg.norm(noise, axis=1, keepdims=True)
    assert count(np.concatenate([x, x[:copied] + noise])) >= 0.95 * copied
    assert shared_samples(x, x[:copied] + noise)[:copied].mean() >= 0.95


@pytest.mark.parametrize("name", ["5", "20", "digits"])
def test_many_copies_of_every_sample_are_found(name):
    x, rng = inputs(name, size=20), np.random.default_rng(7)
    repeated = np.repeat(x, 11, axis=0)
    assert count(repeated + 1e-3 * rng.standard_normal(repeated.shape)) == 200
