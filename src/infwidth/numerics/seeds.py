"""Random generators derived from what they are for, never from a position in a list."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(*path: int | str) -> int:
    """Return a 63-bit seed that depends on every element of ``path``, e.g. ``(seed, "source inputs")``.

    Elements are told apart by type and place, so ``(1, "2")`` and ``("1", 2)`` give different seeds.
    """
    text = "/".join(f"{type(part).__name__}:{part}" for part in path)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*path: int | str) -> np.random.Generator:
    """Return numpy's default generator seeded by :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(*path))
