"""Bases of what inputs span: orthonormal, of the inputs' rank, and no matter of rounding."""

import numpy as np
import pytest

from infwidth.theory.span import orthonormal_basis


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("dependent", ["none", "centred", "copies", "zero", "all"])
def test_rank_and_span(seed, dependent):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((9, 30)) * rng.uniform(0.01, 100, (9, 1))
    rank = 9
    if dependent == "centred":
        inputs, rank = inputs - inputs.mean(0), 8
    elif dependent == "copies":
        inputs[[3, 7]], rank = inputs[[1, 1]], 7
    elif dependent == "zero":
        inputs[0], rank = 0, 8
    elif dependent == "all":
        inputs, rank = np.zeros((9, 30)), 0
    basis = orthonormal_basis(inputs)
    assert basis.shape == (30, rank)
    np.testing.assert_allclose(basis.T @ basis, np.eye(rank), atol=1e-12)
    np.testing.assert_allclose(inputs @ basis @ basis.T, inputs, atol=1e-10 * max(1, np.abs(inputs).max()))


def test_rounding_turns_no_direction():
    """What another processor's arithmetic changes: the last digit of each number."""
    rng = np.random.default_rng(2)
    inputs = rng.standard_normal((12, 40))
    inputs -= inputs.mean(0)
    nudged = inputs * (1 + 1e-15 * rng.standard_normal(inputs.shape))
    np.testing.assert_allclose(orthonormal_basis(nudged), orthonormal_basis(inputs), atol=1e-12)
