"""Every number of every study at scales that nobody means: refused at its key, or answered with a status."""

import importlib
import json
import math
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest

from infwidth.numerics.checks import InputError
from infwidth.numerics.losses import FAR
from infwidth.numerics.status import UnconvergedError
from infwidth.plan.config import ConfigError, resolve_config
from infwidth.plan.studies import StudyPlan
from infwidth.plan.transfer import as_argument
from infwidth.studies import failure_signatures
from infwidth.studies.kinds import KINDS

IMAGES = {"samples": 24, "test_samples": 12, "batch": 8, "steps": 6}
NEURON = {"samples": 30, "test_samples": 20, "widths": [8], "feature_draws": 2, "steps": 8}
SMALL = {
    "limit": IMAGES | {"widths": [4, 8], "feature_draws": 2},
    "expectation": IMAGES | {"widths": [4, 8], "draws": 4},
    "selection": NEURON
    | {"dimensions": [4], "trained_widths": [8], "trained_steps": 6, "trained_batch": 10, "sampled_features": 32},
    "support": NEURON | {"dimension": 4, "recorded": 2},
    "architecture": IMAGES | {"validation_samples": 12, "width": 8, "rates": [0.3, 1.0], "architectures": ["mlp"]},
    "averaged": {"dimensions": [6], "data_sets": 4, "overlaps": [0.5], "elastic_couplings": [0, 5, math.inf]},
    "phases": {"overlaps": [0.3, 1], "target_ratios": [0.3], "target_richness": [1], "target_noise": [0.5]},
    "source_richness": {"dimension": 12, "data_sets": 2, "source_richness": [1, 6], "target_ratios": [0.5],
                        "source_decay": 0.1, "target_decay": 0.1, "source_time": 5.0},
    "forgetting": {"dimension": 6, "n_source": 8, "n_target": 5, "n_test": 10, "target_strength": [0.3],
                   "elastic_couplings": [0, 2], "source_time": 2.0, "target_time": 2.0, "width": 0},
    "distribution_shift": {"dimension": 6, "n_source": 8, "n_target": 4, "overlaps": [0.8], "width": 4,
                           "elastic_couplings": [0, 5], "source_noise": [0.5], "target_noise": [1],
                           "burn_in_time": 1.0, "sampling_time": 1.0},
    "failure_signatures": {"target_strength": [1]},
    "real_transfer": {"problems": 2, "source_samples": 8, "target_samples": 4, "network_folds": 2, "width": 4,
                      "activation": "linear", "training_time": 1.0, "particles": 128},
    "advice_calibration": {"dimension": 6, "source_samples": 12, "test_samples": 20, "least_target_samples": 5,
                           "most_target_samples": 9, "elastic_couplings": [0, 1]},
}  # fmt: skip
UNBOUNDED = {"sample_savings", "best_source_richness", "best_coupling"}
"""Metrics of which ∞ is an answer."""
OF_LABELS = {"target_noise", "source_noise", "noises"}
"""Settings that labels, and so losses, are as large as."""
SLOW = {("forgetting", "source_strength", 1e12)}
"""What takes some seconds until it says that it diverged."""
VALUES = {float: (-1.0, 1e-300, 1e-12, 1e12, 1e300, math.inf, math.nan), int: (-1, 0, 10**12, 0.5, math.inf, math.nan)}


def kind_of_number(annotation):
    """``float`` or ``int``, and the containers around it; None where a setting is no number."""
    around = []
    while (origin := get_origin(annotation)) is not None:
        inner = [one for one in get_args(annotation) if one is not type(None)]
        if origin in (list, dict):
            around.append(origin)
        annotation = inner[-1] if origin is dict else inner[0]
        if not (isinstance(annotation, type) or get_origin(annotation) in (Annotated, list, dict)):
            return None, []  # a choice of words
    return (annotation if annotation in VALUES else None), around


def changes():
    """Kind of study, setting and an absurd value of it, each number alone."""
    for kind in SMALL:
        for name, annotation in get_type_hints(KINDS[kind], include_extras=True).items():
            number, around = kind_of_number(annotation)
            for value in VALUES.get(number, ()):
                if dict in around:
                    default = getattr(KINDS[kind], name)
                    yield from ((kind, name, {**default, key: value}, value) for key in default)
                else:
                    yield kind, name, [value] if list in around else value, value


def rows_of(kind, settings):
    """Rows of a study as its job has them, or the line it ends with."""
    try:
        config = resolve_config({"preset": "mine", "studies": {"s": {"study": {kind: settings}}}})
        parameters = StudyPlan(config).parameters("s", "seeds=0-0")
        found = json.loads(as_argument(parameters))
        return importlib.import_module(f"infwidth.studies.{kind}").run(seed=found["seeds"]["0"], **found["settings"])
    except (ConfigError, InputError, UnconvergedError) as error:
        return str(error)


def wrong(row, name):
    """Whether a row is called converged and can't be."""
    if row["status"] != "converged":
        return False
    if not math.isfinite(row["value"]):
        return row["metric"] not in UNBOUNDED
    of_training = "optimiser" in row and name not in OF_LABELS
    return "loss" in row["metric"] and of_training and row["value"] > 100 * FAR


def test_every_study_of_numbers_is_walked():
    assert set(KINDS) - set(SMALL) == {"language"}  # a stage of its own, walked in tests/stages/test_language.py


@pytest.mark.parametrize("kind", SMALL)
def test_no_number_gives_a_traceback_or_a_wrong_row(kind, monkeypatch):
    monkeypatch.setattr(failure_signatures, "CASES", {})  # flows that no setting is of
    assert not isinstance(rows_of(kind, SMALL[kind]), str)
    for _, name, value, alone in (one for one in changes() if one[0] == kind):
        if (kind, name, alone) in SLOW:
            continue
        found = rows_of(kind, SMALL[kind] | {name: value})
        where = f"{kind}.{name} = {alone}: "
        if isinstance(found, str):
            # a line for each thing wrong with it, with its remedy
            assert all("; " in line and len(line) < 300 for line in found.splitlines()), where + found
            continue
        assert found, where
        assert [row for row in found if wrong(row, name)] == [], where
