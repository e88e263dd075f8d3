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
ARRAYS = "io.archives tasks.copies tasks.labels tasks.own_data tasks.own_labels tasks.own_weights"
LINES = (
    "analysis.source_response "
    "stages.parts.lines stages.parts.recorder analysis.representation numerics.activations numerics.losses "
    "numerics.tolerance"
)
TWO_LAYER = (
    "networks.two_layer networks.solution networks.transfer numerics.batching numerics.loops numerics.losses "
    "numerics.observed numerics.activations numerics.progress stages.parts.batch stages.parts.device"
)
READOUTS = (
    "adam_ntk.adam_star adam_ntk.dual_readout adam_ntk.feature_kernels adam_ntk.random_features "
    "numerics.kept_settings numerics.loops numerics.losses numerics.activations numerics.progress numerics.seeds"
)
TABLES = "io.arrays io.rows"
CLAIMS = (
    "analysis.agreement analysis.decision analysis.estimates analysis.intervals analysis.mean_square "
    "analysis.sweeps analysis.source_response analysis.control_variate "
    "analysis.claims analysis.claim_statistics analysis.claim_arguments analysis.claim_file analysis.coupling_choice "
    "analysis.extrapolation analysis.seeds io.rows io.yaml"
)
ENGINE = {
    "bayes": {
        "theory": "theory.bayes theory.posterior theory.linear",
        "networks": "networks.langevin networks.sampling",
    },
    "flow": {
        "theory": "theory.flow theory.dynamics theory.linear numerics.tolerance",
        "networks": "networks.gradient_flow",
    },
}
THEORY = (
    "theory.problem theory.solution theory.span theory.elastic theory.frozen "
    "theory.patience numerics.batching numerics.lazy numerics.loops numerics.observed stages.parts.device"
)
ON_IMAGES = f"{READOUTS} {IMAGES} studies.images studies.readout_training"
AVERAGED = "theory.averaged theory.elastic theory.linear.averaged_data theory.linear.averaged_saddle"
BOTH = f"{THEORY} {TWO_LAYER} {' '.join(ENGINE['flow'].values())} {DRAWN} tasks.gaussian_teachers tasks.spectra"
BOTH = " ".join(one for one in BOTH.split() if not one.startswith(("stages.", "numerics.lazy")))
SHIFTED = f"theory.problem theory.solution theory.span {DRAWN} {TWO_LAYER} studies.populations tasks.linear_tasks"
SHIFTED = " ".join(one for one in SHIFTED.split() if not one.startswith("stages.")) + " tasks.gaussian_teachers"
SHIFTED += " tasks.spectra"
ADVICE = (
    "applied.advice applied.distinct applied.given_network applied.onset applied.prediction applied.verdict "
    "tasks.copies tasks.own_data tasks.own_labels tasks.own_weights tasks.labels io.archives "
    f"{DRAWN} {ENGINE['bayes']['theory']} theory.problem theory.solution theory.span theory.elastic "
    "theory.kernels theory.mehler numerics.activations numerics.batching numerics.loops numerics.losses "
    "numerics.observed"
)
STUDY = {
    "limit": ON_IMAGES,
    "expectation": ON_IMAGES,
    "selection": f"{READOUTS} studies.readout_training studies.teacher_training adam_ntk.variants",
    "support": f"{READOUTS} studies.readout_training studies.teacher_training adam_ntk.support_kernels",
    "architecture": f"{ON_IMAGES} studies.classifiers adam_ntk.frozen_readout",
    # the theory averaged over data sets, held against that of data sets
    "averaged": f"{AVERAGED} {ENGINE['bayes']['theory']} theory.problem theory.solution theory.span {DRAWN} "
    "studies.populations tasks.gaussian_teachers tasks.spectra tasks.linear_tasks numerics.activations "
    "numerics.batching numerics.loops numerics.losses numerics.observed numerics.progress",
    "phases": f"{AVERAGED} theory.worth numerics.progress",
    "source_richness": f"studies.populations {AVERAGED} theory.fine_tuning theory.frozen theory.linear {DRAWN} "
    "tasks.gaussian_teachers tasks.spectra tasks.linear_tasks numerics.progress",
    "forgetting": f"theory.forgetting networks.forgetting {BOTH} tasks.hermite_tasks",
    "distribution_shift": f"{AVERAGED} {' '.join(ENGINE['bayes'].values())} {SHIFTED}",
    "failure_signatures": f"theory.diagnosis {BOTH} {ENGINE['bayes']['theory']} tasks.linear_tasks",
    "advice_calibration": f"{ADVICE} tasks.gaussian_teachers tasks.spectra tasks.linear_tasks tasks.hermite_tasks "
    "numerics.progress",
    "real_transfer": f"{ADVICE} networks.two_layer networks.solution networks.transfer networks.gradient_flow "
    f"applied.transferability {IMAGES} tasks.pretrained tasks.packaged_tables tasks.text_sources tasks.words "
    "studies.real_problems studies.real_choices "
    "numerics.progress",
}
PROSE = (
    "cli plan figures.catalogue engines studies.kinds studies.theory_kinds numerics.settings applied.estimator "
    "applied.finetune"
)
"""What names, describes, plans or asks for jobs, and so is under none."""
REPORTS = ("collect", "judge", "claims", "verdicts", "figure", "report")
"""Kinds that read what others trained or solved; an edit of theirs costs seconds."""


