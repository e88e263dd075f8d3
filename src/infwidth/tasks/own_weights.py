"""Hidden weights of a network that a user has trained, in place of the source's data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from infwidth.io.archives import check_archive, describe, read_archive
from infwidth.io.reading import at_home
from infwidth.numerics.arrays import LARGEST_ENTRY, real_array
from infwidth.numerics.checks import InputError

FEWEST = 16
"""Neurons below which there are no blocks of them to compare."""
_EXPECTED = "expected an .npz, or a torch state_dict (.pt, .pth), with a layer's weights (neurons, inputs)"


def own_weights(place: str | Path, dimension: int) -> np.ndarray:
    """Read the weights of a first layer, h = W·x for inputs x as the user's network takes them.

    Args:
        place: ``file:name``, the key of an .npz or the layer's name in a state_dict ("fc1" finds "fc1.weight"); the
            name may be left out where there is one matrix of ``dimension`` columns.
        dimension: D, numbers a sample of the target.

    Returns:
        W, (N, D), float64.

    Raises:
        InputError: no such file or layer, several that it may be, pickled objects, wrong shape, NaN, few neurons, or a
            bias that is not 0, which the theory's networks lack.
    """
    path, name = _split(str(place))
    arrays = _arrays(path)
    if name:
        found = [key for key in (name, f"{name}.weight") if key in arrays]
    else:
        found = [key for key, array in arrays.items() if array.ndim == 2 and array.shape[1] == dimension]
    if len(found) != 1:
        known = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
        what = f"no layer {name!r}" if name else f"{len(found)} matrices of {dimension} columns"
        raise InputError(f"{path}: {what} (it has {known}); {_EXPECTED}; name one, --weights {path}:layer")
    key = found[0]
    weights = check_neurons(f"{path}, {key}", arrays[key], dimension)
    bias = arrays.get(key.removesuffix("weight") + "bias") if key.endswith("weight") else None
    if bias is not None and np.any(bias):
        raise InputError(
            f"{path}: {key} comes with a bias; expected none, as the theory's networks have none; train without, or "
            "give the inputs a constant column and the layer's weights the bias as its column"
        )
    return weights


def check_neurons(name: str, weights: Any, dimension: int | None = None) -> np.ndarray:
    """Return hidden weights (N, D) in float64.

    Raises:
        InputError: no real numbers, a wrong shape, fewer than ``FEWEST`` neurons, NaN, infinite or huge entries.
    """
    found = real_array(name, weights, "real numbers")
    columns = "inputs" if dimension is None else dimension
    if found.ndim != 2 or len(found) < FEWEST or found.shape[1] != (dimension or found.shape[1]):
        raise InputError(
            f"{name}: has shape {found.shape}; expected (neurons, {columns}), as many columns as a sample has numbers, "
            f"and at least {FEWEST} neurons; name the first layer, or transpose it"
        )
    if not np.abs(found).max() < LARGEST_ENTRY:
        raise InputError(f"{name}: holds NaN, infinite or huge weights; expected finite ones; check the training")
    return found


def balance(hidden: np.ndarray, readout: np.ndarray) -> float:
    """κ that brings a 1-homogeneous network to the scale of gradient flow, by (W̄, w̄) → (W̄/κ, κ w̄).

    The network's function stays as it is. Flow without decay from W̄, w̄ ~ N(0, 1) conserves
    mean |W̄_i|² − mean |w̄_i|² = D − C, which holds after it; the elastic term δ|W − W̄|² depends on it.

    Args:
        hidden: W̄, (N, D).
        readout: w̄, (C, N), for f_c(x) = Σ_i w̄_ci φ(W̄_i·x/√D)/(γ̄N).

    Returns:
        κ > 0.
    """
    first, second = (np.square(weights).sum(axis).mean() for weights, axis in ((hidden, 1), (readout, 0)))
    if not first * second > 0:
        raise InputError("weights, readout: one is 0 everywhere; expected a trained network; pass both of its layers")
    excess = hidden.shape[1] - len(readout)
    root = math.sqrt(excess**2 + 4 * first * second)  # of second κ⁴ + excess κ² − first = 0
    square = 2 * first / (excess + root) if excess > 0 else (root - excess) / (2 * second)
    return math.sqrt(square)


def _split(place: str) -> tuple[Path, str]:
    path, mark, name = place.rpartition(":")
    if mark and Path(path).suffix in (".npz", ".pt", ".pth"):
        return at_home(path), name
    return at_home(place), ""


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file, by name."""
    if path.suffix == ".npz":
        names = check_archive(path, (), _EXPECTED, "correct the path")
        return read_archive(path, names, _EXPECTED, "correct the path")
    if path.suffix not in (".pt", ".pth"):
        raise InputError(f"{path}: suffix {path.suffix!r}; {_EXPECTED}; save it as one")
    if not path.is_file():
        raise InputError(f"{path}: no such file; {_EXPECTED}; correct the path")
    import torch  # takes a second

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or foreign pickle raises has many types
        raise InputError(f"{path}: can't be read ({describe(error)}); {_EXPECTED}; save model.state_dict()") from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: holds {type(state).__name__}; {_EXPECTED}; save model.state_dict()")
    return {str(key): value.detach().float().numpy() for key, value in state.items()}
