"""Linear networks averaged over data: references, closed forms, limits, and 1,500 random settings (docs/averaged.md)."""

import numpy as np
import pytest
from scipy.optimize import brentq

from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.tasks import linear
from infwidth.theory import averaged, bayes

REFERENCE = {"source_ratio": 2, "target_ratio": 0.5, "source_richness": 3, "target_richness": 2, "overlap": 0.8}
REFERENCE |= {"inverse_temperature": 20}
NEGATIVE = {"source_ratio": 2, "target_ratio": 3, "source_richness": 3, "target_richness": 3}
NEGATIVE |= {"inverse_temperature": 2}


def random_settings(count, seed):
    rng = np.random.default_rng(seed)

    def between(low, high):
        return np.exp(rng.uniform(np.log(low), np.log(high), count))

    def at_times(values, special):
        return np.where(rng.random(count) < 0.15, special, values)

    return {
        "source_ratio": between(0.01, 20),
        "target_ratio": between(0.01, 20),
        "source_richness": between(0.01, 300),
        "target_richness": between(0.01, 300),
        "overlap": at_times(rng.uniform(-1, 1, count), rng.choice([-1, 0, 1], count)),
        "elastic_coupling": at_times(between(1e-3, 1e4), rng.choice([0, np.inf], count)),
        "inverse_temperature": at_times(between(0.1, 1e5), np.inf),
        "source_inverse_temperature": at_times(between(0.1, 1e5), np.inf),
        "source_noise": at_times(rng.uniform(0, 1, count), 0),
        "target_noise": at_times(rng.uniform(0, 1, count), 0),
        "hidden_precision": between(0.1, 10),
        "readout_precision": between(0.1, 10),
    }


class Layers:
    """The two layers as printed in the theory, solved by nested bracketing in q and u = k_s²: nothing of the package."""

    def __init__(self, ratio, richness, beta, noise, lw, lr, delta=0.0, spike=0.0, aligned=0.0):
        self.nu, self.rich, self.beta, self.noise2 = ratio, richness, beta, noise**2
        self.lw, self.lr, self.b, self.m2 = lw, lr, spike, aligned
        self.stiff = lw + delta
        self.c = 1.0 if np.isinf(delta) else (delta / self.stiff) ** 2

    def data(self, c1, cs):
        nu, rho = self.nu, 1 / (self.beta * c1)
        offset = 1 + rho - nu
        root = np.sqrt(offset**2 + 4 * nu * rho)
        chi = (offset + root) / (2 * nu) if offset >= 0 else 2 * rho / (root - offset)
        chi_s = chi * c1 / cs
        h, hs = 1 / (1 + chi), 1 / (1 + chi_s)
        zeta = rho / chi if rho else max(nu - 1, 0.0)
        gap = zeta + h * chi * h  # ν − h² without its cancellation
        error = (self.noise2 + self.m2 * (chi_s * hs) ** 2 + (1 - self.m2) * (chi * h) ** 2) * nu / gap
        tau2 = error / nu
        a, r2 = np.sqrt(self.m2) * hs, h**2 * (1 - self.m2 + tau2)
        return error, (self.rich * a / cs) ** 2, self.rich**2 * r2 / c1**2, error * (zeta / nu) ** 2, 1 / (1 + tau2)

    def gains(self, q, kappa2, u):
        c, stiff, lw, lr, b = self.c, self.stiff, self.lw, self.lr, self.b
        c2 = c * b / (lw * lr * q)
        if np.isinf(stiff):
            return c / (lw * lr * q), c / (lw * lr * q) + c2
        c1 = (1 / stiff + c / lw) / (lr * q) + c * (kappa2 + b * u) / (lw * stiff * lr**2 * q**2)
        return c1, c1 + c2

    def mismatch(self, q):
        """Of the margin and of the spike's drive, at their values for the trial q."""
        most = self.stiff * self.lr * -np.expm1(np.log(q))

        def spike_drive(u):
            return self.data(*self.gains(q, most, u))[1]

        u = spike_drive(0.0)
        if u > 0:
            ends = np.log(spike_drive(u)) - 1e-9, np.log(u) + 1e-9
            u = np.exp(brentq(lambda x: np.log(spike_drive(np.exp(x))) - x, *ends, xtol=1e-15))
        found = self.data(*self.gains(q, most, u))
        return u + found[2] - most, found, u

    def solve(self):
        if np.isinf(self.stiff):
            return 1.0, self.data(*self.gains(1.0, 0.0, 0.0))
        log_q = brentq(lambda x: self.mismatch(np.exp(x))[0], -60, -1e-25, xtol=1e-18, rtol=1e-14)
        return np.exp(log_q), self.mismatch(np.exp(log_q))[1]


def printed(setting):
    """Test losses of source and target by the printed equations."""
    lw, lr = setting["hidden_precision"], setting["readout_precision"]
    names = ("ratio", "richness", "inverse_temperature", "noise")
    source = [setting[f"source_{name}"] for name in names]
    target = [setting.get(f"target_{name}", setting["inverse_temperature"]) for name in names]
    first = Layers(*source, lw, lr)
    q, found = first.solve()
    spike, aligned = -np.expm1(np.log(q)) / q, setting["overlap"] ** 2 * found[4]
    second = Layers(*target, lw, lr, setting["elastic_coupling"], spike, aligned)
    return found[0], second.solve()[1][0]


class TestReference:
    def test_values(self):
        solution = averaged.solve(elastic_coupling=[0, 1, 10], **REFERENCE)
        np.testing.assert_allclose(solution.test_loss, [0.50202, 0.36934, 0.26730], atol=5.1e-6)
        np.testing.assert_allclose(solution.spike, 2.5006, atol=5.1e-5)

    def test_negative_transfer(self):
        couplings = np.array([[0.0], [np.inf]])
        loss = averaged.solve(elastic_coupling=couplings, overlap=[0, 0.9], **NEGATIVE).test_loss
        np.testing.assert_allclose(loss, [[0.00640, 0.00640], [0.04447, 0.01346]], atol=5.1e-6)
        cold = averaged.solve(elastic_coupling=np.inf, overlap=0.9, source_inverse_temperature=20, **NEGATIVE)
        assert cold.test_loss == pytest.approx(0.01236, abs=5.1e-6)


class TestRandomSettings:
    def test_none_fails_and_the_printed_equations_agree(self):
        settings = random_settings(1500, 0)
        solution = averaged.solve(**settings)  # raises where one does not converge
        assert np.isfinite(solution.test_loss).all()
        assert (solution.test_loss >= settings["target_noise"] ** 2).all()
        assert (solution.train_loss >= 0).all()
        assert ((solution.domain_margin > 0) & (solution.domain_margin <= 1)).all()
        for k in range(0, 1500, 15):
            source, target = printed({name: values[k] for name, values in settings.items()})
            assert solution.source_test_loss[k] == pytest.approx(source, rel=1e-8), k
            assert solution.test_loss[k] == pytest.approx(target, rel=1e-8), k

    def test_a_lone_point_is_the_grid_s(self):
        settings = random_settings(60, 1)
        grid = averaged.solve(**settings)
        for k in range(60):
            lone = averaged.solve(**{name: values[k] for name, values in settings.items()})
            assert isinstance(lone.test_loss, float)
            assert lone.status is Status.CONVERGED
            assert lone.test_loss == pytest.approx(grid.test_loss[k], rel=1e-10)
            assert lone.spike == pytest.approx(grid.spike[k], rel=1e-10)
