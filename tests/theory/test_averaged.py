"""Linear networks averaged over data: references, closed forms, limits, 1,500 random settings (docs/averaged.md)."""

import time

import numpy as np
import pytest
from builders import averaged_settings
from scipy.optimize import brentq

from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status, UnconvergedError
from infwidth.theory import averaged

REFERENCE = {"source_ratio": 2, "target_ratio": 0.5, "source_richness": 3, "target_richness": 2, "overlap": 0.8}
REFERENCE |= {"inverse_temperature": 20}
NEGATIVE = {"source_ratio": 2, "target_ratio": 3, "source_richness": 3, "target_richness": 3}
NEGATIVE |= {"inverse_temperature": 2}


class Layers:
    """The two layers by eqs. (A2) to (A8) as printed, solved by nested bracketing in q and u = k_s²."""

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
        settings = averaged_settings(1500, 0)
        solution = averaged.solve(**settings)  # raises where one does not converge
        assert np.isfinite(solution.test_loss).all()
        assert (solution.test_loss >= settings["target_noise"] ** 2).all()
        assert (solution.train_loss >= 0).all()
        assert ((solution.domain_margin > 0) & (solution.domain_margin <= 1)).all()
        for k in range(0, 1500, 15):
            source, target = printed({name: values[k] for name, values in settings.items()})
            assert solution.source_test_loss[k] == pytest.approx(source, rel=1e-8), k
            assert solution.test_loss[k] == pytest.approx(target, rel=1e-8), k

    def test_far_beyond_what_anyone_would_ask(self):
        rng = np.random.default_rng(0)
        ranges = {"ratio": (1e-5, 1e4), "richness": (1e-5, 1e5), "noise": (1e-3, 30.0)}
        ranges = {f"{side}_{name}": ends for side in ("source", "target") for name, ends in ranges.items()}
        ranges |= {"inverse_temperature": (1e-4, 1e14), "source_inverse_temperature": (1e-4, 1e14)}
        ranges |= {"elastic_coupling": (1e-8, 1e12), "hidden_precision": (1e-4, 1e4), "readout_precision": (1e-4, 1e4)}
        settings = {name: np.exp(rng.uniform(*np.log(ends), 2000)) for name, ends in ranges.items()}
        loss = averaged.solve(overlap=rng.uniform(-1, 1, 2000), **settings).test_loss
        assert (loss >= settings["target_noise"] ** 2).all()

    def test_a_lone_point_is_the_grid_s(self):
        settings = averaged_settings(60, 1)
        grid = averaged.solve(**settings)
        for k in range(60):
            lone = averaged.solve(**{name: values[k] for name, values in settings.items()})
            assert isinstance(lone.test_loss, float)
            assert lone.status is Status.CONVERGED
            assert lone.test_loss == pytest.approx(grid.test_loss[k], rel=1e-10)
            assert lone.spike == pytest.approx(grid.spike[k], rel=1e-10)


class TestLimits:
    settings = averaged_settings(200, 2) | {"target_noise": 0.3}

    def loss(self, **changes):
        return averaged.solve(**{**self.settings, **changes}).test_loss

    def test_large_couplings_approach_frozen_features(self):
        errors = [np.abs(self.loss(elastic_coupling=d) / self.loss(elastic_coupling=np.inf) - 1) for d in (1e9, 1e11)]
        assert errors[0].max() < 1e-3
        assert errors[1].max() < 2e-2 * errors[0].max()

    def test_small_couplings_approach_scratch(self):
        np.testing.assert_allclose(self.loss(elastic_coupling=1e-9), self.loss(elastic_coupling=0.0), rtol=1e-6)

    def test_cold_networks_approach_interpolation(self):
        cold, limit = ({"inverse_temperature": b, "source_inverse_temperature": b} for b in (1e14, np.inf))
        np.testing.assert_allclose(self.loss(**cold), self.loss(**limit), rtol=1e-3)
        assert (averaged.solve(**{**self.settings, **limit, "target_ratio": 0.7}).train_loss == 0).all()

    def test_only_the_square_of_the_overlap_matters(self):
        np.testing.assert_array_equal(self.loss(), self.loss(overlap=-self.settings["overlap"]))

    def test_scratch_forgets_the_source(self):
        changed = {"source_ratio": 3.0, "source_richness": 7.0, "source_noise": 0.1, "overlap": 0.4}
        np.testing.assert_allclose(self.loss(elastic_coupling=0), self.loss(elastic_coupling=0, **changed), rtol=1e-12)

    def test_equal_tasks_give_the_source_s_loss_from_scratch(self):
        same = {name: self.settings[f"source_{name}"] for name in ("ratio", "richness", "inverse_temperature", "noise")}
        target = {f"target_{name}": same[name] for name in ("ratio", "richness", "noise")}
        target |= {"inverse_temperature": same["inverse_temperature"], "elastic_coupling": 0.0}
        solution = averaged.solve(**{**self.settings, **target})
        np.testing.assert_allclose(solution.test_loss, solution.source_test_loss, rtol=1e-10)
        np.testing.assert_allclose(solution.train_loss, solution.source_train_loss, rtol=1e-8, atol=1e-300)


