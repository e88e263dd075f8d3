"""Figures of kernels, preactivations, alignment and gain: they show the table's and the arrays' own numbers."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from infwidth.figures import cifar_alignment, cifar_gain, cifar_kernels, cifar_preactivations
from infwidth.figures.parts.style import save_figure
from infwidth.io.tables import make_table

METRICS = ("test_loss", "kernel_alignment", "centred_kernel_alignment", "preactivation_std",
           "preactivation_excess_kurtosis")  # fmt: skip
COUPLINGS = (0.0, 10.0, math.inf)
EDGES = np.linspace(-4, 4, 17)


def points(kinds=("theory", "network"), strengths=(0.1, 0.3), widths=(50.0,), sizes=(40,)):
    """One mapping of columns for each population that is recorded."""
    for kind, strength, size, seed in itertools.product(kinds, strengths, sizes, range(3)):
        for width in (math.inf,) if kind == "theory" else widths:
            shared = {"kind": kind, "width": width, "n_target": size, "seed": seed}
            if strength == strengths[0]:
                yield shared | {"condition": "source", "target_strength": math.nan, "elastic_coupling": math.nan,
                                "time": math.nan}  # fmt: skip
            for condition, coupling, time in itertools.product(
                ("transfer", "scratch", "random_anchor"), COUPLINGS, (0.0, 20.0)
            ):
                if condition != "scratch" or coupling == 0:
                    own = math.nan if condition == "scratch" else coupling
                    yield shared | {"condition": condition, "target_strength": strength, "elastic_coupling": own,
                                    "time": time}  # fmt: skip


def table(**axes):
    scatter = np.random.default_rng(0)
    fixed = {"experiment": "e", "dataset": "digits (fallback for CIFAR-10) 0,1 → 8,9", "n_source": 8,
             "source_strength": 0.3, "stderr": 0.01, "status": "converged"}  # fmt: skip
    return make_table(
        fixed | point | {"metric": metric, "value": 1 + 0.1 * scatter.standard_normal()}
        for point in points(**axes)
        for metric in METRICS
    )


def arrays(**axes):
    entries = [point for point in points(**axes) if point["seed"] == 0]
    scatter = np.random.default_rng(1)
    kernels = scatter.standard_normal((len(entries), 8, 20))
    columns = {name: np.array([entry[name] for entry in entries]) for name in entries[0]}
    density = np.exp(-(((EDGES[1:] + EDGES[:-1]) / 2) ** 2) / 2) / np.sqrt(2 * np.pi)
    return columns | {
        "kernel": kernels @ kernels.swapaxes(1, 2), "density": np.tile(density, (len(entries), 1)), "edges": EDGES
    }  # fmt: skip


CASES = {cifar_kernels: {}, cifar_preactivations: {}, cifar_alignment: {}, cifar_gain: {"sizes": (10, 40)}}
THIN = {"kinds": ("network",), "strengths": (0.3,)}


@pytest.mark.parametrize("axes", [{}, THIN], ids=["all", "networks alone, one strength"])
@pytest.mark.parametrize("module", CASES, ids=lambda module: module.__name__.split(".")[-1])
def test_figures_draw_save_and_repeat(module, axes, tmp_path):
    axes = CASES[module] | axes
    inputs = [table(**axes), arrays(**axes)] if getattr(module, "READS_ARRAYS", False) else [table(**axes)]
    for name in ("a", "b"):
        figure, plotted = module.draw(*inputs)
        texts = [axes.get_title() for axes in figure.axes] + [figure.get_suptitle()]
        assert any("fallback" in text for text in texts)  # a stand-in for CIFAR-10 is named where it shows
        save_figure(figure, plotted, {kind: tmp_path / f"{name}.{kind}" for kind in ("pdf", "png", "csv")})
    for kind in ("pdf", "png", "csv"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_gain_is_the_paired_change_from_scratch():
    rows = table(sizes=(10, 40))
    _, plotted = cifar_gain.draw(rows)
    rows = rows[(rows["metric"] == "test_loss") & (rows["time"] == 20) & (rows["target_strength"] == 0.3)]
    rows = rows[(rows["kind"] == "theory") & (rows["n_target"] == 40)]
    means = rows.groupby(["condition", "elastic_coupling"], dropna=False)["value"].mean()
    expected = 100 * (means["transfer"][10.0] / means["scratch"].iloc[0] - 1)
    shown = plotted[(plotted["metric"] == "change from scratch, %") & (plotted["n_target"] == 40)]
    shown = shown[(shown["kind"] == "theory") & (shown["elastic_coupling"] == 10) & (shown["condition"] == "transfer")]
    assert shown["mean"].item() == pytest.approx(expected)
    plt.close("all")


def test_gain_shows_experiments_of_other_strengths():
    """The largest γ of all experiments is not that of each."""
    axes = {"a": {"strengths": (0.1, 0.3)}, "b": {"strengths": (0.1, 1.0)}}
    rows = pd.concat([table(**one).assign(experiment=name, dataset=name) for name, one in axes.items()])
    _, plotted = cifar_gain.draw(rows.reset_index(drop=True))
    assert plotted.groupby("dataset")["target_strength"].unique().map(list).to_dict() == {"a": [0.3], "b": [1.0]}
    plt.close("all")


def test_networks_of_two_widths_are_shown_extrapolated():
    figure, plotted = cifar_alignment.draw(table(widths=(50.0, 100.0)))
    assert set(plotted["width"]) == {math.inf}
    assert any("N → ∞" in text.get_text() for text in figure.legends[0].get_texts())
    plt.close("all")


def test_kernels_are_scaled_and_named_by_the_tables_alignment():
    rows, found = table(), arrays()
    figure, plotted = cifar_kernels.draw(rows, found)
    for _, panel in plotted.groupby(["kind", "panel"]):
        assert panel.loc[panel["row"] == panel["column"], "value"].mean() == pytest.approx(1, abs=1e-5)
    chosen = rows[(rows["metric"] == "kernel_alignment") & (rows["kind"] == "theory") & (rows["seed"] == 0)]
    source = chosen.loc[chosen["condition"] == "source", "value"].item()
    assert figure.axes[0].get_title() == f"source\nalignment {source:.2f}"
    plt.close("all")
