"""Averaged theory beside posteriors of drawn data sets, and of inputs whose spectrum is not flat (docs/averaged.md)."""

import numpy as np
import pytest
from builders import averaged_settings

from infwidth.numerics.checks import InputError
from infwidth.studies.populations import population
from infwidth.tasks import linear
from infwidth.tasks.spectra import power_law
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


class TestPowerLaws:
    """Spectra as tasks draw them, in the same axes or rotated, eq. (12): data sets of D = 50 … 400 come down to it."""

    couplings = (0, 1, 10, np.inf)
    steep = {"exponent": 1.0}  # noqa: RUF012

    def losses(self, dimension, seeds, spectra):
        """Population losses of the theory of data sets, label noise taken off, and their average."""
        found = []
        for seed in seeds:
            task = population(dimension, 0.8, (2 * dimension, dimension // 2), seed, noises=(0.3, 0.4), spectra=spectra)
            solution = bayes.solve(
                task,
                activation="linear",
                source_strength=3 / np.sqrt(dimension),
                target_strength=2 / np.sqrt(dimension),
                elastic_coupling=self.couplings,
                inverse_temperature=20.0,
                evidence=False,
            )
            found.append(solution.test_loss)
        steep, flat = power_law(dimension, 1.0), np.ones(dimension)
        source = flat if spectra[0] is None else steep
        target = source if spectra[1] is None else flat if spectra[1]["exponent"] == 0 else steep
        shift = {"source_spectrum": source, "target_spectrum": target}
        shift |= {"rotated": bool(spectra[1] and spectra[1].get("rotated"))}
        theory = averaged.solve(elastic_coupling=self.couplings, **REFERENCE, **NOISES, **shift)
        return np.array(found) / (theory.test_loss - 0.4**2) - 1

    @pytest.mark.parametrize(
        "spectra",
        [(steep, None), (steep, steep | {"rotated": True}), (steep, {"exponent": 0}), (None, steep)],
        ids=["same", "rotated", "to flat", "from flat"],
    )
    def test_data_sets_come_down_to_the_average(self, spectra):
        small, middle, large = (self.losses(d, range(n), spectra) for d, n in ((50, 64), (100, 32), (400, 6)))
        error = [found.std(0, ddof=1) / np.sqrt(len(found)) for found in (small, middle, large)]
        assert (np.abs(large.mean(0)) < 3 * error[2]).all()
        assert error[2].max() < 0.06
        assert (np.abs(middle.mean(0)) < 3 * error[1] + 0.03).all()
        assert (np.abs(middle.mean(0) - small.mean(0) / 2) < 3 * np.hypot(error[1], error[0] / 2) + 0.01).all()

    def test_rotation_costs_a_rich_source_of_few_directions_much(self):
        settings = {"source_ratio": 1, "target_ratio": 0.1, "source_richness": 30, "target_richness": 2, "overlap": 1}
        settings |= {"elastic_coupling": 10.0, "inverse_temperature": 20.0}
        dimension, steep = 200, {"exponent": 1.5}
        spectra = {f"{name}_spectrum": power_law(dimension, 1.5) for name in ("source", "target")}
        along, turned = (averaged.solve(**settings, **spectra, rotated=rotated) for rotated in (False, True))
        assert turned.alignment == pytest.approx(along.alignment)
        assert turned.source_test_loss == pytest.approx(along.source_test_loss)
        losses = [
            bayes.solve(
                population(dimension, 1.0, (200, 20), seed, spectra=(steep, steep | {"rotated": True})),
                activation="linear",
                source_strength=30 / np.sqrt(dimension),
                target_strength=2 / np.sqrt(dimension),
                elastic_coupling=10.0,
                inverse_temperature=20.0,
                evidence=False,
            ).test_loss
            for seed in range(16)
        ]
        mean, error = np.mean(losses), np.std(losses, ddof=1) / 4
        assert abs(mean - turned.test_loss) < 3 * error
        assert mean - along.test_loss > 3 * error

    def test_rotation_is_nothing_on_flat_spectra(self):
        flat = {f"{name}_spectrum": np.ones(3) for name in ("source", "target")}
        for spectra in ({}, flat):
            found = [
                averaged.solve(**averaged_settings(50, 6), **spectra, rotated=rotated).test_loss
                for rotated in (False, True)
            ]
            np.testing.assert_allclose(*found, rtol=1e-7)

    def test_rotation_refuses_teachers_that_have_axes(self):
        with pytest.raises(
            InputError, match=r"^teacher_spectrum = \[1\.0, 2\.0\]: expected none where axes are rotated"
        ):
            averaged.solve(elastic_coupling=1, **REFERENCE, teacher_spectrum=[1.0, 2.0], rotated=True)
