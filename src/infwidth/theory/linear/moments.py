"""Gradient flow of a linear network as a closed set of moment equations (docs/theory.md §2)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dgetrf, dgetrs

from infwidth.numerics.checks import InputError, check_choice
from infwidth.numerics.status import Status
from infwidth.theory import elastic
from infwidth.theory.linear.integrators import Trajectory, dormand_prince, implicit_extrapolation

# An explicit step is bounded by stability at a few units of 1/rate; beyond this rate × time implicit ones are cheaper.
STIFF = 1000.0


@dataclass(frozen=True)
class Moments:
    """Second moments, over neurons, of readout w, hidden weights W and anchor W̄.

    Attributes:
        readout_moment: a = E w², a number.
        predictor: u = E wW, (D,); the predictor is f(x) = x·u/(γ√D).
        hidden_moment: Q = E WWᵀ, (D, D).
        cross: T = E WW̄ᵀ, (D, D).
        anchor_readout: z = E wW̄, (D,).
        anchor_moment: A1 = E W̄W̄ᵀ, (D, D), constant in time.
    """

    readout_moment: float
    predictor: np.ndarray
    hidden_moment: np.ndarray
    cross: np.ndarray
    anchor_readout: np.ndarray
    anchor_moment: np.ndarray

    @classmethod
    def fresh_readout(cls, hidden_moment: np.ndarray, readout_moment: float = 1.0) -> Moments:
        """Moments of a fresh readout, E w² = 1 at N = ∞, on hidden weights that are their own anchor."""
        return cls.continued(readout_moment, np.zeros(len(hidden_moment)), hidden_moment)

    @classmethod
    def continued(cls, readout_moment: float, predictor: np.ndarray, hidden_moment: np.ndarray) -> Moments:
        """Moments of a readout, E w² and E wW given, on hidden weights that are their own anchor."""
        return cls(
            readout_moment=readout_moment,
            predictor=predictor,
            hidden_moment=hidden_moment,
            cross=hidden_moment,
            anchor_readout=predictor,
            anchor_moment=hidden_moment,
        )


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
    flow = _AnchoredFlow(moments, inputs, labels, strength, elastic_coupling, readout_decay, hidden_decay)
    times = np.asarray(times, dtype=np.float64)
    if times.size == 0 or not np.isfinite(times).all() or times[0] < 0 or np.any(np.diff(times) <= 0):
        raise InputError(f"times = {times.tolist()}: expected increasing finite numbers ≥ 0; reorder them")
    if method == "auto":
        method = "implicit" if flow.fastest_rate * times[-1] > STIFF else "explicit"
    integrate = implicit_extrapolation if method == "implicit" else dormand_prince
    path: Trajectory = integrate(flow, flow.start, times, rtol=rtol, max_evaluations=max_evaluations)
    reached = zip(times, path.states, strict=False)
    return MomentPath(tuple(flow.moments(t, state) for t, state in reached), path.evaluations, path.status)


class _AnchoredFlow:
    """The moment equations with the anchor split off, W = m(t) W̄ + U.

    With L = λ_W + δ and m = δ/L + (1 − δ/L) e^{−Lt}, dU/dt = w s − L U: nothing of order δ is left but decay.
    In a = E w², z = E wW̄/γ, p = E wU/γ, R = E UUᵀ, Y = E UW̄ᵀ the equations of docs/theory.md §2 read
        ȧ = 2γ² s·v − 2λ_w a             v = m z + p,  s = Xᵀ(y − Xv/√D)/√D
        ż = (m A1 + Yᵀ) s − λ_w z        ṗ = (m Y + R + a) s − (λ_w + L) p
        Ṙ = γ²(s pᵀ + p sᵀ) − 2L R       Ẏ = γ² s zᵀ − L Y
    Dividing by γ keeps z, p and s of order 1 in the lazy limit. The state is the flat vector (a, z, p, R, Y).
    """

    def __init__(self, moments, inputs, labels, strength, elastic_coupling, readout_decay, hidden_decay):
        d = self.dimension = inputs.shape[1]
        self.readout_decay, self.hidden_decay = readout_decay, hidden_decay
        self.stiffness = elastic.stiffness(hidden_decay, elastic_coupling)
        self.pull = elastic.pull(hidden_decay, elastic_coupling)
        self.anchor_moment = moments.anchor_moment
        self.strength = strength
        self.force = inputs.T @ labels
        self.covariance = inputs.T @ inputs
        self.sizes = (1, d, d, d * d, d * d)
        edges = [0, *itertools.accumulate(self.sizes)]
        self.parts = [slice(*pair) for pair in itertools.pairwise(edges)]
        lag = moments.cross - moments.anchor_moment
        self.start = np.concatenate(
            [
                [moments.readout_moment],
                moments.anchor_readout / strength,
                (moments.predictor - moments.anchor_readout) / strength,
                (moments.hidden_moment - moments.cross - lag.T).ravel(),
                lag.ravel(),
            ]
        )

    @cached_property
    def driven_rate(self) -> float:
        """Rate at which the initial kernel fits the data, plus that at which weights first grow with the labels."""
        kernel = max(self.start[0], np.linalg.eigvalsh(self.anchor_moment)[-1])
        return kernel * np.linalg.eigvalsh(self.covariance)[-1] + self.strength * np.linalg.norm(self.force)

    @property
    def decay_rate(self) -> float:
        """λ_w + λ_W."""
        return self.readout_decay + self.hidden_decay

    @property
    def fastest_rate(self) -> float:
        """Decay and coupling, plus the rate at which the data drive the state."""
        return self.stiffness + self.driven_rate

    def relevance(self, time):
        """What is left on the anchor, of what matters through it alone: at δ = 0 (z, Y) ends on a neutral mode."""
        m = self.anchoring(time)
        return np.array([1.0, m, 1.0, 1.0, m])

    def split(self, state):
        """Views (a, z, p, R, Y) of a state; a has shape (1,)."""
        d = self.dimension
        a, z, p, r, y = self.parts
        return state[a], state[z], state[p], state[r].reshape(d, d), state[y].reshape(d, d)

    def anchoring(self, time):
        """m(t), the weight that is left on the anchor."""
        return self.pull + (1 - self.pull) * np.exp(-self.stiffness * time)

    def moments(self, time, state) -> Moments:
        a, z, p, r, y = self.split(state)
        m = self.anchoring(time)
        hidden_moment = m * m * self.anchor_moment + m * (y + y.T) + r
        predictor, anchor_readout = self.strength * (m * z + p), self.strength * z
        return Moments(
            float(a[0]), predictor, hidden_moment, m * self.anchor_moment + y, anchor_readout, self.anchor_moment
        )

    def derivative(self, time, state):
        """Right-hand side at a state."""
        a, z, p, r, y = self.split(state)
        m = self.anchoring(time)
        v = m * z + p
        s = self.force - self.covariance @ v
        out = np.empty_like(state)
        da, dz, dp, dr, dy = self.split(out)
        gain = self.strength**2
        da[:] = 2 * gain * (s @ v) - 2 * self.readout_decay * a
        dz[:] = m * (self.anchor_moment @ s) + s @ y - self.readout_decay * z
        dp[:] = m * (y @ s) + r @ s + a * s - (self.readout_decay + self.stiffness) * p
        driven = (gain * s)[:, None]
        np.multiply(driven, p, out=dy)  # for a moment
        np.add(dy, dy.T, out=dr)
        dr -= (2 * self.stiffness) * r
        np.multiply(driven, z, out=dy)
        dy -= self.stiffness * y
        return out

    def rounding(self, time, state):
        """What rounding leaves of each block's derivative: that of s, a small difference, and of decay."""
        a, z, p, r, y = (float(np.linalg.norm(part)) for part in self.split(state))
        m, eps, gain = self.anchoring(time), np.finfo(float).eps, self.strength**2
        s = eps * (np.linalg.norm(self.force) + np.linalg.norm(self.covariance) * (m * z + p))
        drift = eps * self.stiffness
        return np.array(
            [
                2 * gain * s * (m * z + p),
                (m * np.linalg.norm(self.anchor_moment) + y) * s,
                (m * y + r + a) * s + drift * p,
                gain * s * p + drift * r,
                gain * s * z + drift * y,
            ]
        )

    def implicit_solver(self, time, state, step_size):
        """Return v ↦ (I − step·J)⁻¹ v with J the Jacobian at a state.

        R and Y feed on (a, z, p) alone, so they are eliminated by hand: one LU of size 2D + 1.
        """
        a, z, p, r, y = self.split(state)
        d, h, m = self.dimension, step_size, self.anchoring(time)
        v = m * z + p
        s = self.force - self.covariance @ v
        shrink_r, shrink_y = 1 / (1 + 2 * h * self.stiffness), 1 / (1 + h * self.stiffness)
        # What R and Y pass back to (z, p) per unit of their own drive.
        echo_r, echo_y = h * shrink_r * self.strength**2, h * shrink_y * self.strength**2
        eye = np.eye(d)
        # With e = −(XᵀX/D)(m ζ + π) the change of s, change of (z, p) per unit of e, ζ, π (before decay):
        z_e = m * self.anchor_moment + y.T + echo_y * np.outer(z, s)
        z_z = echo_y * (s @ s) * eye
        p_e = m * y + r + (a + m * echo_y * (z @ s) + echo_r * (p @ s)) * eye
        p_e += echo_r * np.outer(p, s)
        p_z = m * echo_y * np.outer(s, s)
        p_p = echo_r * (np.outer(s, s) + (s @ s) * eye)
        z_e, p_e = -z_e @ self.covariance, -p_e @ self.covariance
        a_v = 2 * self.strength**2 * (s - self.covariance @ v)
        core = np.zeros((2 * d + 1, 2 * d + 1))
        core[0, 0] = -2 * self.readout_decay
        core[0, 1 : d + 1], core[0, d + 1 :] = m * a_v, a_v
        core[1 : d + 1, 1 : d + 1] = m * z_e + z_z - self.readout_decay * eye
        core[1 : d + 1, d + 1 :] = z_e
        core[d + 1 :, 0] = s
        core[d + 1 :, 1 : d + 1] = m * p_e + p_z
        core[d + 1 :, d + 1 :] = p_e + p_p - (self.readout_decay + self.stiffness) * eye
        core *= -h
        core.flat[:: 2 * d + 2] += 1
        factors, pivots, _ = dgetrf(core, overwrite_a=True)

        def solve(vector):
            va, vz, vp, vr, vy = self.split(vector)
            right = np.concatenate(
                [va, vz + h * shrink_y * (s @ vy), vp + h * (m * shrink_y * (vy @ s) + shrink_r * (vr @ s))]
            )
            out = np.empty_like(vector)
            small, _ = dgetrs(factors, pivots, right)
            out[: len(small)] = small
            _, dz, dp, dr, dy = self.split(out)
            moved = (h * self.strength**2) * np.stack([-self.covariance @ (m * dz + dp), s], 1)
            half = moved @ np.stack([p, dp])
            np.add(half, half.T, out=dr)
            dr += vr
            dr *= shrink_r
            np.matmul(moved, np.stack([z, dz]), out=dy)
            dy += vy
            dy *= shrink_y
            return out

        return solve
