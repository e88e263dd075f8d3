"""What the job of each kind may depend on: an edit of anything else re-runs none of them.

What a list here gains, every job of that kind pays for with each edit: growth is to be noticed. Prose (documentation,
the configuration's keys, captions, figures' names), plans and the command line are under no job; readers of tables are
under none that writes one.
"""

import pytest

from infwidth.engines import ENGINES
from infwidth.figures.catalogue import FIGURES
from infwidth.io.closure import import_closure
from infwidth.studies.kinds import KINDS
from infwidth.tasks.families import FAMILIES

JOB = "io.atomic io.failures io.manifest io.reading io.whole stages.parts.job numerics.checks numerics.status"
TABLE = "io.tables"
DRAWN = "tasks.transfer_task numerics.arrays numerics.seeds"
IMAGES = "io.archives tasks.image_sources tasks.labels tasks.pictures"
LINES = "stages.parts.lines stages.parts.recorder analysis.representation numerics.activations numerics.losses"
TWO_LAYER = (
    "networks.two_layer networks.solution networks.transfer numerics.batching numerics.losses "
    "numerics.observed numerics.activations numerics.progress stages.parts.batch stages.parts.device"
)
READOUTS = (
    "adam_ntk.adam_star adam_ntk.dual_readout adam_ntk.feature_kernels adam_ntk.frozen_readout "
    "adam_ntk.random_features adam_ntk.support_kernels adam_ntk.variants "
    "numerics.kept_settings numerics.activations numerics.progress numerics.seeds"
)
TABLES = "io.arrays io.rows"
CLAIMS = (
    "analysis.agreement analysis.claim_table analysis.estimates "
    "analysis.claims analysis.claim_statistics analysis.claim_arguments analysis.claim_file analysis.coupling_choice "
    "analysis.extrapolation analysis.seeds io.rows io.yaml"
)
ENGINE = {
    "bayes": {
        "theory": "theory.bayes theory.posterior theory.linear",
        "networks": "networks.langevin networks.sampling",
    },
    "flow": {"theory": "theory.flow theory.dynamics theory.linear", "networks": "networks.gradient_flow"},
}
THEORY = (
    "theory.problem theory.solution theory.elastic theory.neurons theory.finite_width theory.folds theory.frozen "
    "theory.patience"
)
STUDY = "studies.readout_training studies.teacher_training studies.classifiers studies.images"


def jobs():
    """Kind of job → what its rule hands to import_closure, and what may be found."""
    yield "text", ["stages.text"], "tasks.text tasks.text_sources"
    yield (
        "language",
        ["stages.language"],
        f"{TABLE} {READOUTS} adam_ntk.variants networks.transformer io.checkpoints io.closure stages.parts.device "
        "studies.language tasks.text tasks.text_sources",
    )
    yield "pool", ["stages.pool"], f"{DRAWN} {IMAGES} tasks.image_tasks"
    for name, family in FAMILIES.items():
        images = f"{IMAGES} tasks.image_sources" if family.from_images else "tasks.gaussian_teachers"
        yield f"data/{name}", ["stages.data", family.module], f"{DRAWN} {images} {family.module} numerics.lazy"
    for name, engine in ENGINES.items():
        own = ENGINE[name]
        networks = f"{DRAWN} {TWO_LAYER} {own['networks']} numerics.lazy"
        yield f"source/{name}", ["stages.source", engine.networks], networks
        yield f"target/{name}", ["stages.target", engine.networks], f"{networks} {TABLE} {LINES}"
        theory = f"{DRAWN} {TABLE} {LINES} {own['theory']} {THEORY} numerics"
        yield f"theory/{name}", ["stages.theory", engine.theory], theory
    yield "collect", ["stages.collect"], f"{TABLE} {TABLES}"
    yield "judge", ["stages.judge"], f"{TABLE} {CLAIMS}"
    yield "claims", ["stages.claims"], f"{TABLE} {CLAIMS}"
    yield "verdicts", ["stages.verdicts"], f"{TABLE} {CLAIMS} figures.verdicts figures.parts.style"
    for name in FIGURES:
        allowed = f"{TABLE} {TABLES} figures.draw figures.parts figures.{name} analysis.extrapolation analysis.seeds "
        yield (
            f"figure/{name}",
            ["stages.figure", f"figures.{name}"],
            f"{allowed} analysis.coupling_choice adam_ntk.variants numerics",
        )
    for name in KINDS:
        if name != "language":
            allowed = f"{TABLE} {READOUTS} {STUDY} {IMAGES} studies.{name}"
            yield f"study/{name}", ["stages.study", f"studies.{name}"], allowed


JOBS = {kind: (modules, allowed) for kind, modules, allowed in jobs()}


def modules_of(paths):
    """Names below the package, without the packages' own ``__init__``."""
    names = [path.removeprefix("src/infwidth/").removesuffix(".py").replace("/", ".") for path in paths]
    return [name for name in names if not name.endswith("__init__")]


@pytest.mark.parametrize("kind", JOBS)
def test_a_job_depends_on_what_makes_its_numbers_alone(kind, root, monkeypatch):
    monkeypatch.chdir(root)
    modules, allowed = JOBS[kind]
    allowed = {*JOB.split(), *allowed.split(), modules[0]}
    found = modules_of(import_closure(*modules))
    beyond = [name for name in found if not any(name == one or name.startswith(f"{one}.") for one in allowed)]
    assert beyond == []


def test_every_rule_has_its_kinds_here(root):
    stages = {path.stem for path in (root / "src/infwidth/stages").glob("*.py")} - {"__init__", "__main__"}
    assert {kind.split("/")[0] for kind in JOBS} == stages
    rules = "".join(path.read_text(encoding="utf-8") for path in (root / "workflow/rules").glob("*.smk"))
    assert all(f'code("stages.{stage}"' in rules for stage in stages)
