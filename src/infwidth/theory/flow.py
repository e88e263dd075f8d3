"""Gradient flow at infinite width: a target network started from, and tied to, a trained source network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from infwidth.numerics.activations import ACTIVATIONS as REGISTERED
from infwidth.numerics.checks import InputError, check_choice, check_count, check_number
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks.transfer_task import TransferTask
from infwidth.theory.linear.course import Course, Training, source_moment, target_course
from infwidth.theory.problem import Designs, check_activation, check_couplings, check_times, mean_squared_error

if TYPE_CHECKING:
    from torch import Tensor

ACTIVATIONS = tuple(REGISTERED)

# The residual compares with a run at this many times the tolerance ...
LOOSER = 100.0
# ... and may exceed that run's tolerance, which is per step, by this factor.
ACCUMULATION = 100.0


@dataclass(frozen=True)
class FlowSolution:
    """The target network's course at infinite width. A sequence of n couplings δ puts a leading axis n before every
    shape below except that of ``times``; a number adds none.

    Attributes:
        times: the target times, (T,).
        prediction: f on the test points, (T, Pt).
        train_loss: mean of (f − y)² over the target training points, (T,). With particles an estimate from which
            their number's bias is removed, see ``particle_solution.average_loss``; so is test_loss.
        test_loss: mean of (f − y)² over the test points, (T,).
        kernel: Φ = E φφᵀ on the target training points at the last time, (P2, P2).
        weights: v with f(x) = x·v/√D, (T, D), of a linear network; else None.
        status: how the solver ended; a tuple for a sequence of couplings. Times that were not reached hold NaN.
        residual: linear: the largest, over times, of rms(f − f̃)/rms(y) on the target training points, where f̃ is
            the answer at a hundred times the tolerance (an estimate of f̃'s error, so on the safe side for f), and
            of the relative violation of stationarity at infinite times. Particles: the largest estimate, over
            steps of source and target and over replicas, of one step's error in f, rms(f − f_pred)/rms(y) on the
            training points: the difference of the second- and the first-order solution. The integrator keeps
            it below ``rtol``. The sampling error is not in it but in ``stderr``.
        iterations: linear: right-hand sides and Newton steps of the source and this target; particles: right-hand
            sides of the source and this target, the largest over replicas.
        stderr: observable → standard error, of the observable's shape, over replicas (NaN for one replica); 0 for
            the linear network, where nothing is sampled.
    """

    times: np.ndarray
    prediction: np.ndarray
    train_loss: np.ndarray
    test_loss: np.ndarray
    kernel: np.ndarray
    weights: np.ndarray | None
    status: Status | tuple[Status, ...]
    residual: float | np.ndarray
    iterations: int | np.ndarray
    stderr: Mapping[str, float | np.ndarray]


def solve(
    task: TransferTask,
    *,
    activation: str,
    source_strength: float,
    target_strength: float,
    elastic_coupling: float | Sequence[float],
    weight_decay: float,
    source_weight_decay: float | None = None,
    source_time: float,
    target_times: Sequence[float],
    start: str = "source",
    anchor: str = "source",
    particles: int | None = None,
    replicas: int = 4,
    seed: int = 0,
    rtol: float | None = None,
    max_evaluations: int = 1_000_000,
    strict: bool = True,
    device: str = "cpu",
    observe: Callable[[int, int | None, int | None, Tensor], None] | None = None,
    sources: dict | None = None,
) -> FlowSolution:
    """Solve the gradient flow of elastic transfer at N = ∞ (docs/theory.md §2 eq. (7)).

    A linear network's moment equations close and are integrated as they are. For other activations the
    mean-field dynamics are solved with S particles, neurons sampled from the initial law, in R independent
    replicas that also give the standard errors; no network is involved. ``stderr`` measures the error from finite
    S; its bias is of order 1/S. Couplings are solved on the same particles, so their differences are more
    accurate than each.

    Time is that of the flow with learning rate γ²N on readout and hidden weights; decays and coupling enter the
    flow as they stand. The setting is that of arXiv 2507.04448.

    Args:
        task: the data.
        activation: one of ``ACTIVATIONS``.
        source_strength: γ̄ > 0, feature-learning strength of the source; γ → 0 is the lazy limit.
        target_strength: γ > 0, that of the target.
        elastic_coupling: δ ≥ 0 of the target's hidden weights to the source's final ones, a number or a
            sequence. 0 still starts there; inf freezes them, and its answer is exact.
        weight_decay: λ ≥ 0 of readout and hidden weights in the target.
        source_weight_decay: that in the source; the target's if None.
        source_time: time for which the source trains; inf, its fixed point, needs decay and the linear activation.
        target_times: increasing times ≥ 0 at which the target is observed, (T,); inf likewise.
        start: "source" starts hidden weights at the source's; "scratch" trains fresh weights without an anchor,
            whatever δ.
        anchor: "source", or "random": hidden weights start from, and are tied to, random ones of the source's
            norm neuron by neuron, the control for anchoring as such.
        particles: S, even: particles of the source; the target has 2S, two on each source particle. None takes
            1024. The linear activation has no use for this and the next two arguments.
        replicas: R, independent sets of particles.
        seed: of the particles. A replica depends on it and on its own number alone.
        rtol: relative tolerance of an integrator's step; None takes 1e-8 (linear) or 1e-2 (particles).
        max_evaluations: right-hand sides allowed each integration.
        strict: whether an unconverged point raises; if not it is returned with its status.
        device: where particles are moved, "cpu" or "cuda".
        observe: called as observe(replica, coupling index, time index, preactivations) with the particles'
            preactivations on the target training points, (2S, P2), at every target time that is reached, and as
            observe(replica, None, None, preactivations) with the source's on its own, (S, P1). Not for the linear
            activation, which has no particles.
        sources: where trained source particles are kept: calls that are passed the same dict, initially empty, train
            equal sources once, whatever γ, δ, start and anchor. The linear activation has no use for it.

    Returns:
        The solution.

    Raises:
        InputError: an argument out of range, or an activation the theory does not cover.
        UnconvergedError: an unconverged point, if ``strict``.
    """
    check_activation(activation, ACTIVATIONS)
    couplings, single = check_couplings(elastic_coupling)
    decay = check_number("weight_decay", weight_decay, minimum=0.0)
    source_decay = decay
    if source_weight_decay is not None:
        source_decay = check_number("source_weight_decay", source_weight_decay, minimum=0.0)
    times = check_times("target_times", target_times, weight_decay=decay)
    source_end = float(check_times("source_time", [source_time], weight_decay=source_decay)[0])
    check_choice("start", start, ("source", "scratch"))
    check_choice("anchor", anchor, ("source", "random"))
    default, largest = (1e-8, 1e-3) if activation == "linear" else (1e-2, 0.1)
    rtol = check_number("rtol", default if rtol is None else rtol, minimum=1e-12, maximum=largest)
    max_evaluations = check_count("max_evaluations", max_evaluations)
    strengths = [
        check_number(name, value, minimum=0.0, open_minimum=True)
        for name, value in (("source_strength", source_strength), ("target_strength", target_strength))
    ]
    if activation != "linear":
        from infwidth.theory.dynamics.solve import solve_particles  # torch takes a second to import

        for name, time in (("source_time", source_end), ("target_times", times[-1])):
            if np.isinf(time):
                raise InputError(
                    f"{name} = inf: expected a finite time, the end of the flow is exact for the linear activation "
                    "alone; pass a time that is long against 1/weight_decay"
                )
        points = solve_particles(
            task,
            activation=activation,
            strengths=strengths,
            couplings=couplings,
            decays=(source_decay, decay),
            source_time=source_end,
            times=times,
            origin="scratch" if start == "scratch" else anchor,
            particles=particles,
            replicas=replicas,
            seed=seed,
            rtol=rtol,
            max_evaluations=max_evaluations,
            device=device,
            observe=observe,
            sources=sources,
        )
        return _assemble(points, couplings, times, strict=strict, single=single)

    if observe is not None:
        raise InputError("observe: expected None for the linear activation, which is solved without particles; drop it")
    designs = Designs.of(task)
    source = Training.of(designs.source, task.y_source, strengths[0], source_decay, source_decay)
    target = Training.of(designs.target, task.y_target, strengths[1], decay, decay)

    def courses(tolerance: float) -> list[Course]:
        limits = {"rtol": tolerance, "max_evaluations": max_evaluations}
        if start == "scratch":
            fresh = target_course(target, np.eye(designs.target.shape[1]), 0.0, times, **limits)
            return [fresh] * len(couplings)
        trained = source_moment(source, source_end, designs.dimension, **limits)
        hidden = trained.isotropic() if anchor == "random" else trained.hidden
        return [target_course(target, hidden, coupling, times, **limits).after(trained) for coupling in couplings]

    allowed = ACCUMULATION * LOOSER * rtol
    pairs = zip(courses(rtol), courses(LOOSER * rtol), strict=True)
    points = [_observe(task, designs, course, check, allowed) for course, check in pairs]
    return _assemble(points, couplings, times, strict=strict, single=single)


def _assemble(
    points: list[dict], couplings: list[float], times: np.ndarray, *, strict: bool, single: bool
) -> FlowSolution:
    """Check the couplings' fields of FlowSolution and put them together."""
    for coupling, point in zip(couplings, points, strict=True):
        if strict and point["status"] is not Status.CONVERGED:
            what = f"residual {point['residual']:.1e} after {point['iterations']} evaluations"
            raise UnconvergedError(f"gradient-flow theory at elastic_coupling = {coupling:g}: {what}", point["status"])
    if single:
        return FlowSolution(**points[0], times=times)
    columns = {}
    for name, first in points[0].items():
        values = [point[name] for point in points]
        if name == "status":
            columns[name] = tuple(values)
        elif name == "stderr":
            sampled = any(np.ndim(error) for error in first.values())
            columns[name] = {key: np.array([v[key] for v in values]) if sampled else first[key] for key in first}
        else:
            columns[name] = None if first is None else np.array(values)
    return FlowSolution(**columns, times=times)


def _observe(task: TransferTask, designs: Designs, course: Course, check: Course, allowed: float) -> dict:
    """One coupling's fields of FlowSolution."""
    fit = course.weights @ designs.target.T
    prediction = course.weights @ designs.test.T
    drift = np.sqrt(mean_squared_error(fit, check.weights @ designs.target.T))
    scale = np.sqrt(np.mean(task.y_target**2)) or 1.0
    residual = max(course.residual, float(np.max(drift) / scale))
    status = course.status
    if status is Status.CONVERGED and not residual <= allowed:
        status = Status.STALLED
    return {
        "prediction": prediction,
        "train_loss": mean_squared_error(fit, task.y_target),
        "test_loss": mean_squared_error(prediction, task.y_test),
        "kernel": designs.target @ course.hidden @ designs.target.T,
        "weights": designs.expand(course.weights),
        "status": status,
        "residual": residual,
        "iterations": course.evaluations,
        "stderr": dict.fromkeys(("prediction", "train_loss", "test_loss", "kernel"), 0.0),
    }
