"""One transfer by finite networks, whatever trains or samples them: sources, then targets tied to them, then means."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from infwidth.networks.solution import NetworkSolution, TargetNetworks, require_converged, summarise
from infwidth.networks.two_layer.ensemble import SourceNetworks, TargetPoint, check_place, check_seeds
from infwidth.numerics.checks import InputError, check_number
from infwidth.numerics.losses import expected_squared_error, mean_squared_error
from infwidth.numerics.progress import Progress, part_of, shown
from infwidth.numerics.status import Status, tied
from infwidth.tasks.transfer_task import TransferTask


def check_safety(safety: float) -> None:
    """Raise InputError unless a step is a fraction > 0 of the stability limit."""
    check_number("safety", safety, minimum=0.0, open_minimum=True)


def target_points(
    elastic_coupling: float | Sequence[float], target_strength: float, start: str, anchor: str
) -> list[TargetPoint]:
    """Return a point for each coupling; raises InputError for a wrong one, or none."""
    couplings = [elastic_coupling] if np.ndim(elastic_coupling) == 0 else list(elastic_coupling)
    if not couplings:
        raise InputError("elastic_coupling = []: expected a number or a non-empty sequence; name at least one")
    return [TargetPoint(coupling, target_strength, start, anchor) for coupling in couplings]


def run_transfer(
    task: TransferTask,
    train_source: Callable[..., SourceNetworks],
    train_target: Callable[..., TargetNetworks],
    *,
    what: str,
    source_strength: float,
    target_strength: float,
    elastic_coupling: float | Sequence[float],
    start: str,
    anchor: str,
    strict: bool,
    progress: Progress,
    **common: object,
) -> NetworkSolution:
    """Train source networks, then target networks tied to them, and average over seeds.

    Args:
        task: source, target and test sets.
        train_source: (x, y, source_strength=, progress=, **common) ↦ the source networks.
        train_target: (source, x, y, x_test, points=, progress=, **common) ↦ the target networks.
        what: name of the method, for the bar of progress.
        source_strength: γ̄.
        target_strength: γ.
        elastic_coupling: δ; a sequence of n adds a leading axis to every observable.
        start: of the points.
        anchor: of the points.
        strict: whether a network that did not converge raises; otherwise its status says so.
        progress: called with the fraction done, 0 … 1, source and target a half each.
        common: arguments of both functions, among them ``seeds``, ``dtype`` and ``device``.

    Returns:
        The observables.

    Raises:
        InputError: an argument out of range, before anything is trained.
        UnconvergedError: a network that did not converge, if ``strict``; names its seed, δ and γ.
    """
    check_number("source_strength", source_strength, minimum=0.0, open_minimum=True)
    points = target_points(elastic_coupling, target_strength, start, anchor)
    common["seeds"] = seeds = check_seeds(common["seeds"], distinct=True)
    check_place(common["dtype"], common["device"])
    with shown(progress, f"{what} of {len(seeds)} networks") as show:
        source_data = _of_each(len(seeds), task.x_source, task.y_source)
        sources = train_source(*source_data, source_strength=source_strength, progress=part_of(show, 0, 2), **common)
        if strict:
            require_converged(sources.status, [f"source network, seed {s}, γ̄={source_strength:g}" for s in seeds])
        data = *_of_each(len(seeds), task.x_target, task.y_target), task.x_test
        target = train_target(sources, *data, points=points, progress=part_of(show, 1, 2), **common)
    if strict:
        for seed, row in zip(seeds, target.status, strict=True):
            require_converged(row, [f"target network, seed {seed}, {point}" for point in points])
    observables = _observables(task, target)
    finite = np.isfinite(observables["train_loss"] + observables["test_loss"])
    finite = finite.reshape(*finite.shape[:2], -1).all(-1)
    status = [
        [
            tied(None if point.start == "scratch" else source, end if sound else Status.DIVERGED)
            for end, sound, point in zip(*row, points, strict=True)
        ]
        for source, *row in zip(sources.status, target.status, finite, strict=True)
    ]
    single = np.ndim(elastic_coupling) == 0
    return summarise(observables, status, target.residual, single=single, times=target.times)


def _observables(task: TransferTask, target: TargetNetworks) -> dict[str, np.ndarray]:
    """Observables of each network; out of the range of numbers they are infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = {
            "prediction": target.prediction,
            "train_loss": mean_squared_error(*_flat(task, target.train_prediction, task.y_target)),
            "test_loss": mean_squared_error(*_flat(task, target.prediction, task.y_test)),
            "kernel": target.kernel,
        }
        if "prediction_second_moment" in target.extras:
            moments = target.prediction, target.extras["prediction_second_moment"]
            found["sampled_test_loss"] = expected_squared_error(*_flat(task, *moments, task.y_test))
    return found


def _of_each(count: int, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Data of several outputs as ``count`` networks' own, which tells an axis of outputs from one of networks."""
    return (x, y) if y.ndim == 1 else tuple(np.broadcast_to(array, (count, *array.shape)) for array in (x, y))


def _flat(task: TransferTask, *arrays: np.ndarray) -> list[np.ndarray]:
    """Arrays (…, P), or (…, P, C) of several outputs as (…, PC): losses are means over samples and outputs."""
    if task.y_target.ndim == 1:
        return list(arrays)
    return [array.reshape(*array.shape[:-2], -1) for array in arrays]
