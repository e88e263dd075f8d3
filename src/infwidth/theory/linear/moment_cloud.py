"""Many linear networks' moments followed at once along the same steps, off their common limit by a little each."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from infwidth.numerics.status import Status, UnconvergedError
from infwidth.theory import elastic
from infwidth.theory.linear.course import Training
from infwidth.theory.linear.integrators import dormand_prince, implicit_extrapolation

RTOL = 1e-4
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
    """The equations of ``moments._AnchoredFlow`` for m networks, in coordinates whose first q span the inputs.

    The drive s has no other coordinates, so neither has U = W − m(t)W̄: R is (q, q) and Y (q, d). Without a tie the
    anchor is none: U is W, q is d, and there are neither z nor Y. The state is flat, (a, p, R, z, Y) of all networks,
    block by block.
    """

    decay_rate = math.inf  # no state is taken to be at rest

    def __init__(self, cloud: Cloud, training: Training, elastic_coupling: float):
        inputs = training.design.matrix
        count, d = len(cloud), inputs.shape[1]
        self.tied = elastic_coupling > 0
        q = len(training.design.singular) if self.tied else d
        self.turn = np.linalg.svd(inputs, full_matrices=True)[2] if self.tied else np.eye(d)
        self.strength, self.readout_decay = training.strength, training.readout_decay
        self.stiffness = elastic.stiffness(training.hidden_decay, elastic_coupling)
        self.pull = elastic.pull(training.hidden_decay, elastic_coupling)
        self.force = self.turn[:q] @ (inputs.T @ training.labels)
        self.covariance = self.turn[:q] @ (inputs.T @ inputs) @ self.turn[:q].T
        hidden, predictor = self.turn @ cloud.hidden_moment @ self.turn.T, cloud.predictor @ self.turn.T / self.strength
        self.anchor, self.seen = hidden, np.ascontiguousarray(hidden[:, :, :q])
        shapes = ((count,), (count, q), (count, q, q)) + self.tied * ((count, d), (count, q, d))
        self.shapes, self.sizes = shapes, tuple(math.prod(shape) for shape in shapes)
        edges = [0, *itertools.accumulate(self.sizes)]
        self.parts = [slice(*pair) for pair in itertools.pairwise(edges)]
        self.start = np.zeros(edges[-1])
        a, p, r, *anchored = self.split(self.start)
        a[:] = cloud.readout_moment
        if self.tied:
            anchored[0][:] = predictor
        else:
            p[:], r[:] = predictor, hidden
        kernel = max(float(a.max()), float(np.linalg.eigvalsh(hidden[0])[-1]))
        largest = float(training.design.singular[0]) ** 2
        self.driven_rate = kernel * largest + self.strength * float(np.linalg.norm(self.force))

    def split(self, state):
        """Views (a, p, R), of tied networks with (z, Y), of a state."""
        return [state[part].reshape(shape) for part, shape in zip(self.parts, self.shapes, strict=True)]

    def anchoring(self, time):
        """m(t), the weight that is left on the anchor."""
        return self.pull + (1 - self.pull) * math.exp(-self.stiffness * time)

    def relevance(self, time):
        """What matters through m(t) alone counts as much as it."""
        m = self.anchoring(time)
        return np.array([1.0, 1.0, 1.0, m, m][: len(self.sizes)])

    def derivative(self, time, state):
        """Right-hand side at a state."""
        a, p, r, *anchored = self.split(state)
        q, gain = p.shape[1], self.strength**2
        out = np.empty_like(state)
        da, dp, dr, *moved = self.split(out)
        if self.tied:
            (z, y), m = anchored, self.anchoring(time)
            v = m * z[:, :q] + p
        else:
            v = p
        s = self.force - v @ self.covariance
        column = s[:, :, None]
        driven = gain * column
        da[:] = 2 * gain * np.einsum("kq,kq->k", s, v) - 2 * self.readout_decay * a
        dp[:] = np.matmul(r, column)[:, :, 0] + a[:, None] * s - (self.readout_decay + self.stiffness) * p
        half = driven * p[:, None, :]
        np.add(half, half.transpose(0, 2, 1), out=dr)
        dr -= (2 * self.stiffness) * r
        if self.tied:
            dz, dy = moved
            dp += m * np.matmul(y[:, :, :q], column)[:, :, 0]
            dz[:] = m * np.matmul(self.seen, column)[:, :, 0] + np.matmul(s[:, None, :], y)[:, 0]
            dz -= self.readout_decay * z
            np.multiply(driven, z[:, None, :], out=dy)
            dy -= self.stiffness * y
        return out

    def implicit_solver(self, time, state, step_size):
        """Return v ↦ (I − step·J)⁻¹ v with J what decays alone: extrapolation leaves its order to the rest."""
        decay, stiffness = self.readout_decay, self.stiffness
        rates = (2 * decay, decay + stiffness, 2 * stiffness, decay, stiffness)[: len(self.sizes)]
        scale = np.repeat([1 / (1 + step_size * rate) for rate in rates], self.sizes)
        return lambda vector: scale * vector

    def weights(self, time, state):
        """Predictors v of all networks, (m, d)."""
        _, p, _, *anchored = self.split(state)
        if not self.tied:
            return p.copy()
        found = self.anchoring(time) * anchored[0]
        found[:, : p.shape[1]] += p
        return found @ self.turn

    def cloud(self, time, state) -> Cloud:
        """The moments at a state."""
        a, p, r, *anchored = self.split(state)
        hidden = r
        if self.tied:
            m, q, y = self.anchoring(time), p.shape[1], anchored[1]
            hidden = m * m * self.anchor
            hidden[:, :q] += m * y
            hidden[:, :, :q] += m * y.transpose(0, 2, 1)
            hidden[:, :q, :q] += r
            hidden = self.turn.T @ hidden @ self.turn
        return Cloud(a, self.strength * self.weights(time, state), hidden)