def jobs():
    """Kind of job → what its rule hands to import_closure, and what may be found."""
    yield "text", ["stages.text"], "tasks.text tasks.text_sources"
    yield (
        "language",
        ["stages.language"],
        f"{TABLE} {READOUTS} adam_ntk.frozen_readout adam_ntk.variants networks.transformer "
        "io.checkpoints io.closure stages.parts.device studies.language tasks.text tasks.text_sources",
    )
    yield "pool", ["stages.pool"], f"{DRAWN} {IMAGES} tasks.image_tasks"
    for name, family in FAMILIES.items():
        teachers = ARRAYS if family.files else "tasks.gaussian_teachers tasks.spectra"
        own = f"{IMAGES} tasks.image_sources" if family.from_images else teachers
        yield f"data/{name}", ["stages.data", family.module], f"{DRAWN} {own} {family.module} numerics.lazy"
    for name, engine in ENGINES.items():
        own = ENGINE[name]
        networks = f"{DRAWN} {TWO_LAYER} {own['networks']} numerics.lazy"
        yield f"source/{name}", ["stages.source", engine.networks], networks
        yield f"target/{name}", ["stages.target", engine.networks], f"{networks} {TABLE} {LINES}"
        theory = f"{DRAWN} {TABLE} {LINES} {own['theory']} {THEORY}"
        yield f"theory/{name}", ["stages.theory", engine.theory], theory
    yield "collect", ["stages.collect"], f"{TABLE} {TABLES} analysis.source_response"
    yield "judge", ["stages.judge"], f"{TABLE} {CLAIMS}"
    yield "claims", ["stages.claims"], f"{TABLE} {CLAIMS} analysis.claim_table"
    yield "verdicts", ["stages.verdicts"], f"{TABLE} {CLAIMS} analysis.claim_table figures.verdicts figures.parts.style"
    yield (
        "report",
        ["stages.report"],
        f"{CLAIMS} {TABLE} analysis.claim_table analysis.verdict_files io.job_times pages",
    )
    for name in FIGURES:
        allowed = f"{TABLE} {TABLES} figures.draw figures.parts figures.{name} analysis.extrapolation analysis.seeds "
        yield (
            f"figure/{name}",
            ["stages.figure", f"figures.{name}"],
            f"{allowed} analysis.control_variate analysis.coupling_choice adam_ntk.variants numerics",
        )
    for name in KINDS:
        if name != "language":
            yield (
                f"study/{name}",
                ["stages.study", f"studies.{name}"],
                f"{TABLE} {STUDY[name]} studies.{name}",
            )


JOBS = {kind: (modules, allowed) for kind, modules, allowed in jobs()}


def modules_of(paths):
    """Names below the package, without the packages' own ``__init__``."""
    names = [path.removeprefix("src/infwidth/").removesuffix(".py").replace("/", ".") for path in paths]
    return [name for name in names if not name.endswith("__init__")]


def covers(one, name):
    return name == one or name.startswith(f"{one}.")


@pytest.fixture(scope="module")
def closures(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return {kind: modules_of(import_closure(*modules)) for kind, (modules, _) in JOBS.items()}


@pytest.mark.parametrize("kind", JOBS)
def test_a_job_depends_on_what_makes_its_numbers_alone(kind, closures):
    modules, allowed = JOBS[kind]
    allowed = {*JOB.split(), *allowed.split(), modules[0]}
    beyond = [name for name in closures[kind] if not any(covers(one, name) for one in allowed)]
    assert beyond == []


@pytest.mark.parametrize("group", sorted({kind.split("/")[0] for kind in JOBS}))
def test_no_job_is_allowed_what_none_of_its_kind_depends_on(group, closures):
    kinds = [kind for kind in JOBS if kind.split("/")[0] == group]
    allowed = {one for kind in kinds for one in JOBS[kind][1].split()}
    found = {name for kind in kinds for name in closures[kind]}
    assert [one for one in sorted(allowed) if not any(covers(one, name) for name in found)] == []


@pytest.mark.parametrize("kind", JOBS)
def test_an_edit_of_names_prose_or_plans_runs_no_job_again(kind, closures):
    asked = [*PROSE.split(), *([] if kind.split("/")[0] in REPORTS else ["figures", "analysis.claims", "io.yaml"])]
    assert [name for name in closures[kind] if any(covers(one, name) for one in asked)] == []


@pytest.mark.parametrize(
    ("kind", "far"),
    [
        (
            "theory/flow",
            "networks adam_ntk theory.bayes theory.posterior theory.linear.posterior theory.linear.transfer",
        ),
        ("theory/bayes", "networks adam_ntk theory.flow theory.dynamics theory.linear.course theory.linear.moments"),
        ("source/bayes", "theory adam_ntk io.tables networks.gradient_flow networks.transformer"),
        ("source/flow", "theory adam_ntk io.tables networks.langevin networks.sampling networks.transformer"),
        ("target/bayes", "theory adam_ntk networks.gradient_flow networks.transformer"),
        ("target/flow", "theory adam_ntk networks.langevin networks.sampling networks.transformer"),
        ("language", "theory networks.two_layer networks.transfer studies.readout_training tasks.image_sources"),
        ("study/architecture", "theory networks tasks.text studies.limit studies.selection studies.support"),
    ],
)
def test_an_edit_of_one_engine_leaves_the_others_alone(kind, far, closures):
    assert [name for name in closures[kind] if any(covers(one, name) for one in far.split())] == []


def test_every_rule_has_its_kinds_here(root):
    stages = {path.stem for path in (root / "src/infwidth/stages").glob("*.py")} - {"__init__", "__main__"}
    assert {kind.split("/")[0] for kind in JOBS} == stages
    rules = "".join(path.read_text(encoding="utf-8") for path in (root / "workflow/rules").glob("*.smk"))
    assert all(f'code("stages.{stage}"' in rules for stage in stages)
