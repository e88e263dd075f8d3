"""The estimators as scikit-learn knows them, and as the theory has them."""

import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import several_teachers
from scipy.special import ndtr, stdtrit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from infwidth.applied import InfiniteWidthTransfer, InfiniteWidthTransferClassifier
from infwidth.numerics.checks import InputError
from infwidth.tasks import TransferTask, linear
from infwidth.theory import bayes, flow

CLASSES = (InfiniteWidthTransfer, InfiniteWidthTransferClassifier)
TASK = linear(dimension=12, overlap=0.95, n_source=80, n_target=10, n_test=200, seed=3)
SOURCE, TARGET = (TASK.x_source, TASK.y_source), (TASK.x_target, TASK.y_target)


@parametrize_with_checks([kind(activation="linear") for kind in CLASSES])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def loss(estimator):
    return np.square(estimator.predict(TASK.x_test) - TASK.y_test).mean()


@pytest.mark.parametrize(("activation", "particles"), [("linear", None), ("erf", 512), ("relu", 512)])
def test_predictions_are_the_theorys(activation, particles):
    scales = {"source_strength": 0.3, "target_strength": 0.3, "inverse_temperature": 20.0, "particles": particles}
    model = InfiniteWidthTransfer(activation=activation, elastic_coupling=10.0, **scales)
    found = model.fit_source(*SOURCE).fit(*TARGET).predict(TASK.x_test)
    x = [model.source_scale_(TASK.x_source), *map(model._inputs, (TASK.x_target, TASK.x_test))]
    y = model.label_scale_(TASK.y_target)
    task = type(TASK)(x[0], model.source_[1], x[1], y, x[2], model.label_scale_(TASK.y_test))
    known = bayes.solve(task, activation=activation, elastic_coupling=10.0, strict=False, **scales)
    left = model.label_scale_(found) - known.prediction
    error = np.sqrt(np.square(known.stderr["prediction"]).mean())
    assert np.sqrt(np.square(left).mean()) < 4 * error + (1e-8 if activation == "linear" else 0.04)
    np.testing.assert_allclose(model.predict(TASK.x_test[7:9]), found[7:9], rtol=1e-9)


def test_a_source_helps_and_auto_finds_out():
    model = InfiniteWidthTransfer(activation="linear", target_strength=0.5)
    scratch = loss(model.fit(*TARGET))
    assert model.elastic_coupling_ == 0
    tied = loss(model.fit_source(*SOURCE).fit(*TARGET))
    assert model.elastic_coupling_ > 0
    assert tied < 0.8 * scratch


def test_clones_searches_and_pipelines_keep_the_source():
    model = InfiniteWidthTransfer(activation="linear").fit_source(*SOURCE)
    tied = loss(clone(model).fit(*TARGET))
    assert tied == loss(model.fit(*TARGET))
    assert tied == loss(pickle.loads(pickle.dumps(model)))
    search = GridSearchCV(model, {"elastic_coupling": [0.0, 100.0, math.inf]}, cv=3).fit(*TARGET)
    assert search.best_params_["elastic_coupling"] > 0
    assert loss(search) < loss(InfiniteWidthTransfer(activation="linear").fit(*TARGET))
    scaler = StandardScaler().fit(TASK.x_source)
    model = InfiniteWidthTransfer(activation="linear").fit_source(scaler.transform(TASK.x_source), TASK.y_source)
    assert np.isfinite(loss(make_pipeline(StandardScaler(), model).fit(*TARGET)))


@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "c"]])
def test_classes_are_told_apart(classes):
    rng = np.random.default_rng(0)
    y = np.arange(60) % len(classes)
    x = 2 * np.eye(6)[y] + 0.3 * rng.standard_normal((60, 6))
    model = InfiniteWidthTransferClassifier(activation="linear").fit(x[:40], np.array(classes)[y[:40]])
    assert np.mean(model.predict(x[40:]) == np.array(classes)[y[40:]]) == 1
    assert model.decision_function(x).shape == ((60,) if len(classes) == 2 else (60, 3))
    network = model.finetune(width=200)
    assert network(torch.tensor(x)).shape == model.decision_function(x).shape


@pytest.mark.parametrize("activation", ["linear", "erf"])
@pytest.mark.parametrize("coupling", [0.0, 5.0, math.inf])
def test_several_outputs_are_one_network_of_the_theory(activation, coupling):
    """Its outputs share neurons, and the source's count is no matter of the target's."""
    task = several_teachers(source_outputs=2, n_target=20)
    scales = {"source_strength": 0.6, "target_strength": 0.6, "particles": 512}
    model = InfiniteWidthTransfer(activation=activation, elastic_coupling=coupling, **scales)
    found = model.fit_source(task.x_source, task.y_source).fit(task.x_target, task.y_target).predict(task.x_test)
    assert found.shape == task.y_test.shape
    assert isinstance(model.elastic_coupling_, float)
    x = [model.source_scale_(task.x_source), *map(model._inputs, (task.x_target, task.x_test))]
    y = [model.label_scale_(labels) for labels in (task.y_target, task.y_test)]
    np.testing.assert_allclose([y[0].mean(0), y[0].std(0)], [[0] * 3, [1] * 3], atol=1e-9)
    known = bayes.solve(
        TransferTask(x[0], model.source_[1], x[1], y[0], x[2], y[1]), activation=activation, elastic_coupling=coupling,
        inverse_temperature=10.0, strict=False, **scales,
    )  # fmt: skip
    left = model.label_scale_(found) - known.prediction
    error = np.sqrt(np.square(known.stderr["prediction"]).mean())
    assert np.sqrt(np.square(left).mean()) < 4 * error + (1e-8 if activation == "linear" else 0.05)


