"""What is said of hidden layers, on kernels and preactivations whose answers are known."""

import numpy as np
import pytest
import torch

from infwidth.analysis.representation import (
    EDGES,
    average,
    centred_kernel_alignment,
    kernel_alignment,
    represent,
    sorted_subset,
)
from infwidth.numerics.activations import get_activation

LABELS = np.array([-1.0, 1.0] * 20)


def test_alignment_of_the_task_kernel_is_one_and_of_the_identity_small():
    assert kernel_alignment(np.outer(LABELS, LABELS), LABELS) == pytest.approx(1)
    assert kernel_alignment(np.eye(40), LABELS) == pytest.approx(1 / np.sqrt(40))
    assert kernel_alignment(np.ones((40, 40)), LABELS) == pytest.approx(0, abs=1e-12)


def test_centring_takes_off_what_all_samples_share():
    kernel = np.outer(LABELS, LABELS) + 50.0
    assert kernel_alignment(kernel, LABELS) < 0.05
    assert centred_kernel_alignment(kernel, LABELS) == pytest.approx(1)


def test_moments_and_density_of_gaussian_preactivations():
    h = 1.5 * torch.randn(20_000, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = represent(h, LABELS, get_activation("relu"))
    assert found.metrics["preactivation_std"] == pytest.approx(1.5, rel=0.01)
    assert found.metrics["preactivation_excess_kurtosis"] == pytest.approx(0, abs=0.05)
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    exact = np.exp(-(middle**2) / 4.5) / np.sqrt(2 * np.pi * 2.25)
    np.testing.assert_allclose(found.density, exact, atol=0.005)
    assert np.sum(found.density * np.diff(EDGES)) == pytest.approx(1, abs=1e-6)


def test_heavy_tails_have_positive_kurtosis():
    scale = torch.linspace(0.1, 3, 2000, dtype=torch.float64)[:, None]
    h = scale * torch.randn(2000, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert represent(h, LABELS, get_activation("erf")).metrics["preactivation_excess_kurtosis"] > 0.5


def test_kernel_is_that_of_the_features_in_the_order_of_the_classes():
    h = torch.randn(300, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    chosen = sorted_subset(LABELS)
    assert (LABELS[chosen] == np.repeat([-1, 1], 16)).all()
    features = np.maximum(h.numpy()[:, chosen], 0)
    found = represent(h, LABELS, get_activation("relu"))
    np.testing.assert_allclose(found.kernel, features.T @ features / 300)


def test_the_kernel_of_a_small_set_fills_a_corner():
    h = torch.randn(300, 10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = represent(h, LABELS[:10], get_activation("relu")).kernel
    assert found.shape == (32, 32)
    assert np.isfinite(found[:10, :10]).all()
    assert np.isnan(found[10:]).all()


def test_a_subset_of_few_or_graded_labels():
    assert sorted_subset(np.array([1.0, -1.0])).tolist() == [1, 0]
    graded = np.linspace(1, -1, 100)
    assert (np.diff(graded[sorted_subset(graded)]) > 0).all()


def test_average_has_the_standard_error_of_the_mean():
    parts = [
        represent(scale * torch.ones(2, 40).diff(dim=0, prepend=-torch.ones(1, 40)), LABELS, get_activation("relu"))
        for scale in (1.0, 3.0)
    ]
    mean, errors = average([[one] for one in parts])
    values = [part.metrics["preactivation_std"] for part in parts]
    assert mean.metrics["preactivation_std"] == pytest.approx(np.mean(values))
    assert errors["preactivation_std"] == pytest.approx(abs(values[1] - values[0]) / 2)
    assert np.isnan(average([parts[:1]])[1]["preactivation_std"])


def test_a_diverged_population_gives_no_density():
    h = torch.full((5, 40), torch.nan)
    assert np.isnan(represent(h, LABELS, get_activation("relu")).density).all()
