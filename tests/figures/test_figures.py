"""Figures: what they plot is what the table says, unconverged points are hollow, files repeat bit by bit."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection

from infwidth.figures import cifar_delta, hermite_delta, hermite_dynamics, linear_delta, linear_dynamics
from infwidth.figures.draw import shared_data_sets
from infwidth.figures.parts.style import coupling_axis, placed, save_figure
from infwidth.io.tables import make_table

COUPLINGS = (0.0, 1.0, 10.0, np.inf)


def table(
    *, kinds=("theory", "network"), times=(np.nan,), conditions=("transfer",), strengths=(0.5,), overlaps=(0.0, 0.9)
):
    scatter = np.random.default_rng(0)
    axes = itertools.product(kinds, times, conditions, strengths, overlaps, COUPLINGS, range(3),
                             ("train_loss", "test_loss", "test_error"))  # fmt: skip
    return make_table(
        {
            "experiment": "e", "kind": kind, "dataset": "digits (fallback for CIFAR-10) 0,1 → 8,9",
            "condition": condition,
            "overlap": overlap, "n_source": 8, "n_target": 4, "width": np.inf if kind == "theory" else 50.0,
            "source_strength": 1.0, "target_strength": strength,
            "elastic_coupling": np.nan if condition == "scratch" else coupling, "seed": seed, "time": time,
            "metric": metric, "value": 1.0 + 0.1 * scatter.standard_normal(), "stderr": 0.0, "status": "converged",
        }
        for kind, time, condition, strength, overlap, coupling, seed, metric in axes
        if condition != "scratch" or coupling == 0
    )  # fmt: skip


CASES = {
    linear_delta: {},
    linear_dynamics: {"times": (0.0, 0.5, 2.0), "conditions": ("transfer", "scratch", "random_anchor")},
    hermite_dynamics: {"times": (0.0, 2.0), "conditions": ("transfer", "scratch", "random_anchor"), "overlaps": (1,)},
    hermite_delta: {"times": (0.0, 2.0), "conditions": ("transfer", "scratch", "random_anchor"), "overlaps": (1,)},
    cifar_delta: {
        "kinds": ("network",), "times": (0.0, 20.0), "conditions": ("transfer", "scratch", "random_anchor"),
        "strengths": (0.1, 1.0), "overlaps": (np.nan,),
    },
}  # fmt: skip


@pytest.mark.parametrize("module", CASES, ids=lambda module: module.__name__.split(".")[-1])
def test_figures_draw_save_and_repeat(module, tmp_path):
    rows = table(**CASES[module])
    for name in ("a", "b"):
        figure, plotted = module.draw(rows)
        titles = [axes.get_title() for axes in figure.axes]
        assert any("fallback" in title for title in titles)  # a stand-in for CIFAR-10 is named where it shows
        save_figure(figure, plotted, {kind: tmp_path / f"{name}.{kind}" for kind in ("pdf", "png", "csv")})
    for kind in ("pdf", "png", "csv"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_plotted_numbers_are_the_tables_means():
    rows = table()
    _, plotted = linear_delta.draw(rows)
    chosen = rows[(rows["metric"] == "test_loss") & (rows["kind"] == "network") & (rows["overlap"] == 0.9)]
    means = chosen.groupby("elastic_coupling")["value"].mean()
    shown = plotted[(plotted["kind"] == "network") & (plotted["overlap"] == 0.9)].set_index("elastic_coupling")["mean"]
    assert np.allclose(shown.sort_index(), means.sort_index())
    plt.close("all")


def test_unconverged_points_are_hollow():
    rows = table()
    rows.loc[rows["elastic_coupling"] == 1.0, "status"] = "unmixed"
    figure, _ = linear_delta.draw(rows)
    faces = np.vstack([marks.get_facecolors() for marks in figure.axes[0].collections if len(marks.get_offsets()) == 4])
    white = np.all(faces[:, :3] == 1.0, axis=1)
    assert white.sum() == 2  # one of four points, in each overlap's networks
    plt.close("all")


def test_zero_and_infinity_have_places_of_their_own():
    _, axes = plt.subplots()
    positions = coupling_axis(axes, [np.inf, 0, 1, 100])
    assert positions == {1.0: 0.0, 100.0: 2.0, 0.0: -1.0, np.inf: 3.0}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "100", "∞"]
    plt.close("all")


def test_figures_show_data_sets_that_both_sides_have():
    rows = [{"experiment": "e", "kind": kind, "seed": seed, "metric": "test_loss", "value": float(seed)}
            for kind, seeds in (("theory", 9), ("network", 3)) for seed in range(seeds)]  # fmt: skip
    shown = shared_data_sets(make_table(rows))
    assert shown.groupby("kind")["seed"].agg(list).to_dict() == {"theory": [0, 1, 2], "network": [0, 1, 2]}
    alone = make_table([row for row in rows if row["kind"] == "theory"])
    assert len(shared_data_sets(alone)) == 9


def test_training_from_scratch_has_a_place_of_its_own_and_a_level_across():
    _, axes = plt.subplots(figsize=(6, 2))
    positions = coupling_axis(axes, [0, 1, 10], scratch=True)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["scratch", "0", "1", "10"]
    aside = axes.get_xticks()[0]
    rows = pd.DataFrame({"kind": ["theory", "network"], "elastic_coupling": math.nan, "mean": [1.0, 2.0]})
    ends = placed(rows, positions).groupby("kind")["place"].agg(sorted).to_dict()
    assert ends == {"network": [aside], "theory": [aside, positions[10.0]]}
    alone = placed(rows[rows["kind"] == "network"], positions)
    assert sorted(alone["place"]) == [aside, positions[10.0]]
    tied = rows.assign(elastic_coupling=[0.0, 10.0])
    assert list(placed(tied, positions)["place"]) == [positions[0.0], positions[10.0]]
    plt.close("all")


@pytest.mark.parametrize("anchored", [True, False])
def test_random_anchors_have_a_panel_of_their_own_in_which_no_point_is_cut_off(anchored):
    conditions = ["transfer", "scratch", *(["random_anchor"] if anchored else [])]
    rows = make_table(
        {"experiment": "e", "dataset": "linear teachers", "kind": kind, "seed": seed, "metric": metric, "time": time,
         "width": math.inf if kind == "theory" else 50.0, "overlap": 0.5, "condition": condition,
         "elastic_coupling": math.nan if condition == "scratch" else 1.0, "status": "converged", "stderr": 0.0,
         "value": 3.0 + seed if condition == "random_anchor" else 1.0 + 0.1 * seed}
        for kind in ("theory", "network") for seed in range(3) for metric in ("train_loss", "test_loss")
        for time in (0.0, 1.0, 10.0) for condition in conditions
    )  # fmt: skip
    figure, _ = linear_dynamics.draw(rows)
    assert len(figure.axes) == 2 + anchored
    assert all(axes.get_ylim()[0] == 0 for axes in figure.axes)
    if anchored:
        assert figure.axes[1].get_ylim() == figure.axes[2].get_ylim()
        assert figure.axes[2].get_ylim()[1] > 4
        assert figure.axes[2].get_title() == "tied to random weights"
    # errors are drawn once: bars of networks, no bands of the theory beside them
    assert not [one for axes in figure.axes for one in axes.collections if isinstance(one, PolyCollection)]
    plt.close("all")
    theory, _ = linear_dynamics.draw(rows[rows["kind"] == "theory"])
    assert [one for axes in theory.axes for one in axes.collections if isinstance(one, PolyCollection)]
    plt.close("all")
