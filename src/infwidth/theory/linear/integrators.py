"""Two adaptive integrators for a system that knows its blocks: explicit of order 8, and implicit for stiff ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.integrate import DOP853

from infwidth.numerics.status import Status
from infwidth.theory.patience import Patience

# Evaluations after which a run's pace is judged for the first time.
JUDGED = 4000
# Columns of the extrapolation table: order of the implicit integrator.
COLUMNS = 7
# Numbers up to which runs of substeps are made side by side: small systems cost calls, large ones fill the cache.
TOGETHER = 2**14
# By how much extrapolation, whose weights add up to 1,200 in size, and its linear solves amplify rounding in a state.
AMPLIFIED = 4000.0


class System(Protocol):
    """An ordinary differential equation on a flat state made of blocks.

    Where several states are taken at once, (k, n), each has its own time, (k, 1).
    """

    sizes: Sequence[int]
    driven_rate: float  # at which the state first changes, decay apart: no first step is longer than 1/rate
    decay_rate: float  # of what goes to 0 without data; 0 where a state that fits them stays where it is

    def relevance(self, time: float) -> np.ndarray:
        """By how much an error of each block counts."""

    def derivative(self, time: float | np.ndarray, state: np.ndarray) -> np.ndarray:
        """Right-hand side, of one state or of several."""

    def rounding(self, time: float, state: np.ndarray) -> np.ndarray:
        """What rounding of its terms leaves of each block's derivative."""

    def implicit_solver(
        self, time: float, state: np.ndarray, step_sizes: np.ndarray
    ) -> Callable[[np.ndarray], np.ndarray]:
        """The map v ↦ (I − step·J)⁻¹ v, J the Jacobian at a state: of j vectors (j, n), for the last j of k steps."""


@dataclass(frozen=True)
class Trajectory:
    """States at the times asked for, as far as they were reached.

    Attributes:
        states: one state per time reached.
        evaluations: right-hand sides computed.
        status: CONVERGED if the last time was reached, STALLED if the evaluations ran out, DIVERGED if the
            step size or the state left the range of floating-point numbers.
    """

    states: tuple[np.ndarray, ...]
    evaluations: int
    status: Status


def dormand_prince(
    system: System, state: np.ndarray, times: np.ndarray, *, rtol: float, max_evaluations: int
) -> Trajectory:
    """Integrate with the explicit Dormand–Prince pair of order 8(5,3) and its dense output.

    Args:
        system: the equations.
        state: the state at time 0.
        times: increasing times ≥ 0.
        rtol: relative tolerance per step; the absolute one is a hundredth of it.
        max_evaluations: right-hand sides allowed.

    Returns:
        The states at ``times``.
    """
    states = [state] if times[0] == 0 else []
    if len(states) == len(times):
        return Trajectory(tuple(states), 0, Status.CONVERGED)
    solver = DOP853(system.derivative, 0.0, state, times[-1], rtol=rtol, atol=rtol / 100)
    if not np.isfinite(solver.h_abs):  # it would look for a first step for ever
        return Trajectory(tuple(states), solver.nfev, Status.DIVERGED)
    while solver.status == "running" and solver.nfev < max_evaluations:
        solver.step()
        if solver.status == "failed" or not np.isfinite(solver.y).all():
            return Trajectory(tuple(states), solver.nfev, Status.DIVERGED)
        within = times[len(states) : np.searchsorted(times, solver.t, side="right")]
        if len(within):
            states.extend(solver.dense_output()(within).T)
    status = Status.CONVERGED if len(states) == len(times) else Status.STALLED
    return Trajectory(tuple(states), solver.nfev, status)


