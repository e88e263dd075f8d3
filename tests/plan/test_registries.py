"""What registries say is what the modules they name have: arguments, defaults, doors, modules."""

import dataclasses
import importlib
import inspect
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

from infwidth.adam_ntk.adam_star import OPTIMISERS
from infwidth.adam_ntk.feature_kernels import _KERNELS
from infwidth.adam_ntk.variants import KERNEL_OPTIMISERS, NETWORK_VARIANTS, READOUT_OPTIMISERS, VARIANTS
from infwidth.engines import ENGINES
from infwidth.figures.catalogue import FIGURES
from infwidth.figures.parts.optimiser_looks import OPTIMISER_NAMES
from infwidth.io.closure import import_closure
from infwidth.io.tables import VOCABULARY
from infwidth.numerics.activations import ACTIVATIONS
from infwidth.plan.study_consistency import KNOWN
from infwidth.studies.kinds import KINDS, Nonlinear
from infwidth.studies.readout_training import LIMIT_OF
from infwidth.studies.selection import TRAINED
from infwidth.tasks.example_data import write_example
from infwidth.tasks.families import FAMILIES
from infwidth.tasks.image_sources import load_images

ROOT = Path(__file__).parents[2]
FIGURES_FOLDER, STAGES = ROOT / "src/infwidth/figures", ROOT / "src/infwidth/stages"
GIVEN = {"seed", "dataset_path", "text", "text_bytes", "progress", "pool"}


def arguments(function) -> dict[str, inspect.Parameter]:
    return {name: one for name, one in inspect.signature(function).parameters.items() if name not in GIVEN}


def settings_of(settings: type) -> dict:
    return get_type_hints(settings, include_extras=True)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_familys_settings_are_the_arguments_of_its_function(family):
    found, settings = arguments(family.door()), settings_of(family.settings)
    assert set(settings) == set(found)
    for name in found:
        if hasattr(family.settings, name) and found[name].default is not inspect.Parameter.empty:
            default = getattr(family.settings, name)
            assert (default[0] if name in family.axes else default) == found[name].default
    assert set(family.axes) <= set(found)
    assert set(family.any_target) <= set(found)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_the_source_depends_on_nothing_of_any_target(family, tmp_path):
    write_example(tmp_path)
    paths = {part: tmp_path / f"{part}.npz" for part in ("source", "target", "test")}
    pools = (load_images("digits"),) if family.from_images else ()
    common = {
        "linear": {"dimension": 5, "n_source": 6, "source_noise": 0.3, "spectrum": {"exponent": 0.5}},
        "hermite": {"dimension": 5, "source_degree": 2, "n_source": 6, "noise": 0.3, "spectrum": {"exponent": 2}},
        "images": {"source_classes": [0, 1], "target_classes": [2, 3], "n_source": 6},
        "arrays": {"source": paths["source"], "n_source": 6},
    }[next(name for name, one in FAMILIES.items() if one is family)]
    one = family.door()(*pools, **common, **family.any_target, seed=3)
    others = dict.fromkeys(("target_labels", "test_labels")) | {key: paths[key] for key in ("target", "test")}
    others |= {"overlap": 0.7, "n_target": 4, "n_test": 4, "target_noise": 0.5, "target_degree": 3}
    others |= {"target_spectrum": {"exponent": 1.0, "rotated": True}}
    other = family.door()(*pools, **common, **{name: others[name] for name in family.any_target}, seed=3)
    np.testing.assert_array_equal(one.x_source, other.x_source)
    np.testing.assert_array_equal(one.y_source, other.y_source)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_an_engines_settings_are_the_arguments_of_its_doors(engine):
    solve, settings = engine.theory_door().solve, set(settings_of(engine.settings))
    assert settings - set(engine.network_only) <= set(arguments(solve))
    assert set(engine.network_only) | set(engine.particle_settings) <= settings
    for part, wanted in (("source", engine.source_arguments), ("target", engine.target_arguments)):
        assert set(wanted) <= set(arguments(engine.network_door(part)))
        assert {key for keys in wanted.values() for key in keys} <= settings
    assert ({"start", "anchor"} <= set(arguments(solve))) == engine.over_time
    solution = getattr(engine.theory_door(), inspect.signature(solve).return_annotation)
    fields = {field.name for field in dataclasses.fields(solution)}
    assert set(engine.theory_observables) <= fields
    assert ("times" in fields) == engine.over_time


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_theories_cover_the_activations_that_can_be_configured(engine):
    assert tuple(ACTIVATIONS) == engine.theory_door().ACTIVATIONS


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "language"])
def test_a_studys_settings_are_the_arguments_of_its_run(kind):
    run = importlib.import_module(f"infwidth.studies.{kind}").run
    expected = {
        name: tuple(one.default) if isinstance(one.default, list) else one.default
        for name, one in arguments(run).items()
    }
    assert {name: getattr(KINDS[kind], name) for name in settings_of(KINDS[kind])} == expected


