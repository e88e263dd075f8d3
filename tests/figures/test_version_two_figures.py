"""Figures of version 2 and of failures: they save, and show what the table says."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from infwidth.figures import distribution_shift, failure_signatures, forgetting, jointly_rich, source_richness
from infwidth.figures.parts.style import save_figure
from infwidth.io.tables import make_table, select
from infwidth.studies import source_richness as study
from infwidth.theory.diagnosis import SIGNATURES


def richness():
    rows = [
        {"experiment": name, "seed": seed, **row}
        for name, settings in (("a", {}), ("b", {"source_noise": 0.5, "source_time": 1.0}))
        for seed in range(2)
        for row in study.run(seed=seed, dimension=32, data_sets=2, source_richness=[1, 4, 16, 64], **settings)
    ]
    shown = (("networks", "transfer", "linear teachers"), ("images", "transfer", "CIFAR-10"))
    shown += (("images", "scratch", "CIFAR-10"),)
    for (name, condition, dataset), kind, strength, seed in itertools.product(
        shown, ("theory", "network"), (0.1, 1.0), range(2)
    ):
        row = {"experiment": name, "kind": kind, "condition": condition, "dataset": dataset}
        row |= {"width": math.inf if kind == "theory" else 100.0, "source_strength": strength, "n_target": 8.0}
        row |= {"time": 1.0, "metric": "test_loss", "value": 0.5 / strength, "stderr": 0.0, "status": "converged"}
        rows.append(row | {"seed": seed, "elastic_coupling": math.inf})
    return make_table(rows)


def forgotten():
    rows = []
    for kind, strength, coupling, seed in itertools.product(("theory", "network"), (0.1, 1.0), (0.0, 1.0), range(2)):
        row = {
            "experiment": "e",
            "dataset": "He1",
            "kind": kind,
            "target_strength": strength,
            "seed": seed,
            "stderr": 0.0,
        }
        row |= {"width": math.inf if kind == "theory" else 100.0, "status": "converged"}
        rows.append(row | {"condition": "source", "metric": "source_test_loss", "value": 0.1})
        for metric, time in itertools.product(forgetting.METRICS, (0.0, 5.0)):
            place = {"condition": "transfer", "elastic_coupling": coupling, "time": time, "metric": metric}
            rows.append(row | place | {"value": 0.1 + strength * time / (1 + coupling)})
    return make_table(rows)


def rich():
    rows = []
    for kind, strength, time, seed in itertools.product(("theory", "network"), (0.1, 1.0), (0.0, 1.0, 9.0), range(2)):
        row = {"experiment": "e", "dataset": "He1 → He2", "kind": kind, "target_strength": strength, "seed": seed}
        row |= {"width": math.inf if kind == "theory" else 100.0, "status": "converged", "stderr": 0.0, "time": time}
        row |= {"condition": "transfer", "elastic_coupling": 0.0}
        rows.append(row | {"metric": "test_loss", "value": 1 - 0.5 * (time == 1.0)})
        if time != 1.0:
            rows.append(row | {"metric": "preactivation_excess_kurtosis", "value": strength * time})
    return make_table(rows)


def failures():
    rows = []
    for name, which, seed in itertools.product(SIGNATURES, ("case", "control"), range(2)):
        row = {"experiment": "e", "dataset": f"{name}: {which}", "kind": "theory", "seed": seed, "stderr": 0.0}
        row |= {"status": "converged", "condition": "transfer"}
        if name.startswith("instability"):
            if which == "case":
                for strength in (1.0, 10.0):
                    place = row | {"target_strength": strength, "width": math.inf}
                    rows.append(place | {"metric": "domain_margin", "value": 0.3 / strength})
                    rows.append(place | {"metric": "diagnosed", "value": float(strength > 1)})
            continue
        rows.append(row | {"metric": "diagnosed", "value": float(which == "case")})
        for time, coupling in itertools.product((0.0, 1.0), (0.0, 10.0)):
            place = {"metric": "test_loss", "time": time, "width": math.inf, "value": 1 - time / 2}
            rows.append(row | place | {"elastic_coupling": coupling})
            rows.append(row | place | {"condition": "scratch"})
    return make_table(rows)


CASES = {source_richness: richness, forgetting: forgotten, jointly_rich: rich, failure_signatures: failures}


@pytest.mark.parametrize("module", CASES, ids=lambda module: module.__name__.split(".")[-1])
def test_figures_save(module, tmp_path):
    figure, plotted = module.draw(CASES[module]())
    assert len(plotted)
    assert np.isfinite(plotted["mean"]).any()
    save_figure(figure, plotted, {kind: tmp_path / f"a.{kind}" for kind in ("pdf", "png", "csv")})
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_the_best_richness_is_marked_where_there_is_one():
    figure, _ = source_richness.draw(richness())
    stars = [sum(line.get_marker() == "*" for line in axes.lines) for axes in figure.axes if axes.get_visible()]
    assert stars == [0, 3, 0, 0, 0]
    (images,) = (axes for axes in figure.axes if axes.get_title().startswith("CIFAR-10"))
    assert [text.get_text() for text in images.get_legend().get_texts()] == ["P2 = 8, from scratch", "P2 = 8"]
    assert {line.get_linestyle() for line in images.lines if len(line.get_xdata())} >= {"-", ":"}
    plt.close(figure)


def test_what_is_left_of_the_source():
    figure, plotted = forgetting.draw(forgotten())
    assert len(figure.axes) == 2
    after = select(plotted, metric="source_loss_refitted", target_strength=1.0, elastic_coupling=1.0, time=5.0)
    np.testing.assert_allclose(after["mean"], 2.6)
    plt.close(figure)


def test_failures_say_how_often_they_were_named():
    figure, _ = failure_signatures.draw(failures())
    titles = [axes.get_title() for axes in figure.axes]
    assert sum("case: named in 100 %" in title for title in titles) == 3
    assert sum("control: named in 0 %" in title for title in titles) == 3
    assert sum("named from γ = 10 on" in title for title in titles) == 1
    plt.close(figure)


def shifted(**settings):
    from infwidth.studies.distribution_shift import run

    small = {"dimension": 6, "n_source": 6, "n_target": 3, "width": 0, "overlaps": [0.9, 0]} | settings
    return make_table({"experiment": "e", "seed": s, **row} for s in range(3) for row in run(seed=s, **small))


@pytest.mark.parametrize("networks", [False, True])
def test_shift_shows_the_gain_of_every_shift(networks, tmp_path):
    table = shifted()
    if networks:
        sampled = select(table, metric="test_loss").assign(kind="network", width=50.0)
        table = make_table([*table.to_dict("records"), *sampled.to_dict("records")])
    figure, shown = distribution_shift.draw(table)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [
        "inputs, source → target", "label noise of the source", "label noise of the target", "direction of the target",
    ]  # fmt: skip
    counts = [len(axes.get_legend().get_texts()) for axes in figure.axes]
    assert counts == [5, 3, 3, 2]
    assert (select(shown, elastic_coupling=0)["mean"] == 0).all()
    losses = select(table, metric="test_loss", kind="theory", dataset="source label noise 1")
    scratch, tied = (select(losses, elastic_coupling=coupling)["value"].mean() for coupling in (0, 10))
    found = select(shown, kind="theory", dataset="source label noise 1", elastic_coupling=10)["mean"].item()
    assert found == pytest.approx(100 * (1 - tied / scratch))
    save_figure(figure, shown, {kind: tmp_path / f"f.{kind}" for kind in ("pdf", "png", "csv")})
    assert all((tmp_path / f"f.{kind}").stat().st_size for kind in ("pdf", "png", "csv"))
