"""When an integration is given up."""

import pytest

from infwidth.theory.patience import Patience


def evaluations_until_given_up(pace_at, end, most=1_000_000):
    patience, time, spent = Patience(end, most, 1000), 0.0, 0
    while not patience.over(time, spent):
        time, spent = time + 100 * pace_at(spent), spent + 100
        if time >= end:
            return None
    return spent


@pytest.mark.parametrize("times_too_slow", [3, 20, 200, 1e5])
def test_a_pace_that_stands_is_given_up_early(times_too_slow):
    """Twenty times too slow a pace used to go on until its evaluations ran out."""
    assert evaluations_until_given_up(lambda _: 1e-6, times_too_slow) <= 70_000


def test_a_pace_that_suffices_or_grows_is_not():
    assert evaluations_until_given_up(lambda _: 1e-6, 0.9) is None
    assert evaluations_until_given_up(lambda spent: 1e-9 * (1 + spent / 100) ** 1.5, 100.0) is None
    assert evaluations_until_given_up(lambda spent: 1e-6 if spent < 3000 else 1e-3, 100.0) is None
