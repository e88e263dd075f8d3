"""Particles that stand for the initial law of infinitely many neurons (docs/theory.md §2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.checks import check_choice
from infwidth.numerics.seeds import generator
from infwidth.theory.span import orthonormal_basis

SCHEMES = ("independent", "signs", "fourfold")
"""How particles are drawn: independently; as pairs (±w, W); as (±w, ±W), all four."""
DEFAULT_SCHEME = "signs"
"""Keeps f(0) = 0 at every γ; fourfold has half as many directions of W, and target losses scatter more."""
MATCHABLE = 2.0
"""Second moments are matched where there are this many independent draws of W per coordinate."""


def coordinates(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Inputs (P, D) in an orthonormal basis of their common span where that is smaller than D, else as they are.

    A Gaussian weight has as many independent normal coordinates in that basis as the basis has vectors.
    """
    dimension = inputs[0].shape[1]
    if sum(map(len, inputs)) >= dimension:
        return list(inputs)
    basis = orthonormal_basis(np.concatenate(inputs))
    return [x @ basis for x in inputs]


def draw_particles(
    count: int, n_coordinates: int, scheme: str, rng: np.random.Generator, *, match: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Draw w, W ~ N(0, 1).

    Args:
        count: S, a multiple of 4.
        n_coordinates: coordinates of W, d.
        scheme: one of ``SCHEMES``.
        rng: the generator.
        match: whether E w² = 1, and E WWᵀ = I where there are enough draws, hold exactly.

    Returns:
        w, (S,), and W, (S, d).
    """
    check_choice("scheme", scheme, SCHEMES)
    copies = {"independent": 1, "signs": 2, "fourfold": 4}[scheme]
    numbers = rng.standard_normal((count // copies, n_coordinates + 1))
    readout, hidden = numbers[:, 0], numbers[:, 1:]
    if match:
        readout = readout / np.sqrt(np.mean(readout**2))
        hidden = whiten(hidden)
    if copies >= 2:
        readout, hidden = np.concatenate([readout, -readout]), np.concatenate([hidden, hidden])
    if copies == 4:
        readout, hidden = np.concatenate([readout, readout]), np.concatenate([hidden, -hidden])
    return readout, hidden


def whiten(hidden: np.ndarray) -> np.ndarray:
    """Weights (S, d) with E WWᵀ = I exactly, where S is large enough for that to change each only a little."""
    count, dimension = hidden.shape
    if count < MATCHABLE * dimension:
        return hidden
    values, modes = np.linalg.eigh(hidden.T @ hidden / count)
    return hidden @ (modes / np.sqrt(values)) @ modes.T


def draw_readout(count: int, rng: np.random.Generator) -> np.ndarray:
    """Fresh readouts ±w, (2·count,), w ~ N(0, 1) with E w² = 1 exactly: one pair for each of ``count`` particles."""
    readout = rng.standard_normal(count)
    readout = readout / np.sqrt(np.mean(readout**2))
    return np.concatenate([readout, -readout])


def turn(hidden: np.ndarray, squared_outside: np.ndarray, n_outside: int, rng: np.random.Generator) -> np.ndarray:
    """Weights of the same norms and random directions.

    Args:
        hidden: W in d coordinates, (S, d).
        squared_outside: squared norm of W in the other D − d, (S,).
        n_outside: D − d.
        rng: the generator.

    Returns:
        The first d of D coordinates of the turned weights, (S, d).
    """
    fresh = rng.standard_normal(hidden.shape)
    rest = rng.chisquare(n_outside, len(hidden)) if n_outside else 0.0
    norm = np.sqrt((hidden**2).sum(1) + squared_outside)
    return fresh * (norm / np.sqrt((fresh**2).sum(1) + rest))[:, None]


@dataclass(frozen=True)
class Draws:
    """Where random numbers come from, and how many particles they make.

    Attributes:
        particles: S of the source; the target has 2S, fresh readouts ±w on each of them.
        replicas: R, independent of each other.
        seed: of all; a replica's numbers depend on it and on the replica's number alone.
        scheme: one of ``SCHEMES``.
        match: whether second moments are matched.
    """

    particles: int
    replicas: int
    seed: int = 0
    scheme: str = DEFAULT_SCHEME
    match: bool = True

    def rng(self, replica: int, purpose: str) -> np.random.Generator:
        """The generator for a purpose."""
        return generator(self.seed, replica, f"particles, {purpose}")

    def fresh(self, n_coordinates: int, purpose: str) -> tuple[np.ndarray, np.ndarray]:
        """Untrained particles: w (R, S) and W (R, S, d)."""
        pairs = [
            draw_particles(self.particles, n_coordinates, self.scheme, self.rng(r, purpose), match=self.match)
            for r in range(self.replicas)
        ]
        readout, hidden = zip(*pairs, strict=True)
        return np.stack(readout), np.stack(hidden)
