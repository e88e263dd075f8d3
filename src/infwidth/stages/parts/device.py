"""Where a stage's networks live."""

from __future__ import annotations

import torch

from infwidth.numerics.checks import InputError


def resolve_device(name: str) -> str:
    """``auto`` is a CUDA device where there is one, else the CPU.

    Raises:
        InputError: a CUDA device is asked for and there is none.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device = {name!r}: expected a CUDA device, found none; set device: auto or cpu")
    return name