def test_variants_are_the_optimisers_and_say_which_have_a_limit():
    assert {variant.optimiser for variant in VARIANTS.values()} - {None} == set(OPTIMISERS)
    assert set(READOUT_OPTIMISERS) == set(OPTIMISERS)
    for name, variant in VARIANTS.items():
        options = OPTIMISERS.get(variant.optimiser, {})
        if name in OPTIMISERS:
            assert variant.has_limit == (options.get("sharing") != "none")
            assert variant.by_output == (options.get("sharing") != "layer")
    assert TRAINED in VARIANTS
    assert set(LIMIT_OF) == set(READOUT_OPTIMISERS) - set(KERNEL_OPTIMISERS)
    assert set(LIMIT_OF.values()) <= set(KERNEL_OPTIMISERS)
    assert set(NETWORK_VARIANTS) <= set(OPTIMISER_NAMES) <= set(VARIANTS)


@pytest.mark.parametrize("stage", sorted(path.stem for path in STAGES.glob("[!_]*.py")))
def test_an_entry_more_re_runs_nothing(stage, monkeypatch):
    monkeypatch.chdir(ROOT)
    registries = (
        "engines",
        "tasks/families",
        "studies/kinds",
        "studies/theory_kinds",
        "figures/catalogue",
        "numerics/settings",
        "plan/",
    )
    assert not [path for path in import_closure(f"stages.{stage}") if any(name in path for name in registries)]


def test_tables_know_the_variants():
    assert set(VOCABULARY["optimiser"]) <= set(VARIANTS)
    assert {*NETWORK_VARIANTS, *OPTIMISER_NAMES} <= set(VOCABULARY["optimiser"])


def test_studies_offer_the_activations_that_have_a_kernel():
    assert set(get_args(Nonlinear)) == set(_KERNELS) - {"linear"}


def test_every_figure_has_a_module_and_every_module_a_figure():
    of_no_experiment = {"__init__", "catalogue", "draw", "advice", "verdicts"}
    modules = {path.stem for path in FIGURES_FOLDER.glob("*.py")} - of_no_experiment
    assert set(FIGURES) == modules
    for figure in FIGURES.values():
        assert figure.studies or figure.training
        assert set(figure.studies) <= set(KINDS)
        assert set(figure.families) <= set(FAMILIES)
        ways = figure.training if isinstance(figure.training, tuple) else (figure.training,)
        assert set(ways) <= {None, *ENGINES}


def test_known_data_sets_have_the_sizes_that_are_checked():
    digits = load_images("digits")
    for part, of_class, in_all in (("train", "train", "all_train"), ("test", "test", "all_test")):
        counts = np.bincount(getattr(digits, f"y_{part}"))
        assert (counts.max(), counts.sum()) == (getattr(KNOWN["digits"], of_class), getattr(KNOWN["digits"], in_all))
        assert len(counts) == KNOWN["digits"].classes
