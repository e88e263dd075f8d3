"""Hidden weights of a network that a user has trained, in place of the source's data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from infwidth.io.archives import check_archive, describe, read_archive
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
    weights = real_array(f"{path}, {key}", arrays[key], "real numbers")
    if weights.ndim != 2 or weights.shape[1] != dimension or len(weights) < FEWEST:
        raise InputError(
            f"{path}, {key}: has shape {weights.shape}; expected (neurons, {dimension}), as the target has {dimension} "
            f"numbers a sample, and at least {FEWEST} neurons; name the first layer, or transpose it"
        )
    if not np.abs(weights).max() < LARGEST_ENTRY:
        raise InputError(
            f"{path}, {key}: holds NaN, infinite or huge weights; expected finite ones; check the training"
        )
    bias = arrays.get(key.removesuffix("weight") + "bias") if key.endswith("weight") else None
    if bias is not None and np.any(bias):
        raise InputError(
            f"{path}: {key} comes with a bias; expected none, as the theory's networks have none; train without, or "
            "give the inputs a constant column and the layer's weights the bias as its column"
        )
    return weights


def _split(place: str) -> tuple[Path, str]:
    path, mark, name = place.rpartition(":")
    if mark and Path(path).suffix in (".npz", ".pt", ".pth"):
        return Path(path).expanduser(), name
    return Path(place).expanduser(), ""


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
