"""The figure of all verdicts, from verdicts whose distances are known."""

import math

import matplotlib.pyplot as plt
import pytest

from infwidth.analysis.claims import Verdict
from infwidth.figures.parts.style import save_figure
from infwidth.figures.verdicts import draw


def side(verdict, value, lower, upper):
    return {"verdict": verdict, "value": value, "stderr": 0.1, "lower": lower, "upper": upper, "seeds": 4}


def verdict(name="T2", expected="below 0.05", theory=None, networks=None, paper="T"):
    return Verdict(name, paper, "s", "f", "e", expected, "reproduced", 0.0, 0.1, 4, theory=theory, networks=networks)


@pytest.mark.parametrize(
    ("expected", "found", "numbers"),
    [
        ("below 0.05", (0.01, 0.0, 0.1), (0.8, -1, 1)),
        ("above 0.5", (0.75, 0.5, 1.0), (0.5, 0, 1)),
        ("above -0.3", (-0.6, -0.9, -0.3), (-1, -2, 0)),
        ("below 0", (-2.0, -3.0, -1.0), (2, 1, 3)),  # no unit but its own interval
        ("above -0.55 and below -0.45", (-0.5, -0.525, -0.475), (1, 0.5, 1)),
        ("above -2.3 and below -1.7", (-1.7, -2.0, -1.4), (0, -1, 1)),
    ],
)
def test_distances_are_in_units_of_the_bound(expected, found, numbers):
    _, shown = draw([verdict(expected=expected, theory=side("reproduced", *found))])
    row = shown.iloc[0]
    assert (row["value"], row["lower"], row["upper"]) == pytest.approx(numbers)
    plt.close("all")


def test_every_side_that_was_tested_is_shown_in_order(tmp_path):
    far = side("not reproduced", 9.0, 8.0, 10.0)
    both = {"theory": side("reproduced", 0.01, 0.0, 0.02), "networks": side("inconclusive", 0.04, 0.0, 0.09)}
    untested = side("not tested", None, None, None)
    verdicts = [
        verdict("T10.a", **both),
        verdict("T9", networks=far, theory=untested),
        verdict("S1", paper="S", networks=far),
        verdict("S2", paper="S", networks=side("inconclusive", 0.1, None, None)),
    ]
    figure, shown = draw(verdicts)
    assert list(zip(shown["claim"], shown["side"], strict=True)) == [
        ("T10.a", "theory"), ("T10.a", "networks"), ("T9", "networks"), ("S1", "networks")
    ]  # fmt: skip
    (axes,) = figure.axes
    assert axes.get_title() == "S1 – T10"
    assert [label.get_text() for label in axes.get_yticklabels()] == ["S1", "T9", "T10.a"]
    assert shown["upper"].map(math.isfinite).all()
    save_figure(figure, shown, {kind: tmp_path / f"v.{kind}" for kind in ("pdf", "png", "csv")})
    assert (tmp_path / "v.png").stat().st_size > 5000


def test_a_run_without_claims_has_an_empty_figure():
    figure, shown = draw([])
    assert shown.empty
    assert "no claim" in figure.axes[0].get_title()
    plt.close("all")


def test_many_claims_share_two_columns_and_own_ones_come_last():
    inside = side("reproduced", 0.01, 0.0, 0.02)
    verdicts = [verdict(f"T{i}", theory=inside) for i in range(1, 60)]
    verdicts += [verdict("a_claim", theory=inside, paper="own"), verdict("S1", theory=inside, paper="S")]
    figure, _ = draw(verdicts)
    first, second = ([label.get_text() for label in axes.get_yticklabels()] for axes in figure.axes)
    assert (first[0], second[-1]) == ("S1", "a_claim")
    assert abs(len(first) - len(second)) <= 1
    assert min(label.get_fontsize() for axes in figure.axes for label in axes.get_yticklabels()) >= 6
    plt.close("all")
