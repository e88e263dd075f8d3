"""Bayesian linear networks averaged over data sets, at a cost that knows neither P nor D (docs/averaged.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from infwidth.numerics.checks import InputError, check_number, spell
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.theory.linear.averaged_data import IsotropicData, ShiftedData
from infwidth.theory.linear.averaged_saddle import Data, FeatureLaw, solve_saddle

RANGES = {
    "source_ratio": {"minimum": 0.0, "open_minimum": True},
    "target_ratio": {"minimum": 0.0, "open_minimum": True},
    "source_richness": {"minimum": 0.0, "open_minimum": True},
    "target_richness": {"minimum": 0.0, "open_minimum": True},
    "overlap": {"minimum": -1.0, "maximum": 1.0},
    "elastic_coupling": {"minimum": 0.0, "allow_inf": True},
    "inverse_temperature": {"minimum": 0.0, "open_minimum": True, "allow_inf": True},
    "source_inverse_temperature": {"minimum": 0.0, "open_minimum": True, "allow_inf": True},
    "source_noise": {"minimum": 0.0},
    "target_noise": {"minimum": 0.0},
    "hidden_precision": {"minimum": 0.0, "open_minimum": True},
    "readout_precision": {"minimum": 0.0, "open_minimum": True},
}
"""Argument → the range it has to lie in."""


@dataclass(frozen=True)
class AveragedSolution:
    """Averages over data sets as D → ∞. Fields have the shape to which the arguments broadcast; numbers give numbers.

    Attributes:
        test_loss: E of the target, label noise σ² included.
        train_loss: mean of (f − y)² over the target's training points.
        source_test_loss: the source's test loss, its label noise included.
        source_train_loss: the source's train loss.
        spike: b, by which the source's hidden weights E W̄W̄ᵀ = (I + b ŝŝᵀ)/λ_W exceed their prior along what it learnt.
        alignment: m = |w·ŝ|/√D, cosine between the target's teacher and what the source learnt.
        domain_margin: q, the smaller of source and target: 1 for a lazy network, 0 at the border of the domain.
        status: how the solver ended. DIVERGED where a loss is infinite (ν = 1, β = ∞ and label noise); the target's
            is NaN where the source's is.
        residual: the largest mismatch of the equations of both saddle points, in numbers of order 1.
        iterations: evaluations of the target's outer equation.
    """

    test_loss: float | np.ndarray
    train_loss: float | np.ndarray
    source_test_loss: float | np.ndarray
    source_train_loss: float | np.ndarray
    spike: float | np.ndarray
    alignment: float | np.ndarray
    domain_margin: float | np.ndarray
    status: Status | np.ndarray
    residual: float | np.ndarray
    iterations: int | np.ndarray


def solve(
    *,
    source_ratio: ArrayLike,
    target_ratio: ArrayLike,
    source_richness: ArrayLike,
    target_richness: ArrayLike,
    overlap: ArrayLike,
    elastic_coupling: ArrayLike,
    inverse_temperature: ArrayLike,
    source_inverse_temperature: ArrayLike | None = None,
    source_noise: ArrayLike = 0.0,
    target_noise: ArrayLike = 0.0,
    hidden_precision: ArrayLike = 1.0,
    readout_precision: ArrayLike = 1.0,
    source_spectrum: Sequence[float] | None = None,
    target_spectrum: Sequence[float] | None = None,
    teacher_spectrum: Sequence[float] | None = None,
    rotated: bool = False,
    strict: bool = True,
) -> AveragedSolution:
    """Solve the saddle point of elastic transfer averaged over Gaussian data sets, eqs. (A1) to (A15).

    Inputs are x ~ N(0, Σ), teachers of |w|² = D at overlap α, y = w·x/√D + σ·N(0, 1), D → ∞ at fixed P/D and γ√D.
    Everything depends on α through α² alone. Without spectra inputs are isotropic.

    Args:
        source_ratio: ν̄ = P1/D > 0.
        target_ratio: ν = P2/D > 0.
        source_richness: γ̄√D > 0, written Γ̄.
        target_richness: γ√D > 0, written Γ.
        overlap: α in [−1, 1].
        elastic_coupling: δ ≥ 0; inf is the readout trained on frozen source features.
        inverse_temperature: β > 0; inf interpolates where it can.
        source_inverse_temperature: β of the source; the target's if None.
        source_noise: σ̄ ≥ 0, standard deviation of the source's label noise.
        target_noise: σ ≥ 0, that of the target, in training and test labels.
        hidden_precision: λ_W > 0 of source and target.
        readout_precision: λ_w > 0 of source and target.
        source_spectrum: Σ̄_i > 0, (n,), the source's diagonal input covariance on n equal shares of the coordinates;
            not broadcast with the other arguments. 1 if None.
        target_spectrum: Σ_i > 0, (n,), the target's in the same coordinates, or ``rotated``.
        teacher_spectrum: w_i² ≥ 0, (n,), power of both teachers on these coordinates, scaled to mean 1.
        rotated: whether the target's principal axes are a random rotation of the source's, eq. (12); the teachers'
            power is the same along all axes then.
        strict: whether an unconverged point raises; if not it is returned with its status.

    Returns:
        The averages.

    Raises:
        InputError: an argument out of range, or shapes that do not match.
        UnconvergedError: an unconverged point, if ``strict``.
    """
    if source_inverse_temperature is None:
        source_inverse_temperature = inverse_temperature
    settings = check_settings(
        source_ratio=source_ratio,
        target_ratio=target_ratio,
        source_richness=source_richness,
        target_richness=target_richness,
        overlap=overlap,
        elastic_coupling=elastic_coupling,
        inverse_temperature=inverse_temperature,
        source_inverse_temperature=source_inverse_temperature,
        source_noise=source_noise,
        target_noise=target_noise,
        hidden_precision=hidden_precision,
        readout_precision=readout_precision,
    )
    shape = np.shape(settings["target_ratio"])
    spectra = _spectra(source_spectrum, target_spectrum, teacher_spectrum)
    if rotated and spectra is not None and np.ptp(spectra[2]) > 0:
        raise InputError(
            f"teacher_spectrum = {spell(teacher_spectrum)}: expected none where axes are rotated; remove it"
        )
    flat = {name: values.reshape(-1) if values.size != 1 else values.item() for name, values in settings.items()}
    solution = _solve({name: np.float64(value) for name, value in flat.items()}, spectra, rotated)
    if strict:
        _require_converged(solution, settings)
    return AveragedSolution(**{name: _shaped(value, shape) for name, value in solution.items()})


def _solve(
    settings: dict[str, np.ndarray], spectra: tuple[np.ndarray, np.ndarray, np.ndarray] | None, rotated: bool
) -> dict:
    """The fields of AveragedSolution for B settings, or for one given as numbers."""
    source_data, target_data = _data(settings, spectra, rotated)
    layer = (settings["hidden_precision"], settings["readout_precision"])
    nothing = 0.0 * settings["overlap"]
    source = solve_saddle(FeatureLaw.elastic(settings["source_richness"], nothing, *layer, nothing), source_data)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        spike = source.tilt / source.margin
        target_data = target_data.seen_from(source_data, source.gain, settings["overlap"])
    law = FeatureLaw.elastic(settings["target_richness"], settings["elastic_coupling"], *layer, spike)
    target = solve_saddle(law, target_data)
    known = source.status == Status.CONVERGED
    found = np.isfinite(target.test_error) & np.isfinite(target.train_error)
    status = np.where(known, target.status, source.status)
    status = np.where((status == Status.CONVERGED) & ~found, Status.DIVERGED, status)
    return {
        "test_loss": np.where(known, target.test_error, np.nan),
        "train_loss": np.where(known, target.train_error, np.nan),
        "source_test_loss": source.test_error,
        "source_train_loss": source.train_error,
        "spike": spike,
        "alignment": target_data.alignment,
        "domain_margin": np.minimum(source.margin, target.margin),
        "status": status,
        "residual": np.maximum(source.residual, target.residual),
        "iterations": target.iterations,
    }


def _data(
    settings: dict[str, np.ndarray], spectra: tuple[np.ndarray, np.ndarray, np.ndarray] | None, rotated: bool
) -> tuple[Data, Data]:
    """The data of source and target, before the target knows of a spike."""
    source = (settings["source_ratio"], 1 / settings["source_inverse_temperature"], settings["source_noise"] ** 2)
    target = (settings["target_ratio"], 1 / settings["inverse_temperature"], settings["target_noise"] ** 2)
    if spectra is None:
        return IsotropicData.spikeless(*source), IsotropicData.spikeless(*target)
    return tuple(
        ShiftedData.spikeless(*data, spectra[k], spectra[2], rotated) for k, data in enumerate((source, target))
    )


def check_settings(**arguments: ArrayLike) -> dict[str, np.ndarray]:
    """Return arguments of :func:`solve` (but spectra) as arrays broadcast together; raises InputError for a bad one."""
    arrays = {name: check_array(name, value, **RANGES[name]) for name, value in arguments.items()}
    try:
        return dict(zip(arrays, np.broadcast_arrays(*arrays.values()), strict=True))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items() if array.ndim)
        raise InputError(f"{shapes}: expected shapes that broadcast together; reshape one") from None


def check_array(name: str, value: ArrayLike, **bounds: float | bool) -> np.ndarray:
    """Return ``value`` as an array of floats that all lie in the range of :func:`check_number`."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of unequal length
        array = np.array(None, dtype=object)
    if array.ndim == 0:
        return np.array(check_number(name, value, **bounds))
    if array.dtype.kind not in "iuf":
        raise InputError(f"{name} = {spell(value)}: expected numbers; pass an array of them")
    for position in {array.argmin(), array.argmax(), np.isnan(array).argmax()} if array.size else ():
        index = ", ".join(map(str, np.unravel_index(position, array.shape)))
        check_number(f"{name}[{index}]", array.flat[position].item(), **bounds)
    return array.astype(float)


