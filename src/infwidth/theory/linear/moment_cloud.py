"""Many linear networks' moments followed at once along the same steps, off their common limit by a little each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.status import Status, UnconvergedError
from infwidth.theory import elastic
from infwidth.theory.linear.course import Training
from infwidth.theory.linear.integrators import dormand_prince, implicit_extrapolation

RTOL = 1e-5
"""Of an integration. All members take the same steps, so that differences between them lose nothing to it."""
MAX_EVALUATIONS = 300_000
"""Right-hand sides allowed an integration."""
STIFFER = 3.0
"""Decay and tie over the rate of the data beyond which decays are taken implicitly."""


@dataclass(frozen=True)
class Cloud:
    """Moments of m networks on hidden weights that are their own anchor (docs/theory.md §2).

    Attributes:
        readout_moment: a = E w², (m,).
        predictor: u = E wW, (m, d).
        hidden_moment: Q = E WWᵀ, (m, d, d).
    """

    readout_moment: np.ndarray
    predictor: np.ndarray
    hidden_moment: np.ndarray

    def __len__(self) -> int:
        return len(self.readout_moment)

    def __getitem__(self, members: slice) -> Cloud:
        return Cloud(self.readout_moment[members], self.predictor[members], self.hidden_moment[members])

    @classmethod
    def join(cls, *clouds: Cloud) -> Cloud:
        """All their members, one after another."""
        parts = zip(*((one.readout_moment, one.predictor, one.hidden_moment) for one in clouds), strict=True)
        return cls(*map(np.concatenate, parts))

    def off(self, by: Cloud, factor: float) -> Cloud:
        """Members that are the first of these plus ``factor`` times each of ``by``."""
        return Cloud(
            self.readout_moment[0] + factor * by.readout_moment,
            self.predictor[0] + factor * by.predictor,
            self.hidden_moment[0] + factor * by.hidden_moment,
        )

    def follow(self, training: Training, times: np.ndarray, elastic_coupling: float = 0.0) -> tuple[np.ndarray, Cloud]:
        """Train the networks.

        Args:
            training: data in d coordinates, and rates.
            times: increasing finite times, (T,).
            elastic_coupling: δ, finite.

        Returns:
            v at every time, (T, m, d), and the moments at the last.

        Raises:
            UnconvergedError: the integrator stopped early.
        """
        system = _CloudFlow(self, training, elastic_coupling)
        implicit = system.stiffness > STIFFER * system.driven_rate
        integrate = implicit_extrapolation if implicit else dormand_prince
        path = integrate(system, system.start, times, rtol=RTOL, max_evaluations=MAX_EVALUATIONS)
        if path.status is not Status.CONVERGED:
            what = (
                f"moments around their limit at elastic_coupling = {elastic_coupling:g}: {path.evaluations} evaluations"
            )
            raise UnconvergedError(what, path.status)
        weights = [system.weights(time, state) for time, state in zip(times, path.states, strict=True)]
        return np.array(weights), system.cloud(times[-1], path.states[-1])


class _CloudFlow:
    """Neurons of m networks as linear maps of their initial weights, in coordinates whose first q span the inputs.

    Weights of a network change by a matrix that all its neurons share, so that at any time
        w = κ w₀ + γ h·W̄,   W = m(t)W̄ + U,   U = γ g w₀ + γ² H W̄
    with one Ψ = (κ hᵀ; g H), (q + 1, q + 1), a network: the drive s has no coordinates off the inputs' span, and so
    neither h nor U. With L = λ_W + δ the equations of ``moments.AnchoredFlow`` are
        (κ h)˙ = γ² sᵀ(g H) + m (0 s) − λ_w (κ h)        (g H)˙ = s (κ h) − L (g H)
    and every moment follows from those at time 0. The state is flat, Ψ of all networks.
    """

    decay_rate = math.inf  # no state is taken to be at rest

    def __init__(self, cloud: Cloud, training: Training, elastic_coupling: float):
        inputs = training.design.matrix
        count, q = len(cloud), len(training.design.singular)
        self.turn = np.linalg.svd(inputs, full_matrices=True)[2]
        self.strength, self.readout_decay = training.strength, training.readout_decay
        self.stiffness = elastic.stiffness(training.hidden_decay, elastic_coupling)
        self.pull = elastic.pull(training.hidden_decay, elastic_coupling)
        self.force = self.turn[:q] @ (inputs.T @ training.labels)
        self.covariance = self.turn[:q] @ (inputs.T @ inputs) @ self.turn[:q].T
        self.readout, self.predictor = cloud.readout_moment, cloud.predictor @ self.turn.T / self.strength
        self.hidden = self.turn @ cloud.hidden_moment @ self.turn.T
        self.seen, self.seen_predictor = np.ascontiguousarray(self.hidden[:, :q, :q]), self.predictor[:, :q]
        self.shape, self.sizes = (count, q + 1, q + 1), (q + 1, q * (q + 1)) * count
        start = np.zeros(self.shape)
        start[:, 0, 0] = 1.0
        self.start = start.ravel()
        kernel = max(float(self.readout.max()), float(np.linalg.eigvalsh(self.hidden[0])[-1]))
        largest = float(training.design.singular[0]) ** 2
        self.driven_rate = kernel * largest + self.strength * float(np.linalg.norm(self.force))

    def anchoring(self, time):
        """m(t), the weight that is left on the anchor."""
        return self.pull + (1 - self.pull) * np.exp(-self.stiffness * time)

    def relevance(self, time):
        """All of a map counts."""
        return np.ones(len(self.sizes))

    def split(self, state):
        """Views (κ, h, g, H) of a state, or of several."""
        maps = self.maps(state)
        return maps[..., 0, 0], maps[..., 0, 1:], maps[..., 1:, 0], maps[..., 1:, 1:]

    def maps(self, state):
        """Ψ of a state, or of several, (…, m, q + 1, q + 1)."""
        return state.reshape(*state.shape[:-1], *self.shape)

    def seen_by(self, state):
        """E wW̄/γ along the inputs, (m, q), and E w w₀, (m,)."""
        kappa, h, _, _ = self.split(state)
        gain = self.strength**2
        tied = np.matmul(self.seen, h[..., None])[..., 0] + kappa[..., None] * self.seen_predictor
        return tied, kappa * self.readout + gain * np.einsum("...kq,kq->...k", h, self.seen_predictor)

    def driven(self, state):
        """E wU/γ, (m, q), and E wW̄/γ along the inputs."""
        _, _, g, hidden = self.split(state)
        tied, own = self.seen_by(state)
        return own[..., None] * g + self.strength**2 * np.matmul(hidden, tied[..., None])[..., 0], tied

    def derivative(self, time, state):
        """Right-hand side at a state, or at several."""
        maps, m = self.maps(state), np.asarray(self.anchoring(time))[..., None]
        p, tied = self.driven(state)
        s = self.force - (m * tied + p) @ self.covariance
        out = np.empty_like(maps)
        np.multiply(s[..., None], maps[..., :1, :], out=out[..., 1:, :])
        out[..., 1:, :] -= self.stiffness * maps[..., 1:, :]
        top = np.matmul((self.strength**2 * s)[..., None, :], maps[..., 1:, :])[..., 0, :]
        top[..., 1:] += m * s
        np.subtract(top, self.readout_decay * maps[..., 0, :], out=out[..., 0, :])
        return out.reshape(state.shape)

    def implicit_solver(self, time, state, step_sizes):
        """Return v ↦ (I − step·J)⁻¹ v with J what decays alone: extrapolation leaves its order to the rest."""
        h, rows = step_sizes[:, None, None, None], np.arange(self.shape[1])[:, None]
        scale = 1 / (1 + h * np.where(rows == 0, self.readout_decay, self.stiffness))

        def solve(vectors):
            return (self.maps(vectors) * scale[-len(vectors) :]).reshape(vectors.shape)

        return solve

    def weights(self, time, state):
        """Predictors v of all networks, (m, d)."""
        kappa, h, _, _ = self.split(state)
        p, _ = self.driven(state)
        q = p.shape[1]
        found = np.matmul(self.hidden[:, :, :q], h[:, :, None])[:, :, 0] + kappa[:, None] * self.predictor
        found *= self.anchoring(time)
        found[:, :q] += p
        return found @ self.turn

    def cloud(self, time, state) -> Cloud:
        """The moments at a state."""
        kappa, h, g, moved = self.split(state)
        tied, own = self.seen_by(state)
        m, q, gain = self.anchoring(time), h.shape[1], self.strength**2
        cross = g[:, :, None] * self.predictor[:, None] + np.matmul(moved, self.hidden[:, :q])  # E UW̄ᵀ/γ²
        fresh = self.readout[:, None] * g + gain * np.matmul(moved, self.seen_predictor[:, :, None])[:, :, 0]
        hidden = m * m * self.hidden
        hidden[:, :q] += m * gain * cross
        hidden[:, :, :q] += m * gain * cross.transpose(0, 2, 1)
        own_moment = g[:, :, None] * fresh[:, None] + gain * np.matmul(moved, cross[:, :, :q].transpose(0, 2, 1))
        hidden[:, :q, :q] += gain * own_moment
        readout = kappa * own + gain * np.einsum("kq,kq->k", h, tied)
        return Cloud(readout, self.strength * self.weights(time, state), self.turn.T @ hidden @ self.turn)
