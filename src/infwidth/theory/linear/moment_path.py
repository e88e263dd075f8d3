"""The course of a linear network's moments (docs/theory.md §2)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from infwidth.numerics.checks import InputError, check_choice
from infwidth.numerics.status import Status
from infwidth.theory.linear.integrators import Trajectory, dormand_prince, implicit_extrapolation
from infwidth.theory.linear.moments import AnchoredFlow, Moments
from infwidth.theory.linear.residual_flow import ResidualFlow

# An explicit step is bounded by stability at a few units of 1/rate; beyond this rate × time implicit ones are cheaper.
STIFF = 1000.0
# Beyond this rate × time the training residual may be so small that a difference of the moments does not hold it.
LONG = 1e5


@dataclass(frozen=True)
class MomentPath:
    """Moments at each time that was asked for, and what it took.

    Attributes:
        moments: one Moments per time reached; fewer than asked for when the integrator stopped early.
        evaluations: right-hand sides computed.
        status: CONVERGED if every time was reached.
    """

    moments: tuple[Moments, ...]
    evaluations: int
    status: Status


def integrate_moments(
    moments: Moments,
    inputs: np.ndarray,
    labels: np.ndarray,
    times: np.ndarray,
    *,
    strength: float,
    elastic_coupling: float = 0.0,
    readout_decay: float = 0.0,
    hidden_decay: float = 0.0,
    rtol: float = 1e-8,
    max_evaluations: int = 1_000_000,
    method: str = "auto",
) -> MomentPath:
    """Integrate the moment equations of docs/theory.md §2 from any moments.

    They are exact at every width when started from a network's empirical moments, and at N = ∞ when started
    from the moments of the initial law. Time is that of the flow with learning rate γ²N.

    Args:
        moments: the moments at time 0.
        inputs: training inputs over √D, X/√D, (P, D).
        labels: training labels, (P,).
        times: times ≥ 0, increasing, finite, (T,).
        strength: feature-learning strength γ.
        elastic_coupling: δ, finite.
        readout_decay: λ_w.
        hidden_decay: λ_W.
        rtol: local error allowed per step, relative to the largest entry of each moment.
        max_evaluations: right-hand sides after which the integrator gives up with status STALLED.
        method: "explicit" (Dormand–Prince of order 8), "implicit" (extrapolated linearly implicit Euler), or
            "auto": implicit where decay and coupling would dictate the explicit step.

    Returns:
        The moments at ``times``.
    """
    check_choice("method", method, ("auto", "explicit", "implicit"))
    setting = moments, inputs, labels, strength, elastic_coupling, readout_decay, hidden_decay
    flow = AnchoredFlow(*setting)
    times = np.asarray(times, dtype=np.float64)
    if times.size == 0 or not np.isfinite(times).all() or times[0] < 0 or np.any(np.diff(times) <= 0):
        raise InputError(f"times = {times.tolist()}: expected increasing finite numbers ≥ 0; reorder them")
    if method == "auto":
        method = "implicit" if flow.fastest_rate * times[-1] > STIFF else "explicit"
    if method == "implicit" and flow.driven_rate * times[-1] > LONG:
        flow = ResidualFlow(*setting)
    integrate = implicit_extrapolation if method == "implicit" else dormand_prince
    path: Trajectory = integrate(flow, flow.start, times, rtol=rtol, max_evaluations=max_evaluations)
    reached = zip(times, path.states, strict=False)
    return MomentPath(tuple(flow.moments(t, state) for t, state in reached), path.evaluations, path.status)
