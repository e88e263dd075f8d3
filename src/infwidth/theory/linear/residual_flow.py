"""The moment equations of a linear network with the training residual as a state of its own, for long times."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dgetrf, dgetrs

from infwidth.theory.linear.design import Design
from infwidth.theory.linear.moments import AnchoredFlow, Linearised, add_identity


class ResidualFlow(AnchoredFlow):
    """The same flow with e = Uᵀ(y − Xv/√D) beside the moments, s = B e, X/√D = U σ Vᵀ, B = Vσ.

    Once the data are fitted, what still moves the weights is a residual as small as the decays, and y − Xv/√D holds no
    digit of it: rounding moves them instead, the further the longer. Its own equation,
        ė = −Bᵀv̇ = −Bᵀ(m ż + ṗ + ṁ z),
    has it to full relative precision: e is fast, driven by decay and damped by BᵀKB, K = E WWᵀ + a.
    The state is the flat vector (a, z, p, R, Y, e).
    """

    def __init__(self, moments, inputs, labels, strength, elastic_coupling, readout_decay, hidden_decay):
        super().__init__(moments, inputs, labels, strength, elastic_coupling, readout_decay, hidden_decay)
        design = Design.of(inputs)
        self.response = design.right * design.singular
        residual = design.left.T @ labels - self.response.T @ (moments.predictor / strength)
        self.start = np.concatenate([self.start, residual])
        self.sizes = (*self.sizes, len(residual))
        self.last = slice(len(self.start) - len(residual), None)

    def relevance(self, time):
        """As without e, whose error counts in full."""
        return np.append(super().relevance(time), 1.0)

    def push(self, state, v):
        """The same from e: s = B e."""
        return state[..., self.last] @ self.response.T

    def turning(self, time):
        """ṁ(t)."""
        return -self.stiffness * (1 - self.pull) * np.exp(-self.stiffness * time)

    def derivative(self, time, state):
        """Right-hand side at a state, or at several."""
        out = super().derivative(time, state)
        _, z, _, _, _ = self.split(state)
        _, dz, dp, _, _ = self.split(out)
        out[..., self.last] = -(self.anchoring(time) * dz + dp + self.turning(time) * z) @ self.response
        return out

    def rounding(self, time, state):
        """None: every term is as precise as the state it comes from."""
        return np.zeros(len(self.sizes))

    def implicit_solver(self, time, state, step_sizes):
        """Return v ↦ (I − step·J)⁻¹ v with J the Jacobian at a state, for each of several steps (k,).

        R and Y are eliminated by hand: one LU of size 2D + 1 + r a step. Its rows and columns are scaled to entries of
        order 1, as a step of any length makes e, but not what e moves, smaller in proportion.
        """
        at = Linearised(self, time, state, step_sizes)
        d, m, s, b, gain = self.dimension, at.anchoring, at.push, self.response, self.strength**2
        z, p, e = slice(1, d + 1), slice(d + 1, 2 * d + 1), slice(2 * d + 1, None)
        core = np.zeros((len(step_sizes), *(2 * d + 1 + b.shape[1],) * 2))
        core[:, 0, 0] = -2 * self.readout_decay
        core[:, 0, z], core[:, 0, p], core[:, 0, e] = 2 * gain * m * s, 2 * gain * s, 2 * gain * (at.weights @ b)
        core[:, z, z], core[:, z, e] = at.z_z - self.readout_decay * np.eye(d), at.z_s @ b
        core[:, p, 0], core[:, p, z], core[:, p, e] = s, at.p_z, at.p_s @ b
        core[:, p, p] = at.p_p - (self.readout_decay + self.stiffness) * np.eye(d)
        core[:, e] = -b.T @ (m * core[:, z] + core[:, p])
        core[:, e, z] -= self.turning(time) * b.T
        core *= -step_sizes[:, None, None]
        add_identity(core)
        columns = 1 / np.abs(core).max(1)
        core *= columns[:, None]
        rows = 1 / np.abs(core).max(2)
        core *= rows[:, :, None]
        factors = [dgetrf(one, overwrite_a=True)[:2] for one in core]

        def solve(vectors):
            va, vz, vp, _, _ = self.split(vectors)
            z_more, p_more = at.echoes(vectors)
            ve = vectors[:, self.last] - (m * z_more + p_more) @ b
            small = rows[-len(vectors) :] * np.concatenate([va, vz + z_more, vp + p_more, ve], 1)
            for one, own in zip(small, factors[-len(small) :], strict=True):
                one[:] = dgetrs(*own, one)[0]
            small *= columns[-len(vectors) :]
            out = np.empty_like(vectors)
            out[:, : 2 * d + 1], out[:, self.last] = small[:, : 2 * d + 1], small[:, e]
            at.fill(out, vectors, small[:, e] @ b.T)
            return out

        return solve
