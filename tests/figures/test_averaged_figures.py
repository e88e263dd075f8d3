"""Figures of the averaged theory and of finite width: what they show is what the table says; they save and repeat."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from infwidth.figures import averaged_check, finite_width, phase_diagram, sample_savings
from infwidth.figures.parts.style import save_figure
from infwidth.io.tables import make_table, select
from infwidth.studies import averaged, phases

PARTS = {"mean_deviation": -1.0, "thermal_deviation": 4.0, "source_deviation": 2.0, "sampled_test_loss_deviation": 5.0}
GRID = {"overlaps": [0, 0.5, 1], "target_ratios": [0.2, 1, 5]}


def widths(seeds=3):
    rows = []
    for overlap, coupling, seed in itertools.product((0.0, 0.9), (0.0, 10.0, math.inf), range(seeds)):
        point = {"experiment": "e", "dataset": "linear teachers", "condition": "transfer", "overlap": overlap}
        point |= {"elastic_coupling": coupling, "seed": seed, "stderr": 0.0, "status": "converged"}
        theory = point | {"kind": "theory", "width": math.inf}
        loss = 0.5 + 0.2 * seed  # the data sets' own
        rows.append(theory | {"metric": "sampled_test_loss", "value": loss})
        rows += [theory | {"metric": metric, "value": loss * value} for metric, value in PARTS.items()]
        rows += [
            point | {"kind": "network", "width": width, "metric": "sampled_test_loss", "value": loss * (1 + 5 / width)}
            for width in (100.0, 400.0)
        ]
    return make_table(rows)


def drawn(module, **settings):
    study = {averaged_check: averaged, phase_diagram: phases, sample_savings: phases}.get(module)
    if study is None:
        return module.draw(widths(**settings))
    small = GRID if study is phases else {"dimensions": [10, 20], "data_sets": 4, "overlaps": [0.5]}
    rows = make_table({"experiment": "e", "seed": s, **row} for s in range(2) for row in study.run(seed=s, **small))
    return module.draw(rows if study is averaged else select(rows, seed=0))


@pytest.mark.parametrize(
    "module", [averaged_check, finite_width, phase_diagram, sample_savings], ids=lambda m: m.__name__.split(".")[-1]
)
@pytest.mark.filterwarnings("error:constrained_layout")
def test_figures_save_and_repeat(module, tmp_path):
    for name in ("a", "b"):
        figure, plotted = drawn(module)
        assert any("label noise" in axes.get_title() or "linear" in axes.get_title() for axes in figure.axes)
        save_figure(figure, plotted, {kind: tmp_path / f"{name}.{kind}" for kind in ("pdf", "png", "csv")})
    for kind in ("pdf", "png", "csv"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_networks_are_held_against_the_theory_of_their_own_data_sets():
    _, plotted = finite_width.draw(widths())
    networks = select(plotted, kind="network")
    np.testing.assert_allclose(networks["mean"], networks["predicted"])
    np.testing.assert_allclose(networks["stderr"], 0, atol=1e-12)  # the losses of data sets differ, the excess does not
    np.testing.assert_allclose(networks["one_percent_width"], 500)
    plt.close("all")


def test_one_data_set_has_no_bars_but_a_figure():
    figure, _ = finite_width.draw(widths(seeds=1))
    assert figure.axes
    plt.close("all")


def test_savings_without_end_are_named():
    rows = make_table({"experiment": "e", "seed": 0, **row} for row in phases.run(seed=0, **GRID))
    rows.loc[(rows["metric"] == "sample_savings") & (rows["overlap"] == 1), "value"] = np.inf
    figure, _ = sample_savings.draw(rows)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert any("any" in label for label in labels)
    plt.close("all")


def test_flows_stand_below_posteriors_and_may_lose_by_width():
    """Losses of networks under gradient flow are those of one network; a c below 0 is drawn too."""
    names = {"sampled_test_loss": "test_loss", "sampled_test_loss_deviation": "test_loss_deviation"}
    flow = widths()
    flow["metric"] = flow["metric"].replace(names)
    flow = flow.assign(experiment="f", time=5.0)
    negative = (flow["metric"] == "test_loss_deviation") & (flow["elastic_coupling"] == 0) & (flow["overlap"] == 0.9)
    flow.loc[negative, "value"] *= -1
    figure, plotted = finite_width.draw(make_table([*widths().to_dict("records"), *flow.to_dict("records")]))
    assert set(plotted["experiment"]) == {"e", "f"}
    titles = {axes.get_title(): axes for axes in figure.axes}
    assert titles["linear teachers, gradient flow, α = 0"].get_yscale() == "log"
    assert titles["linear teachers, gradient flow, α = 0.9"].get_yscale() == "linear"
    assert titles["linear teachers, α = 0.9"].get_yscale() == "log"
    plt.close("all")
