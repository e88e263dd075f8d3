"""Hermite teachers: a normalised Hermite polynomial of one direction, Gaussian inputs."""

from __future__ import annotations

import math

import numpy as np
from numpy.polynomial.hermite_e import hermeval

from infwidth.numerics.checks import InputError, check_count, check_number
from infwidth.tasks.gaussian_teachers import Given, Link, draw_task
from infwidth.tasks.transfer_task import TransferTask

LARGEST_DEGREE = 170
"""Degree k beyond which √k!, the norm of He_k, exceeds what a float holds."""


def hermite(
    *,
    dimension: int,
    source_degree: int,
    target_degree: int,
    overlap: float = 1.0,
    n_source: int,
    n_target: int,
    n_test: int,
    noise: float = 0.0,
    spectrum: Given = None,
    target_spectrum: Given = None,
    seed: int,
) -> TransferTask:
    """Draw a source and a target task y = He_k(β·x/√(β·Σβ)) with degrees and directions of their own.

    He_k is the probabilists' Hermite polynomial over √k!, so that labels of x ~ N(0, Σ) have mean 0 and variance 1
    on inputs of every spectrum, and those of different degrees are uncorrelated. β is a unit vector; its cosine between
    source and target, in the Euclidean inner product whatever Σ, is the overlap, exactly. At equal seed the source
    data, the perpendicular direction and all inputs are the same for every overlap and degree, and a smaller sample is
    the beginning of a larger one.

    Args:
        dimension: input dimension D ≥ 2.
        source_degree: degree k of the source, 1 … ``LARGEST_DEGREE``.
        target_degree: degree k of the target, likewise.
        overlap: α in [−1, 1], cosine between the source's and the target's direction.
        n_source: source samples P1.
        n_target: target training samples P2.
        n_test: target test samples Pt.
        noise: standard deviation σ of the label noise, source, target and test alike.
        spectrum: of the source's inputs, ``{"exponent": e, "rotated": False}``: Σ̄ has eigenvalues k^−e/⟨k^−e⟩,
            k = 1 … D, along the coordinates or, rotated, along axes that the seed draws. None is Σ̄ = I_D.
        target_spectrum: of target and test inputs, likewise, rotated by a rotation of its own. None: the source's Σ̄.
        seed: whole number ≥ 0 that all streams derive from.

    Returns:
        The task, inputs (P1, D), (P2, D) and (Pt, D); labels of unit variance.

    Raises:
        InputError: an argument is of the wrong type or out of range.
    """
    degrees = _check_degree("source_degree", source_degree), _check_degree("target_degree", target_degree)
    noise = check_number("noise", noise, minimum=0)
    return draw_task(
        dimension=dimension,
        overlap=overlap,
        sizes={"n_source": n_source, "n_target": n_target, "n_test": n_test},
        noises=(noise, noise),
        links=tuple(_polynomial(degree) for degree in degrees),
        spectra=(spectrum, target_spectrum),
        standardised=True,
        seed=seed,
        label=f"He{degrees[0]} → He{degrees[1]}",
    )


def _check_degree(name: str, degree: int) -> int:
    if check_count(name, degree) > LARGEST_DEGREE:
        raise InputError(f"{name} = {degree}: expected a degree ≤ {LARGEST_DEGREE}; reduce it")
    return int(degree)


def _polynomial(degree: int) -> Link:
    coefficients = np.zeros(degree + 1)
    coefficients[degree] = 1 / math.sqrt(math.factorial(degree))
    return lambda u: hermeval(u, coefficients)