@pytest.mark.parametrize("count", [3, 7, 20])
def test_classes_with_a_source_of_others_choose_a_coupling(count):
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((count, 8))
    y, other = np.arange(4 * count) % count, np.arange(60) % 5
    x = 2 * centres[y] + rng.standard_normal((len(y), 8))
    model = InfiniteWidthTransferClassifier(activation="linear")
    model.fit_source(2 * centres[other % count] + rng.standard_normal((60, 8)), np.array(list("abcde"))[other])
    names = np.array([f"class {i}" for i in range(count)])
    fitted = model.fit(x, names[y])
    assert np.isfinite(fitted.elastic_coupling_) or fitted.elastic_coupling_ == math.inf
    fresh = 2 * centres[y] + rng.standard_normal((len(y), 8))
    assert fitted.score(fresh, names[y]) > 1.8 / count  # chance is 1
    assert fitted.decision_function(fresh).shape == (len(y), count)


NETWORKS = 8


@pytest.mark.parametrize("coupling", [0.0, 10.0, math.inf])
@pytest.mark.parametrize("activation", ["linear", "erf"])
def test_finetuning_trains_the_network_that_the_theory_describes(coupling, activation):
    """Losses extrapolated from N = 800 and 1600 within 3 standard errors of the flow at infinite width.

    Of eight networks these are Student's, as improbable as a normal variable's three.
    """
    scales = {"source_strength": 0.5, "target_strength": 0.5}
    model = InfiniteWidthTransfer(activation=activation, elastic_coupling=coupling, particles=256, **scales)
    model.fit_source(*SOURCE).fit(*TARGET)
    inputs = [model._inputs(x) for x in (TASK.x_target, TASK.x_test)]
    labels = [model.label_scale_(y) for y in (TASK.y_target, TASK.y_test)]
    task = type(TASK)(model.source_scale_(TASK.x_source), model.source_[1], inputs[0], labels[0], inputs[1], labels[1])
    start = "scratch" if coupling == 0 else "source"
    known = flow.solve(
        task, activation=activation, weight_decay=0.05, source_time=5.0, target_times=[5.0], start=start,
        elastic_coupling=coupling * 0.05, **scales,
    )  # fmt: skip

    def losses(width):
        """Train and test loss of each network, (NETWORKS, 2)."""
        found = []
        for seed in range(NETWORKS):
            network = model.set_params(random_state=seed).finetune(width=width, weight_decay=0.05, time=5.0)
            outputs = [network(torch.tensor(x)).detach().numpy() for x in (TASK.x_target, TASK.x_test)]
            pairs = zip(map(model.label_scale_, outputs), labels, strict=True)
            found.append([np.square(f - y).mean() for f, y in pairs])
        assert isinstance(network, torch.nn.Module)
        assert len(list(network.parameters())) == 2
        return np.array(found)

    narrow, wide = losses(800), losses(1600)
    limit = 2 * wide.mean(0) - narrow.mean(0)
    errors = [sample.std(0, ddof=1) / math.sqrt(NETWORKS) for sample in (2 * wide, narrow)]
    for i, name in enumerate(("train_loss", "test_loss")):
        expected = getattr(known, name)[0]
        error = np.linalg.norm([errors[0][i], errors[1][i], float(np.ravel(known.stderr.get(name, 0.0))[0])])
        assert abs(limit[i] - expected) < stdtrit(NETWORKS - 1, ndtr(3.0)) * error
    assert error < 0.15 * expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"elastic_coupling": -1.0}, "elastic_coupling = -1.0: expected"),
        ({"elastic_coupling": "best"}, "elastic_coupling = 'best': expected"),
        ({"activation": "step"}, "activation = 'step': expected one of"),
        ({"target_strength": 0.0}, "target_strength = 0"),
        ({"inverse_temperature": math.nan}, "inverse_temperature = nan"),
    ],
)
def test_bad_parameters_end_in_one_line(change, words):
    model = InfiniteWidthTransfer(**{"activation": "linear"} | change).fit_source(*SOURCE)
    with pytest.raises(InputError) as caught:
        model.fit(*TARGET)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_bad_sources_and_widths_end_in_one_line():
    model = InfiniteWidthTransfer(activation="linear").fit_source(TASK.x_source[:, :5], TASK.y_source)
    with pytest.raises(InputError, match="X has 12 features, the source 5"):
        model.fit(*TARGET)
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="y: 22 classes; expected at most 20; keep fewer"):
        model.fit_source(rng.standard_normal((44, 12)), list("abcdefghijklmnopqrstuv") * 2)
    with pytest.raises(InputError, match="y: 21 classes; expected at most 20"):
        InfiniteWidthTransferClassifier().fit(rng.standard_normal((42, 12)), np.arange(42) % 21)
    model.fit_source(TASK.x_source[:6], list("abcabc")).fit(*TARGET)
    with pytest.raises(InputError, match="source: 3 outputs; expected one to train a source network on"):
        model.set_params(elastic_coupling=1.0).fit(*TARGET).finetune()
    with pytest.raises(InputError, match="width = 30: expected a multiple of 4"):
        InfiniteWidthTransfer(activation="linear").fit(*TARGET).finetune(width=30)


def test_the_documented_example_runs(capsys):
    text = (Path(__file__).parents[2] / "docs/own_data.md").read_text(encoding="utf-8")
    scope = {}
    exec(re.search(r"```python\n(.*?)```", text[text.index("## Estimators") :], flags=re.DOTALL)[1], scope)
    assert isinstance(scope["network"], torch.nn.Module)
    assert float(capsys.readouterr().out.split()[1]) < 0.5