class TestConsequences:
    def test_interpolated_scarce_data(self):
        ratio, noise = np.array([0.1, 0.5, 0.9]), 0.4
        settings = {**REFERENCE, "inverse_temperature": np.inf, "target_ratio": ratio, "target_noise": noise}
        scratch = averaged.solve(elastic_coupling=0, **settings).test_loss
        np.testing.assert_allclose(scratch, (noise**2 + (1 - ratio) ** 2) / (1 - ratio), rtol=1e-12)
        losses = averaged.solve(elastic_coupling=np.array([[0.0], [0.1], [1], [10], [np.inf]]), **settings).test_loss
        assert (np.diff(losses, axis=0) < 0).all()

    def test_interpolating_readout_on_frozen_features(self):
        settings = {**REFERENCE, "inverse_temperature": np.inf, "target_ratio": 0.3, "elastic_coupling": np.inf}
        found = averaged.solve(**settings)
        m2 = found.alignment**2
        assert found.test_loss == pytest.approx(0.7 * (1 - m2 + m2 / (1 + 0.3 * found.spike) ** 2), rel=1e-12)

    @pytest.mark.parametrize("noise", [0.0, 0.05, 0.15, 0.3, 0.8])
    @pytest.mark.parametrize("ratio", [0.4, 3.0])
    def test_sign_of_the_slope_at_zero_coupling(self, noise, ratio):
        settings = {**REFERENCE, "target_ratio": ratio, "target_noise": noise, "hidden_precision": 2.0}
        settings["source_richness"] = 0.01  # so that the margin reported is the target's
        loss = averaged.solve(elastic_coupling=[0.0, 1e-4], **settings).test_loss
        ridge = 2.0 * averaged.solve(elastic_coupling=0.0, **settings).domain_margin / 20
        assert np.sign(loss[1] - loss[0]) == np.sign(ridge - noise**2)

    def test_frozen_features_on_ample_clean_data(self):
        settings = {"source_ratio": 3.0, "target_ratio": 2.0, "source_richness": 4.0, "target_richness": 1.5}
        settings |= {"inverse_temperature": 1e8, "hidden_precision": 0.5, "readout_precision": 1.2}
        source, target = (2 / (1 + np.sqrt(1 + 4 * 0.6 * gamma**2)) for gamma in (4.0, 1.5))
        border = np.sqrt((1 - target**2) / (1 - source**2))
        for overlap, helps in ((border - 0.002, False), (border + 0.002, True)):
            loss = averaged.solve(overlap=overlap, elastic_coupling=[0, np.inf], **settings).test_loss
            assert (loss[1] < loss[0]) == helps


class TestSpeed:
    @staticmethod
    def seconds(run):
        start = time.process_time()
        run()
        return time.process_time() - start

    def test_a_point_of_a_grid(self):
        settings = averaged_settings(2000, 5)
        assert self.seconds(lambda: averaged.solve(**settings)) < 2000 * 2e-3

    def test_a_lone_point(self):
        settings = {name: values[0] for name, values in averaged_settings(1, 5).items()}
        averaged.solve(**settings)
        assert min(self.seconds(lambda: averaged.solve(**settings)) for _ in range(20)) < 2e-3


