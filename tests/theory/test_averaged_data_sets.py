"""Averaged theory beside posteriors of drawn data sets, and of inputs whose spectrum is not flat (docs/averaged.md)."""

import numpy as np
from builders import averaged_settings

from infwidth.tasks import linear
from infwidth.theory import averaged, bayes

REFERENCE = {"source_ratio": 2, "target_ratio": 0.5, "source_richness": 3, "target_richness": 2, "overlap": 0.8}
REFERENCE |= {"inverse_temperature": 20}
NOISES = {"source_noise": 0.3, "target_noise": 0.4}


def conditioned(task, clean, noise, couplings, weights):
    """Population losses of the theory conditioned on one data set: ``clean`` is its twin without label noise."""
    dimension = task.dimension
    teacher = np.linalg.solve(clean.x_test, clean.y_test * np.sqrt(dimension))
    solution = bayes.solve(
        task,
        activation="linear",
        source_strength=3 / np.sqrt(dimension),
        target_strength=2 / np.sqrt(dimension),
        elastic_coupling=couplings,
        inverse_temperature=20.0,
    )
    return np.mean((solution.weights - teacher) ** 2 * weights, -1) + noise**2, solution.train_loss


class TestConditionedTheory:
    """Data sets of finite D come down to the average as 1/D."""

    couplings = (0, 1, 10, np.inf)

    def deviations(self, dimension, seeds):
        theory = averaged.solve(elastic_coupling=self.couplings, **REFERENCE, **NOISES)
        losses = []
        for seed in seeds:
            sizes = {"n_source": 2 * dimension, "n_target": dimension // 2, "n_test": dimension}
            shared = {"dimension": dimension, "overlap": 0.8, "seed": seed, **sizes}
            losses.append(conditioned(linear(**shared, **NOISES), linear(**shared), 0.4, self.couplings, 1.0))
        relative = np.array(losses) / np.array([theory.test_loss, theory.train_loss]) - 1
        return relative.mean(0), relative.std(0, ddof=1) / np.sqrt(len(seeds))

    def test_large_dimension(self):
        deviation, error = self.deviations(400, range(6))
        assert (np.abs(deviation) < 3 * error + 0.01).all()
        assert error[0].max() < 0.04

    def test_approach(self):
        (small, small_error), (large, large_error) = (self.deviations(d, range(n)) for d, n in ((20, 300), (80, 100)))
        assert (small[0] > 3 * small_error[0])[2:].all()
        assert (np.abs(large - small / 4) < 3 * np.hypot(large_error, small_error / 4)).all()

    def test_source(self):
        from infwidth.theory.linear.posterior import solve_posterior

        losses = []
        for seed in range(4):
            shared = {"dimension": 400, "overlap": 1.0, "n_source": 800, "n_target": 1, "n_test": 400, "seed": seed}
            task, clean = linear(**shared, source_noise=0.3), linear(**shared)
            teacher = np.linalg.solve(clean.x_test, clean.y_test * 20)
            strength = {"strength": 3 / 20, "inverse_temperature": 20.0}
            weights = solve_posterior(task.x_source / 20, task.y_source, **strength).saddle.weights
            losses.append(np.mean((weights - teacher) ** 2) + 0.09)
        theory = averaged.solve(elastic_coupling=0, **REFERENCE, source_noise=0.3).source_test_loss
        assert abs(np.mean(losses) - theory) < 3 * np.std(losses, ddof=1) / 2 + 0.003 * theory


class TestShift:
    spectrum = np.exp(-np.arange(30) / 8.0)

    def test_unit_spectra_are_isotropic(self):
        settings = averaged_settings(200, 3)
        plain, shifted = (averaged.solve(**settings, **extra) for extra in ({}, {"source_spectrum": [1.0, 1.0, 1.0]}))
        for name in ("test_loss", "train_loss", "source_test_loss", "spike", "alignment", "domain_margin"):
            np.testing.assert_allclose(getattr(plain, name), getattr(shifted, name), rtol=1e-7, atol=1e-300)

    def test_random_settings(self):
        rng = np.random.default_rng(4)
        for seed in range(12):
            spectra = {
                f"{name}_spectrum": np.exp(rng.normal(0, rng.uniform(0, 2.5), 20)) for name in ("source", "target")
            }
            solution = averaged.solve(**averaged_settings(60, seed), **spectra)
            assert np.isfinite(solution.test_loss).all()

    def test_a_lone_point_is_the_grid_s(self):
        spectra = {"source_spectrum": self.spectrum, "target_spectrum": self.spectrum[::-1]}
        grid = averaged.solve(elastic_coupling=[0, 1, np.inf], **REFERENCE, **spectra).test_loss
        lone = [averaged.solve(elastic_coupling=d, **REFERENCE, **spectra).test_loss for d in (0, 1, np.inf)]
        np.testing.assert_allclose(lone, grid, rtol=1e-11)

    def test_conditioned_theory(self):
        from infwidth.tasks.transfer_task import TransferTask

        dimension, couplings, losses = 240, (0, 1, 10, np.inf), []
        index = np.arange(1, dimension + 1)
        source, target = 2.0 * (index / 20.0) ** -0.7, 0.5 + (index[::-1] / 60.0) ** -0.5
        for seed in range(8):
            rng = np.random.default_rng(seed)
            first, other = rng.standard_normal((2, dimension))
            other -= first * (first @ other) / (first @ first)
            first, other = (v * np.sqrt(dimension) / np.linalg.norm(v) for v in (first, other))
            teacher = 0.8 * first + 0.6 * other
            x1 = rng.standard_normal((2 * dimension, dimension)) * np.sqrt(source)
            x2 = rng.standard_normal((dimension // 2, dimension)) * np.sqrt(target)
            clean = TransferTask(
                x1, x1 @ first / 240**0.5, x2, x2 @ teacher / 240**0.5, np.eye(240), teacher / 240**0.5
            )
            noisy = [y + 0.3 * rng.standard_normal(len(y)) for y in (clean.y_source, clean.y_target)]
            task = TransferTask(x1, noisy[0], x2, noisy[1], clean.x_test, clean.y_test)
            losses.append(conditioned(task, clean, 0.3, couplings, target))
        spectra = {"source_spectrum": source, "target_spectrum": target, "source_noise": 0.3, "target_noise": 0.3}
        theory = averaged.solve(elastic_coupling=couplings, **REFERENCE, **spectra)
        relative = np.array(losses) / np.array([theory.test_loss, theory.train_loss]) - 1
        error = relative.std(0, ddof=1) / np.sqrt(len(losses))
        assert (np.abs(relative.mean(0)) < 3 * error + 0.01).all()
        assert error[0].max() < 0.04
