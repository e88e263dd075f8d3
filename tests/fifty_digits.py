"""The linear Bayesian theory once more in fifty digits, by its definition in P × P: slow, and free of rounding."""

import mpmath as mp

from infwidth.tasks.transfer_task import TransferTask

DIGITS = 50
GUARD = 30


def solve(task: TransferTask, *, strengths, coupling, inverse_temperatures, precision):
    """Dual g, left-out residuals and their mean square, all to nearly ``DIGITS`` digits."""
    with mp.workdps(DIGITS + GUARD):
        lam, delta = mp.mpf(precision), mp.mpf(coupling)
        anchor = mp.zeros(task.dimension)
        if coupling > 0:
            design, labels = _design(task.x_source), mp.matrix(task.y_source.tolist())
            anchor = _Saddle(design, labels, strengths[0], 1 / mp.mpf(inverse_temperatures[0]), lam, 0, anchor).moment()
        design, labels = _design(task.x_target), mp.matrix(task.y_target.tolist())
        saddle = _Saddle(design, labels, strengths[1], 1 / mp.mpf(inverse_temperatures[1]), lam, delta, anchor)
        inverse = saddle.hessian() ** -1
        left_out = [saddle.dual[i] / inverse[i, i] for i in range(len(labels))]
        return list(saddle.dual), left_out, mp.fsum(r**2 for r in left_out) / len(left_out)


def _design(x):
    return mp.matrix(x.tolist()) / mp.sqrt(x.shape[1])


class _Saddle:
    """Newton's method on S(g), docs/theory.md §1 eqs. (5) and (6)."""

    def __init__(self, design, labels, strength, ridge, precision, coupling, anchor):
        self.design, self.anchor, self.ridge, self.precision = design, anchor, ridge, precision
        self.strength = mp.mpf(strength)
        infinite = mp.isinf(coupling)
        self.compliance = mp.mpf(0) if infinite else 1 / (precision + coupling)
        self.pull = mp.mpf(1) if infinite else coupling * self.compliance
        self.rate = self.compliance / precision
        self.dual = mp.zeros(len(labels), 1)
        height = self._height(labels, self.dual)
        for _ in range(400):
            slope = labels - ridge * self.dual - design * self._gradient(self._drive(self.dual)) / self.strength
            step = mp.lu_solve(self.hessian(), slope)
            length = mp.mpf(1)
            while self._margin(self._drive(self.dual + length * step)) <= 0 or (
                self._height(labels, self.dual + length * step) < height - mp.mpf(10) ** -DIGITS * abs(height)
            ):
                length /= 2
            self.dual += length * step
            height = self._height(labels, self.dual)
            if mp.norm(step) <= mp.mpf(10) ** -DIGITS * mp.norm(self.dual):
                return
        raise AssertionError("no convergence")

    def _drive(self, dual):
        return self.strength * (self.design.T * dual)

    def _margin(self, k):
        return 1 - self.rate * (k.T * k)[0]

    def _height(self, labels, dual):
        k = self._drive(dual)
        q = self._margin(k)
        if q <= 0:
            return -mp.inf
        value = -mp.log(q) / 2 + self.pull**2 * (k.T * self.anchor * k)[0] / (2 * self.precision * q)
        return (labels.T * dual)[0] - self.ridge * (dual.T * dual)[0] / 2 - value / self.strength**2

    def _gradient(self, k):
        return self._moment(k) * k / self.precision

    def moment(self):
        return self._moment(self._drive(self.dual))

    def _moment(self, k):
        tilt = mp.eye(len(k)) + self.rate / self._margin(k) * (k * k.T)
        return self.compliance * tilt + self.pull**2 * tilt * self.anchor * tilt

    def hessian(self):
        """H + ρ, (P, P)."""
        k = self._drive(self.dual)
        q, r, weight = self._margin(k), self.rate, self.pull**2 / self.precision
        ak = self.anchor * k
        energy = (k.T * ak)[0]
        inner = weight * (self.anchor / q + 2 * r * (ak * k.T + k * ak.T) / q**2)
        inner += (2 * r**2 / q**2 + 4 * weight * r**2 * energy / q**3) * (k * k.T)
        inner += (r / q + weight * r * energy / q**2) * mp.eye(len(k))
        return self.design * inner * self.design.T + self.ridge * mp.eye(self.design.rows)
