"""An exact sampler of linear networks of several outputs at width N: w given W and W given w are Gaussian."""

import numpy as np


class Chains:
    """Independent chains, one a row of every array, of p(W, w) ∝ exp(−½βγ²N|f − y|² − ½λ|w|² − ½L|W − m|²).

    A conditional draw is a draw of the prior, moved by what it and a draw of the noise leave of the data γNy.
    """

    def __init__(self, x, y, *, strength, inverse_temperature, precision, stiffness, means, rng):
        """Take X, (P, D), y, (P, C), γ, β, λ, L and m, (R, N, D); start from the prior."""
        self.inputs, self.rng, self.means = x / np.sqrt(x.shape[1]), rng, means
        self.precision, self.stiffness, self.strength = precision, stiffness, strength
        chains, self.width, _ = means.shape
        self.scaled = strength * self.width * y
        self.noise = self.width / inverse_temperature
        self.frozen = np.isinf(stiffness)
        self.hidden = means + (0 if self.frozen else self._normal(*means.shape) / np.sqrt(stiffness))
        self.readout = self._normal(chains, self.width, y.shape[1])

    def _normal(self, *shape):
        return self.rng.standard_normal(shape)

    def sweep(self):
        """Draw w given W, then W given w."""
        fields = self.inputs @ self.hidden.mT  # (R, P, N)
        readout = self._normal(*self.readout.shape) / np.sqrt(self.precision)
        left = self.scaled - fields @ readout - np.sqrt(self.noise) * self._normal(len(fields), *self.scaled.shape)
        kernel = fields @ fields.mT + self.precision * self.noise * np.eye(len(self.inputs))
        self.readout = readout + fields.mT @ np.linalg.solve(kernel, left)
        if self.frozen:
            return
        hidden = self.means + self._normal(*self.means.shape) / np.sqrt(self.stiffness)
        left = self.scaled - self.inputs @ (hidden.mT @ self.readout)
        left -= np.sqrt(self.noise) * self._normal(*left.shape)
        gram = self.readout.mT @ self.readout / self.stiffness
        covariance = np.einsum("mn,rcd->rmcnd", self.inputs @ self.inputs.T, gram)
        covariance = covariance.reshape(len(left), left[0].size, left[0].size) + self.noise * np.eye(left[0].size)
        moves = np.linalg.solve(covariance, left.reshape(len(left), -1, 1)).reshape(left.shape)
        self.hidden = hidden + self.readout @ (moves.mT @ self.inputs) / self.stiffness

    def predictor(self):
        """v with f(x) = x·v/√D, (R, D, C)."""
        return self.hidden.mT @ self.readout / (self.strength * self.width)


def mean_predictors(task, couplings, *, strengths, inverse_temperature, precision, width, chains, burn_in, sweeps, rng):
    """Posterior means of v at each coupling, tied to as many draws of the source as there are chains, (n, R, D, C)."""
    shared = {"inverse_temperature": inverse_temperature, "precision": precision, "rng": rng}
    nowhere = np.zeros((chains, width, task.dimension))
    source = Chains(
        task.x_source, task.y_source, strength=strengths[0], stiffness=precision, means=nowhere, **shared
    )  # fmt: skip
    for _ in range(burn_in):
        source.sweep()
    found = []
    for coupling in couplings:
        stiffness = precision + coupling
        pull = 1.0 if np.isinf(coupling) else coupling / stiffness
        tie = {"stiffness": stiffness, "means": pull * source.hidden}
        target = Chains(task.x_target, task.y_target, strength=strengths[1], **tie, **shared)
        for _ in range(burn_in):
            target.sweep()
        total = 0.0
        for _ in range(sweeps):
            target.sweep()
            total = total + target.predictor()
        found.append(total / sweeps)
    return np.array(found)
