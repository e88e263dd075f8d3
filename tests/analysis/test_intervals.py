"""Intervals on thousands of draws of known truth; benchmarks/claim_intervals.py has more of each and every kind."""

import numpy as np
import pandas as pd
import pytest

from infwidth.analysis.decision import INCONCLUSIVE, REPRODUCED, data_sets_needed, decide, level_of
from infwidth.analysis.estimates import Foresight, Largest, Smooth
from infwidth.analysis.intervals import Ratio, jackknife, largest_ends
from infwidth.analysis.mean_square import Law, RootMeanSquare, Scatter
from infwidth.analysis.seeds import student_quantile
from infwidth.plan.purchases import GROWTH, MOST_LOOKS

DRAWS = 4000
ERROR = 3 * np.sqrt(0.05 * 0.95 / DRAWS)
"""Three standard errors of a share of 5 % or 95 % of the draws."""
CHANGE = Ratio((1, -1), (0, 1))


def ratio_ends(values, function=CHANGE, level=0.95):
    """Of draws × data sets × points."""
    seeds = values.shape[1]
    apart = values - values.mean(1, keepdims=True)
    covariance = np.einsum("bnp,bnq->bpq", apart, apart) / (seeds - 1) / seeds
    return function.ends(values.mean(1), covariance, student_quantile(seeds - 1, level))


def smooth(values, function=lambda means: means[0], **more):
    table = pd.DataFrame(values)
    return Smooth(table, function, 0 * table, ["network"] * table.shape[1], **more)


@pytest.mark.parametrize("seeds", [3, 4, 8, 20])
@pytest.mark.parametrize(("levels", "own"), [(0.2, 0.2), (0.5, 0.05)])
def test_a_ratio_of_normal_means_is_held_as_often_as_said_on_both_sides(seeds, levels, own):
    """However much the lower sum scatters; the jackknife's interval errs by twice as much at one end."""
    random = np.random.default_rng(seeds)
    values = 1 + levels * random.standard_normal((DRAWS, seeds, 1)) + own * random.standard_normal((DRAWS, seeds, 2))
    lower, upper = ratio_ends(values * [0.85, 1.0])
    for missed in (lower > -0.15, upper < -0.15):
        assert abs(missed.mean() - 0.025) < 3 * np.sqrt(0.025 / DRAWS)


def test_a_ratios_ends_are_where_the_paired_difference_is_as_far_from_0_as_allowed():
    values = 1 + 0.3 * np.random.default_rng(0).standard_normal((6, 3))
    found = smooth(values, Ratio((1, 0, -0.2), (0, 1, 1)))
    assert found.value == pytest.approx((values[:, 0] - 0.2 * values[:, 2]).sum() / (values[:, 1] + values[:, 2]).sum())
    for end in found.interval(0.9):
        against = values[:, 0] - 0.2 * values[:, 2] - end * (values[:, 1] + values[:, 2])
        error = against.std(ddof=1) / np.sqrt(6)
        assert abs(against.mean()) / error == pytest.approx(student_quantile(5, 0.9))


def test_a_ratio_to_what_may_be_0_has_the_end_that_can_be_told_and_no_other():
    below = np.array([0.1, 1.0, 3.0, 0.2])  # 1.1 ± 0.68: not told from 0 by Student's 3.18
    more = 0.8 * below + [0.51, 0.49, 0.52, 0.5]  # half of one more than four fifths, for sure
    lower, upper = smooth(np.stack([more, below], axis=1), CHANGE).interval()
    assert -0.2 < lower < 0.3
    assert upper == np.inf
    less = 0.8 * below - [0.11, 0.09, 0.12, 0.1]
    lower, upper = smooth(np.stack([less, below], axis=1), CHANGE).interval()
    assert lower == -np.inf
    assert -0.4 < upper < -0.2
    apart = np.stack([[1.0, -1.0, 0.5, 0.2], below], axis=1)
    assert smooth(apart, CHANGE).interval() == (-np.inf, np.inf)


def test_a_ratio_that_never_varies_is_exact():
    values = np.outer([1.0, 1.1, 1.3], [0.9, 1.0])
    assert smooth(values, CHANGE).interval() == pytest.approx((-0.1, -0.1))