class TestInput:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"source_ratio": 0}, "source_ratio = 0: expected a number > 0"),
            ({"target_ratio": [1, -2.0]}, r"target_ratio\[1\] = -2"),
            ({"overlap": [[0.1, 1.5]]}, r"overlap\[0, 1\] = 1.5"),
            ({"overlap": -1.01}, "overlap = -1.01"),
            ({"elastic_coupling": -1}, "elastic_coupling = -1"),
            ({"elastic_coupling": [0, np.nan]}, r"elastic_coupling\[1\] = nan"),
            ({"inverse_temperature": 0}, "inverse_temperature = 0"),
            ({"source_inverse_temperature": "cold"}, "source_inverse_temperature = 'cold'"),
            ({"source_richness": np.inf}, "source_richness = inf"),
            ({"target_noise": -0.1}, "target_noise = -0.1"),
            ({"readout_precision": True}, "readout_precision = True"),
            ({"hidden_precision": ["a", "b"]}, "hidden_precision = .*expected numbers"),
            ({"target_ratio": [1, 2], "overlap": [0.1, 0.2, 0.3]}, "broadcast"),
            ({"source_spectrum": [1.0, 0.0]}, r"source_spectrum\[1\] = 0"),
            ({"source_spectrum": [1.0, 2.0], "target_spectrum": [1.0]}, "one number a coordinate"),
            ({"target_spectrum": 3.0}, "one number a coordinate"),
            ({"target_spectrum": []}, "one number a coordinate"),
            ({"teacher_spectrum": [0, 0]}, "teacher_spectrum = 0 everywhere"),
        ],
    )
    def test_is_named_in_one_line(self, changes, message):
        with pytest.raises(InputError, match=message) as caught:
            averaged.solve(**{"elastic_coupling": 1, **REFERENCE, **changes})
        assert "\n" not in str(caught.value)

    def test_the_interpolation_threshold_diverges(self):
        peak = {**REFERENCE, "target_ratio": [0.9, 1.0], "inverse_temperature": np.inf, "target_noise": 0.1}
        with pytest.raises(UnconvergedError, match=r"1 of 2 settings.*target_ratio = 1"):
            averaged.solve(elastic_coupling=1, **peak)
        solution = averaged.solve(elastic_coupling=1, strict=False, **peak)
        assert solution.test_loss[1] == np.inf
        assert list(solution.status) == [Status.CONVERGED, Status.DIVERGED]
        assert averaged.solve(elastic_coupling=1, **{**peak, "target_noise": 0, "target_ratio": 1}).test_loss < 1e-7

    def test_shapes(self):
        solution = averaged.solve(elastic_coupling=np.zeros((3, 1)), **{**REFERENCE, "overlap": [0.1, 0.2]})
        for values in vars(solution).values():
            assert values.shape == (3, 2)
        lone = averaged.solve(elastic_coupling=1, **REFERENCE)
        assert isinstance(lone.iterations, int)
        assert averaged.solve(elastic_coupling=np.zeros((0,)), **REFERENCE).test_loss.shape == (0,)
        assert averaged.solve(elastic_coupling=[1.0], **REFERENCE).test_loss.shape == (1,)


@pytest.mark.parametrize("ratio", [1e178, 1e296])
@pytest.mark.parametrize("coupling", [0.0, 0.3, np.inf])
def test_no_converged_average_is_without_a_number(ratio, coupling):
    settings = {"source_ratio": 5.0, "source_richness": 0.5, "overlap": 0.3, "inverse_temperature": 0.2}
    settings |= {"target_ratio": [2.0, ratio], "target_richness": [1.0, 1e-286], "elastic_coupling": coupling}
    found = averaged.solve(**settings, source_noise=1.0, target_noise=1.2, strict=False)
    assert found.status[0] is Status.CONVERGED
    for name in ("train_loss", "test_loss"):
        assert (np.isfinite(getattr(found, name)) | (found.status != Status.CONVERGED)).all()
