"""Figures of the Bayesian studies: they show the table's and the arrays' own numbers."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from infwidth.figures import advice, bayes_delta, bayes_densities, bayes_hermite, delta_choice
from infwidth.figures.parts.style import save_figure
from infwidth.io.arrays import join_entries
from infwidth.io.tables import make_table

COUPLINGS = (0.0, 10.0, math.inf)
METRICS = ("test_loss", "leave_one_out", "log_evidence_density", "preactivation_std", "preactivation_excess_kurtosis")
EDGES = np.linspace(-4, 4, 17)


def populations(experiments=("relu", "erf"), overlaps=(0.0, 0.6), widths=(100.0, 200.0)):
    for experiment, overlap, seed in itertools.product(experiments, overlaps, range(3)):
        for kind, width in [("theory", math.inf), *(("network", width) for width in widths)]:
            shared = {"experiment": experiment, "overlap": overlap, "kind": kind, "width": width, "seed": seed}
            nothing = {"time": math.nan, "n_target": 20}
            yield shared | nothing | {"condition": "source", "target_strength": math.nan, "elastic_coupling": math.nan}
            for coupling in COUPLINGS:
                yield shared | nothing | {"condition": "transfer", "target_strength": 1.0, "elastic_coupling": coupling}


def table(**axes):
    scatter = np.random.default_rng(0)
    fixed = {"dataset": "linear teachers", "n_source": 30, "source_strength": 1.0, "stderr": 0.01,
             "status": "converged"}  # fmt: skip
    return make_table(
        fixed | one | {"metric": metric, "value": 1 + 0.1 * scatter.standard_normal()}
        for one in populations(**axes)
        for metric in METRICS
    )


def arrays(**axes):
    entries = [one for one in populations(**axes) if one["seed"] == 0 and one["width"] != 100.0]
    density = np.exp(-(((EDGES[1:] + EDGES[:-1]) / 2) ** 2) / 2)
    columns = {name: np.array([entry[name] for entry in entries]) for name in entries[0]}
    return columns | {"density": np.tile(density, (len(entries), 1)), "kernel": np.zeros((len(entries), 4, 4)),
                      "edges": EDGES}  # fmt: skip


@pytest.mark.parametrize("axes", [{}, {"experiments": ("erf",), "overlaps": (math.nan,), "widths": ()}])
@pytest.mark.parametrize("figure", [bayes_delta, bayes_hermite, bayes_densities, delta_choice])
def test_figures_show_what_the_tables_hold(figure, axes, tmp_path):
    rows = table(**axes)
    found = [arrays(**axes)] if getattr(figure, "READS_ARRAYS", False) else []
    drawing, plotted = figure.draw(rows, *found)
    assert len(drawing.axes) == (2 if figure in (bayes_delta, bayes_hermite) else 3) * rows["experiment"].nunique()
    metric = "preactivation_std" if figure is bayes_densities else "test_loss"
    chosen = rows[(rows["metric"] == metric) & (rows["kind"] == "theory") & (rows["elastic_coupling"] == 10)]
    chosen = chosen[chosen["experiment"] == "erf"]
    if figure is bayes_densities and not axes:
        chosen = chosen[chosen["overlap"] == 0.6]
    expected = sorted(chosen.groupby("overlap", dropna=False)["value"].mean())
    shown = plotted[(plotted["metric"] == metric) & (plotted["kind"] == "theory") & (plotted["elastic_coupling"] == 10)]
    np.testing.assert_allclose(sorted(shown.loc[shown["experiment"] == "erf", "mean"]), expected)
    save_figure(drawing, plotted, {kind: tmp_path / f"f.{kind}" for kind in ("pdf", "png", "csv")})
    assert (tmp_path / "f.pdf").stat().st_size > 5000


def test_experiments_of_other_widths_each_show_their_networks():
    """The widest network of all experiments is not that of each."""
    axes = [{"experiments": (name,), "widths": (100.0, width)} for name, width in (("relu", 200.0), ("erf", 4000.0))]
    rows = pd.concat([table(**one) for one in axes], ignore_index=True)
    _, plotted = bayes_densities.draw(rows, join_entries([arrays(**one) for one in axes]))
    dots = plotted[(plotted["metric"] == "density") & (plotted["kind"] == "network")]
    assert dots.groupby("experiment")["width"].unique().map(list).to_dict() == {"relu": [200], "erf": [4000]}


@pytest.mark.parametrize("recommended", [10.0, 0.0, None])
def test_advice(recommended):
    found = pd.DataFrame({"elastic_coupling": COUPLINGS, "loss": [1.0, 0.8, math.nan], "stderr": 0.1,
                          "gain": [0.0, 0.2, math.nan], "gain_stderr": 0.05,
                          "status": ["converged", "converged", "unmixed"]})  # fmt: skip
    smaller = pd.DataFrame({"n_target": [10, 20], "scratch_loss": 1.0, "loss": 0.9, "gain": 0.1, "gain_stderr": 0.1,
                            "status": ["converged", "condensed"]})  # fmt: skip
    figure = advice.draw(found, smaller if recommended else pd.DataFrame(), recommended, "a → b", 40)
    lines = figure.axes[1].get_lines()
    if recommended == 10:
        np.testing.assert_allclose(lines[0].get_xydata(), [[10, 10], [40, 20]])
    else:  # against δ, where it was found
        assert lines[0].get_ydata().tolist() == [20]
        assert "δ" in figure.axes[1].get_xlabel()
    assert any(text.get_text() == "unmixed" for text in figure.axes[0].texts)
    assert any(text.get_text() == "recommended" for text in figure.axes[0].texts) == (recommended is not None)
    plt.close(figure)