def implicit_extrapolation(
    system: System, state: np.ndarray, times: np.ndarray, *, rtol: float, max_evaluations: int
) -> Trajectory:
    """Integrate with the extrapolated linearly implicit Euler method of fixed order ``COLUMNS``.

    A step h is made with 1, 2, …, 7 substeps (I − h/n J) Δ = h/n F, J frozen at the step's start, and
    extrapolated to n → ∞ (Deuflhard 1985; Hairer & Wanner, Solving ODEs II, §IV.9). Its cost does not grow
    with the decay rates. The error is measured blockwise: max|error| ≤ rtol (max|block| + 1/100).

    Args:
        system: the equations.
        state: the state at time 0.
        times: increasing times ≥ 0.
        rtol: relative tolerance per step.
        max_evaluations: right-hand sides allowed.

    Returns:
        The states at ``times``.
    """
    states: list[np.ndarray] = []
    time, evaluations = 0.0, 0
    patience = Patience(times[-1], max_evaluations, JUDGED)
    # A first step across all of the course would land on a saddle, and no error estimate would notice.
    first = step = min(times[-1] * 1e-4, 1 / system.driven_rate if system.driven_rate else np.inf)
    may_rest = system.decay_rate * times[-1] <= rtol
    for target in times:
        while time < target:
            if patience.over(time, evaluations):
                return Trajectory(tuple(states), evaluations, Status.STALLED)
            h = min(step, target - time)
            with np.errstate(over="ignore", invalid="ignore"):  # a step far too long may overflow; it is rejected
                candidate, error = _extrapolate(system, time, state, h)
            evaluations += COLUMNS * (COLUMNS + 1) // 2
            ratio = _scaled(system, time + h, error, np.maximum(np.abs(state), np.abs(candidate)), rtol)
            if np.isfinite(ratio) and ratio <= 1:
                if may_rest and _rests(system, time + h, candidate):
                    return Trajectory(
                        (*states, *[candidate] * (len(times) - len(states))), evaluations, Status.CONVERGED
                    )
                # Land on the target exactly: time + (target − time) may miss it by rounding.
                time, state = (target if h == target - time else time + h), candidate
            factor = np.clip(0.9 * max(ratio, 1e-12) ** (-1 / COLUMNS), 0.2, 4.0) if np.isfinite(ratio) else 0.2
            # A step cut short to land on a target says nothing against the longer one.
            step = max(step, h * factor) if ratio <= 1 and h < step else h * factor
            if step < 1e-14 * max(time, first):
                return Trajectory(tuple(states), evaluations, Status.DIVERGED)
        states.append(state)
    return Trajectory(tuple(states), evaluations, Status.CONVERGED)


def _extrapolate(system, time, state, h):
    """One extrapolated step and the difference of its last two columns."""
    counts = np.arange(1, COLUMNS + 1)[:, None]
    column = np.tile(state, (COLUMNS, 1))
    together = min(COLUMNS, max(1, TOGETHER // len(state)))
    for low in range(0, COLUMNS, together):
        runs = slice(low, low + together)
        _substeps(system, time, state, h, counts[runs], column[runs])
    # Aitken–Neville in 1/n: each column extrapolates one result more than the one before.
    for k in range(1, COLUMNS):
        before, column = column, column[1:] - column[:-1]
        column /= counts[k:] / (counts[k:] - k) - 1
        column += before[1:]
    return column[-1], column[-1] - before[-1]


def _substeps(system, time, state, h, counts, ends):
    """Put into ``ends``, (k, n), which hold the state, where runs of n = ``counts`` substeps, (k, 1), end."""
    steps = h / counts
    solve = system.implicit_solver(time, state, steps[:, 0])
    for i in range(1, int(counts[-1, 0]) + 1):
        done = np.count_nonzero(counts < i)
        change = system.derivative(time + i * h / counts[done:], ends[done:])
        change *= steps[done:]
        ends[done:] += solve(change)


def _rests(system, time, state):
    """Whether a state that fits the data moves by rounding alone, which no time makes a motion."""
    motion = np.maximum.reduceat(np.abs(system.derivative(time, state)), _starts(system))
    return bool((motion <= AMPLIFIED * system.rounding(time, state)).all())


def _scaled(system, time, error, magnitude, rtol):
    starts = _starts(system)
    scale = rtol * (np.maximum.reduceat(magnitude, starts) + 1e-2)
    return float(np.max(system.relevance(time) * np.maximum.reduceat(np.abs(error), starts) / scale))


def _starts(system):
    return np.cumsum((0, *system.sizes[:-1]))
