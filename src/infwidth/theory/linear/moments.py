"""Gradient flow of a linear network as a closed set of moment equations (docs/theory.md §2)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dgetrf, dgetrs

from infwidth.theory import elastic


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


class AnchoredFlow:
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
        """Views (a, z, p, R, Y) of a state, or of several; a has shape (…, 1)."""
        a, z, p, r, y = self.parts
        square = (*state.shape[:-1], self.dimension, self.dimension)
        return state[..., a], state[..., z], state[..., p], state[..., r].reshape(square), state[..., y].reshape(square)

    def anchoring(self, time):
        """m(t), the weight that is left on the anchor."""
        return self.pull + (1 - self.pull) * np.exp(-self.stiffness * time)

    def moments(self, time, state) -> Moments:
        """What a state stands for."""
        a, z, p, r, y = self.split(state)
        m = self.anchoring(time)
        hidden_moment = m * m * self.anchor_moment + m * (y + y.T) + r
        predictor, anchor_readout = self.strength * (m * z + p), self.strength * z
        return Moments(
            float(a[0]), predictor, hidden_moment, m * self.anchor_moment + y, anchor_readout, self.anchor_moment
        )

    def push(self, state, v) -> np.ndarray:
        """s, the gradient of the loss, at a state and the v that it implies."""
        return self.force - v @ self.covariance

    def derivative(self, time, state):
        """Right-hand side at a state, or at several, (k, n), at a time each, (k, 1)."""
        a, z, p, r, y = self.split(state)
        m, d, gain = self.anchoring(time), self.dimension, self.strength**2
        v = m * z + p
        s = self.push(state, v)
        row, column = s[..., None, :], s[..., None]
        both = state[..., self.parts[3].start : self.parts[4].stop].reshape(*state.shape[:-1], 2 * d, d)
        turned = (both @ column)[..., 0]  # R s and Y s
        out = np.empty_like(state)
        da, dz, dp, dr, dy = self.split(out)
        np.multiply(2 * gain, (row @ v[..., None])[..., 0], out=da)
        da -= 2 * self.readout_decay * a
        np.multiply(m, s @ self.anchor_moment, out=dz)
        dz += (row @ y)[..., 0, :]
        dz -= self.readout_decay * z
        np.multiply(m, turned[..., d:], out=dp)
        dp += turned[..., :d]
        dp += a * s
        dp -= (self.readout_decay + self.stiffness) * p
        column = gain * column
        np.multiply(column, p[..., None, :], out=dy)  # for a moment
        np.add(dy, dy.swapaxes(-1, -2), out=dr)
        dr -= (2 * self.stiffness) * r
        np.multiply(column, z[..., None, :], out=dy)
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

    def implicit_solver(self, time, state, step_sizes):
        """Return v ↦ (I − step·J)⁻¹ v with J the Jacobian at a state, for each of several steps (k,).

        R and Y feed on (a, z, p) alone, so they are eliminated by hand: one LU of size 2D + 1 a step.
        """
        at = Linearised(self, time, state, step_sizes)
        d, m, s = self.dimension, at.anchoring, at.push
        z_e, p_e = -at.z_s @ self.covariance, -at.p_s @ self.covariance
        a_v = 2 * self.strength**2 * (s - self.covariance @ at.weights)
        core = np.zeros((len(step_sizes), 2 * d + 1, 2 * d + 1))
        core[:, 0, 0] = -2 * self.readout_decay
        core[:, 0, 1 : d + 1], core[:, 0, d + 1 :] = m * a_v, a_v
        core[:, 1 : d + 1, 1 : d + 1] = m * z_e + at.z_z - self.readout_decay * np.eye(d)
        core[:, 1 : d + 1, d + 1 :] = z_e
        core[:, d + 1 :, 0] = s
        core[:, d + 1 :, 1 : d + 1] = m * p_e + at.p_z
        core[:, d + 1 :, d + 1 :] = p_e + at.p_p - (self.readout_decay + self.stiffness) * np.eye(d)
        core *= -step_sizes[:, None, None]
        add_identity(core)
        factors = [dgetrf(one, overwrite_a=True)[:2] for one in core]

        def solve(vectors):
            va, vz, vp, _, _ = self.split(vectors)
            z_more, p_more = at.echoes(vectors)
            small = np.concatenate([va, vz + z_more, vp + p_more], 1)
            out = np.empty_like(vectors)
            for one, own, right in zip(out, factors[-len(out) :], small, strict=True):
                one[: 2 * d + 1] = dgetrs(*own, right)[0]
            _, dz, dp, _, _ = self.split(out)
            at.fill(out, vectors, -(m * dz + dp) @ self.covariance)
            return out

        return solve


def add_identity(matrices: np.ndarray) -> None:
    """Add the identity to matrices (k, n, n) in place."""
    matrices.reshape(len(matrices), -1)[:, :: matrices.shape[1] + 1] += 1


class Linearised:
    """What a flow and its Jacobian are at a state, for implicit steps of k sizes.

    R and Y feed on (a, z, p) and the change e of s alone: they are eliminated by hand.

    Attributes:
        anchoring: m(t).
        weights: v.
        push: s.
        z_s, p_s: change of (z, p), before decay, per unit of e; R and Y pass a part of it back, (k, D, D).
        z_z, p_z, p_p: likewise per unit of ζ and π, the changes of z and p.
    """

    def __init__(self, equations: AnchoredFlow, time: float, state: np.ndarray, step_sizes: np.ndarray):
        a, z, p, r, y = equations.split(state)
        m, h = equations.anchoring(time), step_sizes[:, None, None]
        self.equations, self.state, self.anchoring, self.step_sizes = equations, state, m, h
        self.weights = m * z + p
        s = self.push = equations.push(state, self.weights)
        self.shrink_r, self.shrink_y = 1 / (1 + 2 * h * equations.stiffness), 1 / (1 + h * equations.stiffness)
        # What R and Y pass back to (z, p) per unit of their own drive.
        echo_r, echo_y = h * self.shrink_r * equations.strength**2, h * self.shrink_y * equations.strength**2
        eye = np.eye(equations.dimension)
        self.z_s = m * equations.anchor_moment + y.T + echo_y * np.outer(z, s)
        self.z_z = echo_y * (s @ s) * eye
        self.p_s = m * y + r + (a + m * echo_y * (z @ s) + echo_r * (p @ s)) * eye
        self.p_s += echo_r * np.outer(p, s)
        self.p_z = m * echo_y * np.outer(s, s)
        self.p_p = echo_r * (np.outer(s, s) + (s @ s) * eye)

    def echoes(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the parts R and Y of right-hand sides (j, n), of the last j steps, add to those of z and p."""
        _, _, _, vr, vy = self.equations.split(vectors)
        h, shrink_r, shrink_y = (part[-len(vectors) :, 0] for part in (self.step_sizes, self.shrink_r, self.shrink_y))
        m, s = self.anchoring, self.push
        return h * shrink_y * (s @ vy), h * (m * shrink_y * (vy @ s) + shrink_r * (vr @ s))

    def fill(self, out: np.ndarray, vectors: np.ndarray, e: np.ndarray) -> None:
        """Put into solutions that have their (a, z, p) the R and Y that belong to them and to e, (j, D)."""
        _, z, p, _, _ = self.equations.split(self.state)
        _, _, _, vr, vy = self.equations.split(vectors)
        _, dz, dp, dr, dy = self.equations.split(out)
        h, shrink_r, shrink_y = (part[-len(out) :] for part in (self.step_sizes, self.shrink_r, self.shrink_y))
        moved, other = np.empty((*e.shape, 2)), np.empty((len(e), 2, e.shape[1]))
        moved[..., 0], moved[..., 1] = e, self.push
        moved *= h * self.equations.strength**2
        other[:, 0], other[:, 1] = p, dp
        half = moved @ other
        np.add(half, half.swapaxes(1, 2), out=dr)
        dr += vr
        dr *= shrink_r
        other[:, 0], other[:, 1] = z, dz
        np.matmul(moved, other, out=dy)
        dy += vy
        dy *= shrink_y
