"""Hidden weights of a network that a user has trained, in place of the source's data."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from infwidth.io.archives import array_shape, check_archive, read_array
from infwidth.io.reading import at_home, cannot_read, describe
from infwidth.numerics.arrays import LARGEST_ENTRY, real_array
from infwidth.numerics.checks import InputError

if TYPE_CHECKING:
    from torch import Tensor

FEWEST = 16
"""Neurons below which there are no blocks of them to compare."""
MOST_NAMED = 8
"""Arrays of a file that a message names at most."""
_PART = re.compile(r"(^|\.)(parametrizations\.|weight_(v|g|u|orig|mask)$)")
"""Names of what a reparametrised weight (weight or spectral norm, pruning) is computed from."""
_EXPECTED = "expected an .npz, or a torch state_dict (.pt, .pth), with a layer's weights (neurons, inputs)"


@dataclass(frozen=True, eq=False)
class OwnNetwork:
    """A user's two-layer network as far as it is known, f_c(x) = Σ_i a_ci φ(W_i·x + b_i).

    Attributes:
        weights: W, (N, D).
        bias: b, (N,); None where there is none.
        readout: a, (C, N); None where it is not known.
    """

    weights: np.ndarray
    bias: np.ndarray | None = None
    readout: np.ndarray | None = None


def own_weights(place: str | Path, dimension: int, readout: str | None = None) -> OwnNetwork:
    """Read the weights of a first layer, h = W·x + b for inputs x as the user's network takes them, and of its readout.

    Args:
        place: ``file:name``, the key of an .npz or the layer's name in a state_dict ("fc1" finds "fc1.weight" and
            "model.fc1.weight", and the bias where there is one); the name may be left out where there is one matrix of
            ``dimension`` columns. A checkpoint that holds a state_dict among other things is one.
        dimension: D, numbers a sample of the target.
        readout: the last layer's name in the same file; its bias is not read. None leaves it unknown.

    Returns:
        The network, in float64.

    Raises:
        InputError: no such file or layer, several that it may be, pickled objects, wrong shapes, NaN, few neurons.
    """
    path, name = _split(str(place))
    shapes, read = _arrays(path)
    if name:
        found, what = _find(shapes, name), f"layer {name!r}"
    else:
        found = [key for key, shape in shapes.items() if len(shape) == 2 and shape[1] == dimension]
        what = f"matrix of {dimension} columns"
    if len(found) != 1:
        raise InputError(
            f"{path}: {_counted(found, what)} ({_known(shapes)}); {_EXPECTED}; name one, --weights {path}:layer"
        )
    key = found[0]
    if _PART.search(key):
        raise InputError(
            f"{path}, {key}: is a part that the layer's weight is computed from; expected the weight itself; take the "
            "parametrization off, torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight'), and save again"
        )
    weights = check_neurons(f"{path}, {key}", read(key), dimension)
    bias = None
    place = key.removesuffix("weight") + "bias"
    if key.endswith("weight") and place in shapes and np.any(read(place)):
        bias = _finite(f"{path}, {place}", read(place))
        if bias.shape != (len(weights),):
            raise InputError(
                f"{path}, {place}: has shape {bias.shape}; expected ({len(weights)},), one a neuron; check the layer"
            )
    if readout is None:
        return OwnNetwork(weights, bias)
    last = _find(shapes, readout)
    if len(last) != 1:
        raise InputError(
            f"{path}: {_counted(last, f'layer {readout!r}')} ({_known(shapes)}); expected the last layer's weights "
            f"(outputs, {len(weights)}); correct --readout"
        )
    return OwnNetwork(weights, bias, check_readout(f"{path}, {last[0]}", read(last[0]), len(weights)))


def _find(shapes: Mapping[str, tuple[int, ...]], name: str) -> list[str]:
    """Keys of that name, or else of that name below others, as wrappers of a model put theirs before it."""
    exact = [key for key in (name, f"{name}.weight") if key in shapes][:1]
    return exact or [key for key in shapes if name and key.endswith((f".{name}", f".{name}.weight"))]


def _counted(found: Sequence[str], what: str) -> str:
    return f"no {what}" if not found else f"more than one {what}, {', '.join(found)}"


def _known(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """What a file has; of many arrays those that may be layers."""
    layers = [f"{key} {shape}" for key, shape in shapes.items() if len(shape) == 2 or len(shapes) <= MOST_NAMED]
    more = ["…"] * (len(layers) > MOST_NAMED or not layers)
    return "it has " + ", ".join(layers[:MOST_NAMED] + more) if shapes else "it has no arrays"


def check_readout(name: str, readout: Any, neurons: int) -> np.ndarray:
    """Return readout weights (C, N), given those or (N,), in float64; raises InputError for others."""
    found = np.atleast_2d(_finite(name, readout))
    if found.ndim != 2 or found.shape[1] != neurons:
        raise InputError(
            f"{name}: has shape {np.shape(readout)}; expected (outputs, {neurons}), one weight a neuron; pass the last "
            "layer's weight"
        )
    return found


def _finite(name: str, values: Any) -> np.ndarray:
    found = real_array(name, values, "real numbers")
    if not np.isfinite(found).all():
        raise InputError(f"{name}: holds NaN or infinite weights; expected finite ones; check the training")
    return found


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


def _arrays(path: Path) -> tuple[dict[str, tuple[int, ...]], Callable[[str], np.ndarray]]:
    """The shapes of all arrays of a file, by name, and how one of them is read."""
    told = _EXPECTED, "correct the path"
    if path.suffix == ".npz":
        names = check_archive(path, (), *told)
        return {name: array_shape(path, name, *told) for name in names}, lambda name: read_array(path, name, *told)
    if path.suffix not in (".pt", ".pth"):
        raise InputError(f"{path}: suffix {path.suffix!r}; {_EXPECTED}; save it as one")
    if not path.is_file():
        raise InputError(f"{path}: {'is a folder' if path.is_dir() else 'no such file'}; {_EXPECTED}; correct the path")
    import torch  # takes a second

    try:
        with warnings.catch_warnings(action="ignore"):  # of old or foreign formats, which it reads or refuses itself
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged or foreign pickle raises has many types
        raise cannot_read(path, error, _EXPECTED, "save model.state_dict()") from error
    tensors = dict(_tensors(state)) if isinstance(state, dict) else {}
    if not tensors:
        found = type(state).__name__ + " without tensors" * isinstance(state, dict)
        raise InputError(f"{path}: holds {found}; {_EXPECTED}; save model.state_dict()")
    return {name: tuple(one.shape) for name, one in tensors.items()}, lambda name: _dense(path, name, tensors[name])


def _tensors(state: Mapping[Any, Any], above: str = "") -> Iterator[tuple[str, Tensor]]:
    """All tensors of a state_dict, or of a checkpoint that holds some, by their names below one another."""
    for key, value in state.items():
        if isinstance(value, Mapping):
            yield from _tensors(value, f"{above}{key}.")
        elif hasattr(value, "detach"):
            yield f"{above}{key}", value


def _dense(path: Path, name: str, tensor: Tensor) -> np.ndarray:
    """A tensor of whatever layout and kind of number as an array."""
    try:
        plain = tensor.detach().dequantize() if tensor.is_quantized else tensor.detach().to_dense()
        return plain.resolve_conj().resolve_neg().numpy() if plain.is_complex() else plain.double().numpy()
    except (RuntimeError, TypeError, NotImplementedError) as error:  # of a device or layout that numpy has no like of
        raise InputError(
            f"{path}, {name}: can't be read ({describe(error)}); expected a tensor of real numbers; save a plain copy"
        ) from error
