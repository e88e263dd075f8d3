"""Arrays that a caller passes in, as float64; what would lose something on the way is refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np

from infwidth.numerics.checks import InputError

LARGEST_ENTRY = 1e100
"""Numbers beyond it could overflow when they are squared."""

_KINDS = {
    "b": "truth values; write them as numbers, 2.0 * a - 1, say",
    "c": "complex numbers; pass their real part, or both parts as columns",
    "M": "dates; turn them into numbers of a unit of your choice",
    "m": "time spans; divide them by a unit of your choice",
    "O": "Python objects; convert it with astype(float), and drop what is missing",
    "S": "text; convert it",
    "U": "text; convert it",
    "V": "records; pass their columns as one array",
}


def real_array(name: str, value: Any, shape: str = "an array") -> np.ndarray:
    """Return a float64 copy of real numbers.

    Args:
        name: the argument's name, for the message.
        value: an array, or nested sequences of numbers.
        shape: the shape expected, for the message.

    Raises:
        InputError: masked entries, complex numbers, dates, truth values, text, Python objects or rows of different
            lengths: NumPy would drop the mask or the imaginary part, and read the others as numbers they are not.
    """
    try:
        array = value if type(value) is np.ndarray else np.ma.asanyarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # rows of different lengths, a tensor with a gradient
        reason = " ".join(str(error).split())
        raise InputError(f"{name} is no array of numbers ({reason}): expected {shape}; convert it") from error
    if array.dtype.kind not in "iuf":
        found = _KINDS.get(array.dtype.kind, "no numbers; convert it")
        raise InputError(f"{name} is no array of numbers (dtype {array.dtype}): expected {shape}, found {found}")
    masked = int(np.sum(np.ma.getmask(array)))  # False where there is no mask
    if masked:
        raise InputError(
            f"{name} holds {masked} masked entries: expected numbers everywhere; fill them, or drop those samples"
        )
    with np.errstate(over="ignore"):  # a wider float beyond the range becomes inf, which is for the caller to judge
        return np.array(np.ma.getdata(array), dtype=np.float64)