@pytest.mark.parametrize("seeds", [3, 6, 20])
def test_functions_of_means_are_held_as_often_as_said(seeds):
    """Of levels that differ by 20 % beside 5 % of each: an exponent, an effect's change, and a spread."""
    random, width = np.random.default_rng(seeds), student_quantile(seeds - 1, 0.95)
    places = np.log([64.0, 128, 256, 512])
    weights = (places - places.mean()) / ((places - places.mean()) ** 2).sum()
    shared = np.exp(0.2 * random.standard_normal((DRAWS, seeds, 1)))
    losses = shared * np.exp(0.05 * random.standard_normal((DRAWS, seeds, 4)))
    kinds = [
        (losses * np.exp(-0.5 * places), lambda means: np.tensordot(weights, np.log(means), 1), -0.5),
        (losses * [0.9, 1, 0.8, 1], lambda means: means[0] / means[1] - means[2] / means[3], 0.1),
    ]
    for values, function, truth in kinds:
        value, stderr = jackknife(values, function)
        assert abs((np.abs(value - truth) < width * stderr).mean() - 0.95) < ERROR + 0.005
    drawn = random.standard_normal((DRAWS, seeds, 20))
    value, stderr = jackknife(
        np.stack([drawn.mean(-1), (drawn**2).mean(-1)], -1), lambda means: np.sqrt(means[1] - means[0] ** 2)
    )
    assert abs((np.abs(np.log(value)) < width * stderr / value).mean() - 0.95) < ERROR + 0.01


def test_what_is_positive_has_an_interval_of_its_logarithm():
    values = np.random.default_rng(2).standard_normal((5, 3)) ** 2
    found = smooth(values, lambda means: means.mean(0), positive=True)
    lower, upper = found.interval()
    assert lower > 0
    assert lower * upper == pytest.approx(found.value**2)


@pytest.mark.parametrize("seeds", [3, 5, 12])
@pytest.mark.parametrize("beneath", [0.0, 5.0])
def test_the_largest_is_held_as_often_as_said_where_all_are_equal_and_where_one_stands_out(seeds, beneath):
    random = np.random.default_rng(seeds)
    values = random.standard_normal((DRAWS, seeds, 4)) - [0, beneath, beneath, beneath]
    means, errors = values.mean(1), values.std(1, ddof=1) / np.sqrt(seeds)

    def ends(level):
        half = student_quantile(seeds - 1, level) * errors
        return means - half, means + half

    lower, upper = largest_ends(ends, 4, 0.95)
    assert abs(((lower <= 0) & (upper >= 0)).mean() - 0.95) < ERROR + 0.005
    one = Largest([smooth(values[0][:, [k]]) for k in range(4)]).interval()
    np.testing.assert_allclose(one, (lower[0], upper[0]))


@pytest.mark.parametrize("seeds", [3, 5, 12])
@pytest.mark.parametrize("points", [20, 60])
@pytest.mark.parametrize("together", [0.2, 0.5, 0.8, 1.0])
def test_on_the_bound_an_agreement_errs_as_seldom_as_said(seeds, points, together):
    """Scatter as large as the bound, of which points share a part that three data sets may show too little of."""
    random, draws = np.random.default_rng(seeds), DRAWS // 2
    noise = np.sqrt(1 - together) * random.standard_normal((draws, seeds, points))
    values = 1 + noise + np.sqrt(together) * random.standard_normal((draws, seeds, 1))
    means = values.mean(1)
    law = Law.of(Scatter.of(means, values - means[:, None]), (means**2).mean(-1), Foresight(seeds))
    wrong = law.side(1.0, 0.05)
    assert (wrong != 0).mean() < 0.055 + 3 * np.sqrt(0.05 / draws)
    lower, upper = RootMeanSquare(pd.DataFrame(values[0]), {}).interval()
    assert wrong[0] == (lower > 1) - (upper < 1)


class _Below:
    expect = {"below": 0.0}  # noqa: RUF012


def test_looks_that_buy_what_should_decide_err_on_the_bound_as_seldom_as_one():
    """How many data sets a look brings follows from those before: that must not be a way to what isn't there."""
    random, trials, wrong = np.random.default_rng(4), 600, 0
    for _ in range(trials):
        values = random.standard_normal((4, 1))
        for look in range(1, MOST_LOOKS + 1):
            if decide(_Below, smooth(values), level_of(look)) != INCONCLUSIVE:
                wrong += 1
                break
            needed = data_sets_needed(_Below, smooth(values), level_of(look + 1))
            if needed is None:
                break
            more = min(needed, GROWTH * len(values)) - len(values)
            values = np.concatenate([values, random.standard_normal((more, 1))])
    assert wrong / trials < 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_as_many_data_sets_as_are_asked_for_decide_as_often_as_promised():
    random = np.random.default_rng(5)
    few = random.standard_normal((6, 1))
    few = (few - few.mean()) / few.std(ddof=1) - 0.6  # a finding that is the truth
    needed = data_sets_needed(_Below, smooth(few))
    drawn = random.standard_normal((DRAWS, needed, 1)) - 0.6
    value, stderr = jackknife(drawn, lambda means: means[0])
    decided = (value + student_quantile(needed - 1, 0.95) * stderr < 0).mean()
    assert 0.78 < decided < 0.86
    assert decide(_Below, smooth(few - 5)) == REPRODUCED
