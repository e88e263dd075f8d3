"""What pretraining is worth: the critical overlap, the best coupling and the samples saved (docs/averaged.md)."""

import numpy as np
import pytest

from infwidth.numerics.checks import InputError
from infwidth.theory import averaged, worth

HARMFUL = {"source_ratio": 2, "target_ratio": 3, "source_richness": 3, "target_richness": 3, "inverse_temperature": 2}
SCARCE = {"source_ratio": 2, "target_ratio": 0.5, "source_richness": 3, "target_richness": 2, "inverse_temperature": 20}


def loss(**settings):
    return averaged.solve(**settings).test_loss


class TestCriticalOverlap:
    @pytest.mark.parametrize("settings", [HARMFUL, SCARCE, SCARCE | {"source_noise": 0.5, "target_ratio": 1.0}])
    def test_separates_help_from_harm(self, settings):
        critical = worth.critical_overlap(**settings)
        assert 0 < critical < 1
        scratch = loss(overlap=0, elastic_coupling=0, **settings)
        below, at, above = loss(overlap=critical + np.array([-1e-3, 0, 1e-3]), elastic_coupling=np.inf, **settings)
        assert above < scratch < below
        assert at == pytest.approx(scratch, rel=1e-9)

    def test_from_the_source_s_alignment(self):
        """α_c² = [E_∞(0) − E_0]/([E_∞(0) − E_∞(m²=1)] cos²), by its definition in m²."""
        noisy = HARMFUL | {"source_noise": 0.1, "source_richness": 4}
        apart = averaged.solve(overlap=0.0, elastic_coupling=np.inf, **noisy)
        along = averaged.solve(overlap=1.0, elastic_coupling=np.inf, **noisy)
        cos2 = along.alignment**2
        full = apart.test_loss + (along.test_loss - apart.test_loss) / cos2
        scratch = loss(overlap=0, elastic_coupling=0, **noisy)
        expected = np.sqrt((apart.test_loss - scratch) / ((apart.test_loss - full) * cos2))
        assert worth.critical_overlap(**noisy) == pytest.approx(expected, rel=1e-9)

    def test_always_and_never(self):
        cold = {**SCARCE, "inverse_temperature": np.inf}
        assert worth.critical_overlap(**cold) == 0
        lazy_source = {**HARMFUL, "source_richness": 0.01}
        assert worth.critical_overlap(**lazy_source) == np.inf
        grid = worth.critical_overlap(**{**HARMFUL, "source_richness": [[0.01, 3.0]]})
        assert grid.shape == (1, 2)


class TestBestCoupling:
    def test_no_coupling_does_better(self):
        settings = SCARCE | {
            "target_ratio": np.array([0.3, 0.5, 1.0, 3.0]),
            "overlap": np.array([[0.0], [0.3], [0.6], [0.9]]),
        }
        best, least = worth.best_coupling(**settings)
        assert best.shape == least.shape == (4, 4)
        assert (best == 0).any()
        assert (np.isfinite(best) & (best > 0)).any()
        assert np.isinf(best).any()
        np.testing.assert_allclose(loss(elastic_coupling=best, **settings), least, rtol=1e-12)
        rng = np.random.default_rng(0)
        for coupling in np.concatenate([[0, np.inf], np.exp(rng.uniform(-8, 10, 60))]):
            assert (least <= loss(elastic_coupling=coupling, **settings) * (1 + 1e-6)).all()

    def test_scale_follows_the_hidden_precision(self):
        """(λ_W, λ_w, δ) → (aλ_W, λ_w/a, aδ) changes nothing."""
        settings = {**SCARCE, "overlap": 0.2, "target_ratio": 0.5}
        best, least = worth.best_coupling(**settings)
        scaled, same = worth.best_coupling(**settings, hidden_precision=50.0, readout_precision=0.02)
        assert 0 < best < np.inf
        assert scaled == pytest.approx(50 * best, rel=5e-3)
        assert same == pytest.approx(least, rel=1e-9)


class TestSampleSavings:
    def test_scratch_with_as_many_more_does_as_well(self):
        settings = SCARCE | {"overlap": 0.9, "elastic_coupling": np.inf, "target_ratio": np.array([0.1, 0.5, 1.0, 3.0])}
        saved = worth.sample_savings(**settings)
        assert (saved[:3] > 0).all()
        assert saved[3] < 0  # ample clean data
        scratch = {**settings, "elastic_coupling": 0, "target_ratio": settings["target_ratio"] + saved}
        np.testing.assert_allclose(loss(**scratch), loss(**settings), rtol=1e-7)

    def test_nothing_is_saved_without_a_tie(self):
        assert worth.sample_savings(overlap=0.5, elastic_coupling=0, **SCARCE) == pytest.approx(0, abs=1e-8)

    def test_least_number_where_more_samples_hurt(self):
        noisy = SCARCE | {"inverse_temperature": np.inf, "target_noise": 0.3, "overlap": 0.9, "target_ratio": 0.9}
        saved = worth.sample_savings(elastic_coupling=1.0, **noisy)
        assert saved < 0  # fewer samples interpolate more quietly than .9 D, tied or not
        reached = loss(elastic_coupling=1.0, **noisy)
        fewer = np.linspace(0.001, noisy["target_ratio"] + saved - 1e-3, 50)
        assert (loss(elastic_coupling=0, **{**noisy, "target_ratio": fewer}) > reached).all()

    def test_no_number_of_samples_will_do(self):
        hopeless = {**HARMFUL, "overlap": 0.0, "target_ratio": 0.01, "target_noise": 1.0, "inverse_temperature": 1e5}
        transfer = loss(elastic_coupling=np.inf, **hopeless)
        saved = worth.sample_savings(elastic_coupling=np.inf, **hopeless)
        assert saved >= -0.01
        assert (saved == -0.01) == (transfer >= loss(elastic_coupling=0, **{**hopeless, "target_ratio": 1e-4}))


def test_what_is_varied_is_not_an_argument():
    with pytest.raises(InputError, match=r"overlap = 0\.5: expected no such argument"):
        worth.critical_overlap(overlap=0.5, **HARMFUL)
    with pytest.raises(InputError, match="elastic_coupling"):
        worth.best_coupling(overlap=0.5, elastic_coupling=1, **HARMFUL)


@pytest.mark.parametrize("question", [worth.critical_overlap, worth.best_coupling, worth.sample_savings])
def test_bad_input_is_named(question):
    settings = {"overlap": 0.5, "elastic_coupling": 1.0, **HARMFUL}
    if question is not worth.sample_savings:
        del settings["elastic_coupling"]
    if question is worth.critical_overlap:
        del settings["overlap"]
    for changes in ({"target_ratio": "many"}, {"source_richness": -1}, {"target_noise": [0.1, np.nan]}):
        with pytest.raises(InputError, match=next(iter(changes))):
            question(**(settings | changes))


def test_shifted_inputs():
    spectra = {"source_spectrum": [2.0, 0.5, 0.5], "target_spectrum": [1.0, 1.5, 0.5]}
    critical = worth.critical_overlap(**HARMFUL, **spectra)
    best, least = worth.best_coupling(overlap=[0.2, 0.9], **SCARCE, **spectra)
    assert critical > 0
    assert (least <= loss(overlap=[0.2, 0.9], elastic_coupling=1.0, **SCARCE, **spectra)).all()
    assert best.shape == (2,)
