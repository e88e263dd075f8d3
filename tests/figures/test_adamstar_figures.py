"""Figures of the ADAM* studies: they show the tables' own numbers, fit what they say, and name the data."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from infwidth.figures import adamstar_limit, expectation, feature_selection, omega_support, optimiser_ablation
from infwidth.figures.parts.over_width import fitted_power, looks
from infwidth.figures.parts.style import save_figure
from infwidth.io.tables import make_table, select

WIDTHS = (64.0, 256.0, 1024.0)
DATASET = "digits (fallback for CIFAR-10)"
SHARED = {"experiment": "e", "dataset": DATASET, "kind": "network", "stderr": 0.01, "status": "converged",
          "time": 60.0, "learning_rate": 0.1}  # fmt: skip


def rows(seeds=3, scatter=0.02, **axes):
    """Rows of one value for each combination of the axes, times 1 + scatter."""
    random = np.random.default_rng(0)
    for values in itertools.product(range(seeds), *axes.values()):
        seed, *rest = values
        point = dict(zip(axes, rest, strict=True))
        value = point.pop("value", lambda point: 1.0)(point) * (1 + scatter * random.standard_normal())
        yield SHARED | point | {"seed": seed, "value": value}


def of(value, **axes):
    return {**axes, "value": [value]}


def limit(optimisers=("sgd", "adam_star", "adam"), **changes):
    both = {"condition": ["squared", "cross_entropy"]}
    distance = of(lambda point: point["width"] ** (-0.05 if point["optimiser"] == "adam" else -0.5),
                  **both, optimiser=optimisers, width=WIDTHS, metric=["distance_to_dual"])  # fmt: skip
    network = of(lambda point: 1.2, **both, optimiser=optimisers, width=WIDTHS, metric=["test_loss"])
    starred = [name for name in optimisers if name != "adam"]
    theory = of(lambda point: 1.1, **both, kind=["theory"], optimiser=starred, width=[math.inf], metric=["test_loss"])
    return [row | changes for axes in (distance, network, theory) for row in rows(**axes)]


def language():
    """A study of language models: other steps, no distance, one width infinite; and the control without blocks."""
    shared = {"experiment": "lang", "dataset": "English text", "condition": math.nan, "time": 3000.0}
    networks = of(lambda point: 2.0, optimiser=["adam_star", "no_mlp"], width=WIDTHS, metric=["test_loss"])
    theory = of(lambda point: 1.9, kind=["theory"], optimiser=["adam_star"], width=[math.inf], metric=["test_loss"])
    return [row | shared for axes in (networks, theory) for row in rows(**axes)]


def selection(dimensions=(10.0, 20.0)):
    metrics = ["aligned_mass", "aligned_norm", "test_loss", "train_loss"]
    frozen = of(lambda point: 0.3, dimension=dimensions, condition=["frozen"], optimiser=["adam_star", "sgd"],
                width=WIDTHS, metric=metrics)  # fmt: skip
    theory = frozen | {"kind": ["theory"], "width": [math.inf]}
    trained = frozen | {"condition": ["trained"], "optimiser": ["trained_features"], "time": [600.0]}
    uniform = of(lambda point: 1 / point["dimension"], kind=["theory"], dimension=dimensions, width=[math.inf],
                 metric=["uniform_mass"])  # fmt: skip
    return [row for axes in (frozen, theory, trained, uniform) for row in rows(**axes)]


def means(negative=False):
    def squared(point):
        power = 0.1 if point["optimiser"] == "adam" else 2
        return (-1 if negative and point["width"] == WIDTHS[-1] else 1) * 4 * point["width"] ** -power

    trained = of(squared, condition=["trained"], optimiser=["sgd", "adam"], width=WIDTHS, metric=["squared_bias"])
    fixed = of(lambda point: 1.0, condition=["fixed"], optimiser=["sgd"], width=WIDTHS,
               metric=["bias_in_stderr", "squared_bias", "bias"])  # fmt: skip
    return [row for axes in (trained, fixed) for row in rows(**axes)]


def support():
    targets = ["ReLU neuron, spread", "ReLU neuron, opposed"]
    kinds = ["gaussian", "half_space", "rank_deficient"]
    shared = {"dataset": targets, "condition": kinds, "dimension": [10.0]}
    losses = of(lambda point: point["time"] ** -0.5, **shared, optimiser=["adam_star"], width=WIDTHS,
                time=[100.0, 200.0], metric=["test_loss", "train_loss", "readout_norm"])  # fmt: skip
    theory = losses | {"kind": ["theory"], "width": [math.inf]}
    least = of(lambda point: 0.4 if point["condition"] == "rank_deficient" else 0.0, **shared, kind=["theory"],
               width=[math.inf], optimiser=[math.nan], time=[math.nan], metric=["least_loss"])  # fmt: skip
    return [row for axes in (losses, theory, least) for row in rows(**axes)]


def ablation():
    names = ["unfrozen_adam", "frozen_adam", "adam_star", "momentum"]
    sweep = of(lambda point: 1 + point["learning_rate"], condition=["mlp", "cnn"], optimiser=names, width=[256.0],
               learning_rate=[0.1, 1.0], metric=["sweep_loss"])  # fmt: skip
    final = list(rows(**of(lambda point: 0.5, condition=["mlp", "cnn"], optimiser=names, width=[256.0],
                           metric=["test_loss", "test_error"])))  # fmt: skip
    # seeds that chose different rates are averaged all the same
    final = [row | {"learning_rate": 0.1 if row["seed"] else 1.0} for row in final]
    theory = of(lambda point: 0.4, condition=["mlp", "cnn"], kind=["theory"], optimiser=["adam_star"],
                width=[math.inf], metric=["test_loss", "test_error"])  # fmt: skip
    return [*rows(**sweep), *final, *rows(**theory)]


CASES = {
    "limit": (adamstar_limit, limit),
    "limit and language": (adamstar_limit, lambda: limit() + language()),
    "limit, a name of its own": (adamstar_limit, lambda: limit(optimisers=["rmsprop"])),
    "selection": (feature_selection, selection),
    "expectation": (expectation, means),
    "expectation, negative": (expectation, lambda: means(negative=True)),
    "support": (omega_support, support),
    "ablation": (optimiser_ablation, ablation),
}


def draw(name, one_seed=False):
    module, make = CASES[name]
    table = make_table(make())
    return module.draw(table[table["seed"] == 0] if one_seed else table)


@pytest.mark.parametrize("name", ["limit and language", "selection", "expectation", "support", "ablation"])
def test_figures_save_and_repeat(name, tmp_path):
    for copy in ("a", "b"):
        figure, plotted = draw(name)
        save_figure(figure, plotted, {kind: tmp_path / f"{copy}.{kind}" for kind in ("pdf", "png", "csv")})
    for kind in ("pdf", "png", "csv"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


@pytest.mark.parametrize("one_seed", [False, True], ids=["seeds", "one seed"])
@pytest.mark.parametrize("name", CASES)
def test_figures_name_the_data(name, one_seed):
    figure, plotted = draw(name, one_seed)
    wanted = {"selection": "d = 10", "support": "ReLU neuron"}.get(name, "fallback")
    assert any(wanted in axes.get_title() for axes in figure.axes)
    assert plotted["mean"].notna().all()
    plt.close("all")


def texts(figure):
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()] + figure.legends
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def test_limit_shows_fitted_slopes_and_means():
    figure, plotted = draw("limit")
    found = texts(figure)
    assert sum(text.startswith("ADAM*, slope −0.5") and "±" in text for text in found) == 2  # one a loss
    assert sum(text.startswith("Adam, slope −0.0") for text in found) == 2
    shown = select(plotted, metric="distance_to_dual", condition="squared", optimiser="sgd", width=64)
    table = select(make_table(limit()), metric="distance_to_dual", condition="squared", optimiser="sgd", width=64)
    assert shown["mean"].item() == pytest.approx(table["value"].mean())
    assert shown["slope"].item() == pytest.approx(-0.5, abs=0.02)
    titles = [axes.get_title() for axes in figure.axes]
    assert [title.split(", ")[1] for title in titles[:2]] == ["squared error", "cross-entropy"]
    plt.close("all")


def test_language_models_join_at_their_own_last_step():
    figure, plotted = draw("limit and language")
    assert "English text" in [axes.get_title() for axes in figure.axes]
    shown = select(plotted, experiment="lang", metric="test_loss")
    assert set(shown["kind"]) == {"network", "theory"}
    assert set(select(plotted, experiment="e")["time"]) == {60.0}
    plt.close("all")


def test_expectation_shows_roots_of_mean_squares():
    _, plotted = draw("expectation")
    table = select(make_table(means()), condition="trained", optimiser="sgd", width=64)
    shown = select(plotted, metric="bias", optimiser="sgd", width=64)
    assert shown["mean"].item() == pytest.approx(math.sqrt(table["value"].mean()))
    assert shown["slope"].item() == pytest.approx(-1, abs=0.05)
    _, plotted = draw("expectation, negative")
    assert set(select(plotted, metric="bias", optimiser="sgd")["width"]) == set(WIDTHS[:2])
    plt.close("all")


def test_support_shows_what_is_lost():
    figure, plotted = draw("support")
    levels = [line.get_ydata()[0] for line in figure.axes[0].lines if line.get_linestyle() == ":"]
    expected = select(plotted, metric="least_loss", condition="rank_deficient", dataset="ReLU neuron, spread")
    assert levels == [pytest.approx(expected["mean"].item())]
    assert any("half of the coordinates" in text for text in texts(figure))
    plt.close("all")


def test_ablation_averages_seeds_of_different_rates():
    figure, plotted = draw("ablation")
    shown = select(plotted, metric="test_loss", condition="mlp", optimiser="adam_star", kind="network")
    assert shown["seeds"].tolist() == [3]
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names[::-1] == ["unfrozen, Adam", "frozen, Adam", "ADAM*", "ADAM*, H = ∞", "momentum"]
    plt.close("all")


def test_diverged_points_are_left_out_of_the_fit():
    table = make_table(limit())
    table.loc[(table["optimiser"] == "sgd") & (table["width"] == 64), ["status", "value"]] = ["diverged", math.nan]
    _, plotted = adamstar_limit.draw(table)
    shown = select(plotted, metric="distance_to_dual", optimiser="sgd")
    assert shown.groupby("width")["converged"].all().tolist() == [False, True, True]
    assert shown["slope"].iloc[0] == pytest.approx(-0.5, abs=0.05)  # of the others
    plt.close("all")


def test_fitted_power():
    table = select(make_table(limit()), metric="distance_to_dual", condition="squared", optimiser="sgd")
    slope, error, spelt = fitted_power(table)
    assert (slope, error) == (pytest.approx(-0.5, abs=0.02), pytest.approx(0.005, abs=0.005))
    assert spelt == f"slope {slope:.{3 if error < 0.005 else 2}f} ± {error:.{3 if error < 0.005 else 2}f}".replace(
        "-", "−"
    )
    slope, error, spelt = fitted_power(table[table["width"] == 64])
    assert math.isnan(slope)
    assert spelt == ""


def test_looks_are_those_of_every_figure_and_know_no_limit_of_names():
    found = looks(["my_rule", "sgd", "adam_star", math.nan])
    assert list(found) == ["adam_star", "sgd", "my_rule"]
    assert found["my_rule"][0] == "my rule"
    assert found["sgd"] == looks(["sgd"])["sgd"]
