"""Failure signatures: each is seen on a case made to have it and not on its control."""

import dataclasses
import math

import numpy as np
import pytest

from infwidth.networks import gradient_flow
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status
from infwidth.studies import failure_signatures
from infwidth.tasks import linear
from infwidth.theory import bayes, flow
from infwidth.theory.diagnosis import SIGNATURES, diagnose

PLATEAU, NO_GAIN, UNSTABLE, WIDTH = SIGNATURES


@pytest.fixture(scope="module", params=range(2))
def cases(request):
    return failure_signatures.cases(seed=request.param)


@pytest.mark.parametrize("name", [PLATEAU, NO_GAIN, WIDTH])
def test_a_case_and_its_control(cases, name):
    case, control = cases[name]
    assert name in case()
    assert name not in control()


def test_condensed_neurons_and_a_thin_margin_are_instability():
    task = linear(dimension=10, overlap=0.5, n_source=20, n_target=10, n_test=50, seed=0)
    settings = {"activation": "linear", "source_strength": 0.5, "inverse_temperature": 20.0}
    tame = bayes.solve(task, **settings, target_strength=0.5, elastic_coupling=[0.0, 1.0])
    assert UNSTABLE not in tame.diagnosis
    wild = bayes.solve(task, **settings, target_strength=100.0, elastic_coupling=1.0)
    assert wild.domain_margin < 0.05
    assert wild.diagnosis == (UNSTABLE,)
    for status in (Status.CONDENSED, Status.DIVERGED):
        assert UNSTABLE in dataclasses.replace(tame, status=(Status.CONVERGED, status)).diagnosis
    assert dataclasses.replace(tame, status=(Status.CONVERGED, Status.STALLED)).diagnosis == tame.diagnosis


def test_a_posterior_at_zero_coupling_is_its_own_scratch():
    task = linear(dimension=20, overlap=0.95, n_source=60, n_target=8, n_test=300, seed=1)
    settings = {"activation": "linear", "source_strength": 1.0, "target_strength": 0.5, "inverse_temperature": 20.0}
    helped = bayes.solve(task, **settings, elastic_coupling=[0.0, 10.0])
    assert NO_GAIN not in helped.diagnosis
    apart = linear(dimension=20, overlap=0.0, n_source=60, n_target=8, n_test=300, seed=1)
    assert NO_GAIN in bayes.solve(apart, **settings, elastic_coupling=[0.0, 100.0]).diagnosis
    # nothing can be said without δ = 0, or of small couplings
    assert NO_GAIN not in bayes.solve(apart, **settings, elastic_coupling=[1.0, 100.0]).diagnosis
    assert NO_GAIN not in bayes.solve(apart, **settings, elastic_coupling=[0.0, 1.0]).diagnosis


def test_a_width_stands_in_for_networks():
    task = linear(dimension=20, overlap=0.9, n_source=60, n_target=10, n_test=200, seed=0)
    found = bayes.solve(task, activation="linear", source_strength=1.0, target_strength=0.5, inverse_temperature=20.0,
                        elastic_coupling=[1.0, 10.0])  # fmt: skip
    needed = float(np.max(found.finite_width.one_percent)) / 2
    assert WIDTH in diagnose(found, width=math.floor(needed) - 1)
    assert WIDTH not in diagnose(found, width=math.ceil(needed) + 1)
    assert WIDTH not in found.diagnosis


def test_a_course_that_still_moves_is_no_plateau():
    task = linear(dimension=10, overlap=0.9, n_source=30, n_target=8, n_test=100, seed=0)
    settings = {"activation": "linear", "source_strength": 0.5, "target_strength": 0.5, "weight_decay": 0.01}
    settings |= {"source_time": 5.0, "elastic_coupling": 5.0}
    early = flow.solve(task, **settings, target_times=[0.0, 0.1, 0.2])
    scratch = flow.solve(task, **settings, target_times=[0.0, 50.0], start="scratch")
    assert PLATEAU not in diagnose(early, scratch=scratch)


def test_elastic_couplings_are_kept():
    task = linear(dimension=8, overlap=0.5, n_source=10, n_target=6, n_test=20, seed=0)
    settings = {"activation": "linear", "source_strength": 0.5, "target_strength": 0.5, "inverse_temperature": 5.0}
    assert bayes.solve(task, **settings, elastic_coupling=2.0).elastic_coupling == 2.0
    several = bayes.solve(task, **settings, elastic_coupling=[0.0, math.inf])
    np.testing.assert_array_equal(several.elastic_coupling, [0.0, math.inf])


def test_networks_at_other_couplings_are_refused():
    task = linear(dimension=8, overlap=0.5, n_source=10, n_target=6, n_test=20, seed=0)
    settings = {"activation": "linear", "source_strength": 0.5, "target_strength": 0.5, "weight_decay": 0.1}
    settings |= {"source_time": 1.0, "target_times": [0.0, 1.0]}
    theory = flow.solve(task, **settings, elastic_coupling=[0.0, 1.0, 2.0])
    networks = gradient_flow.run(task, **settings, elastic_coupling=[0.0, 1.0], width=8, seeds=(0,))
    with pytest.raises(InputError, match="couplings"):
        diagnose(theory, network_solution=networks)
    with pytest.raises(InputError, match="width = 0"):
        diagnose(theory, width=0)


def test_signatures_say_what_to_do():
    assert len(SIGNATURES) == 4
    assert all(signature.meaning and signature.remedy for signature in SIGNATURES.values())