def _spectra(
    source: Sequence[float] | None, target: Sequence[float] | None, teacher: Sequence[float] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Σ̄, Σ and the teachers' power, (n,) each; None where all are isotropic."""
    names = ("source_spectrum", "target_spectrum", "teacher_spectrum")
    given = dict(zip(names, (source, target, teacher), strict=True))
    arrays = {
        name: check_array(name, values, minimum=0.0, open_minimum=name != "teacher_spectrum")
        for name, values in given.items()
        if values is not None
    }
    if not arrays:
        return None
    shapes = {array.shape for array in arrays.values()}
    (shape,) = shapes if len(shapes) == 1 else ((),)
    if len(shape) != 1 or shape[0] == 0:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise InputError(f"{found}: expected one number a coordinate, (n,), in each; pass lists of one length")
    spectra = [arrays.get(name, np.ones(shape)) for name in names]
    if not spectra[2].any():
        raise InputError("teacher_spectrum = 0 everywhere: expected power on some coordinate; raise one")
    spectra[2] = spectra[2] / spectra[2].mean()
    return tuple(spectra)


def _shaped(value: np.ndarray, shape: tuple[int, ...]) -> float | int | Status | np.ndarray:
    """A field in the shape of the settings; a number where they are numbers."""
    return np.reshape(value, shape) if shape else np.asarray(value).item()


def _require_converged(solution: dict, settings: dict[str, np.ndarray]) -> None:
    """Raise UnconvergedError naming the first unconverged setting."""
    status = np.atleast_1d(solution["status"])
    failed = np.flatnonzero(status != Status.CONVERGED)
    if len(failed):
        first = failed[0]
        where = ", ".join(f"{name} = {values.flat[first]:g}" for name, values in settings.items())
        residual = np.atleast_1d(solution["residual"])[first]
        what = f"averaged linear theory, {len(failed)} of {len(status)} settings, the first at {where}"
        raise UnconvergedError(f"{what}: residual {residual:.1e}", status[first])
