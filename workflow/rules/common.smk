# Helpers of the rules: the resolved plan, and what a rule takes from it.
import shutil
from pathlib import Path

from snakemake.exceptions import WorkflowError

try:
    from infwidth.io.closure import import_closure
    from infwidth.plan.config import load_schema, resolve_config
    from infwidth.plan.inputs import check_files, image_files, text_files
    from infwidth.plan.run_lock import hold
    from infwidth.plan.transfer import Plan, as_argument
    from infwidth.plan.studies import StudyPlan
    from infwidth.plan.timing import announcement
    from infwidth.numerics.checks import InputError
    from infwidth.stages.__main__ import RUN
except ImportError as error:
    raise WorkflowError(
        f"the package infwidth cannot be imported ({error}): activate its environment "
        "(`source .venv/bin/activate` after `make install`, or `conda activate infwidth`)"
    )


def make_plan():
    """Validate the configuration before any job starts: one line an error."""
    try:
        plan = Plan(resolve_config(config, load_schema()))
        check_files(plan.config)
    except InputError as error:
        raise WorkflowError(str(error))
    return plan


def hold_results():
    """Refuse to run beside another run of the same results.

    Snakemake's own lock outlives a killed run and then asks for `--unlock`; the profiles switch it off.
    """
    try:
        hold(RESULTS)
    except InputError as error:
        raise WorkflowError(str(error))


PLAN = make_plan()
STUDIES = StudyPlan(PLAN.config)
RESULTS = PLAN.results

# Source files of stages and of the modules they pick by name: an edit re-runs what it touches.
code = import_closure


def family_modules(experiment):
    family = PLAN.family(experiment)
    return ["tasks.image_tasks" if family == "images" else f"tasks.{family}_tasks"]


def trainer_module(experiment):
    return {"flow": "networks.gradient_flow", "bayes": "networks.langevin"}[
        PLAN.training(experiment)
    ]


def theory_module(experiment):
    return f"theory.{PLAN.training(experiment)}"


def pool_file(experiment):
    return (
        [f"{RESULTS}/data/{experiment}/pool.npz"]
        if PLAN.family(experiment) == "images"
        else []
    )


def source_data(experiment, cell):
    name = PLAN.project(cell, PLAN.source_data_cells(experiment))
    return f"{RESULTS}/data/{experiment}/source/{name}.npz"


def target_data(experiment, cell):
    name = PLAN.project(cell, PLAN.target_data_cells(experiment))
    return f"{RESULTS}/data/{experiment}/target/{name}.npz"


def source_networks(experiment, cell):
    name = PLAN.project(cell, PLAN.source_cells(experiment))
    return f"{RESULTS}/source/{experiment}/{name}.npz"


def shown_source_data(experiment, cell):
    """The source's data, where what the source makes of them is recorded."""
    if not PLAN.shows_representation(experiment):
        return []
    return [source_data(experiment, PLAN.network_cells(experiment)[cell])]


def study_module(study):
    return f"studies.{STUDIES.kind(study)}"


def study_images(study):
    settings = PLAN.config["adam_ntk"][study]["study"][STUDIES.kind(study)]
    return image_files(PLAN.config) if settings.get("dataset") == "images" else []


def table_parts(experiment):
    """The tables of an experiment's cells, and the arrays of those that have some."""
    if experiment in PLAN.studies:
        folder = "language" if STUDIES.kind(experiment) == "language" else "study"
        return [
            f"{RESULTS}/{folder}/{experiment}/{cell}.csv"
            for cell in STUDIES.cells(experiment)
        ]
    parts = [f"target/{experiment}/{cell}" for cell in PLAN.network_cells(experiment)]
    parts += [f"theory/{experiment}/{cell}" for cell in PLAN.theory_cells(experiment)]
    return [f"{RESULTS}/{part}.{kind}" for part in parts for kind in ("csv", "npz")]


def gpus():
    """How many GPUs a network job asks for: one where networks run on a CUDA device."""
    device = PLAN.config["device"]
    on_gpu = device.startswith("cuda") or (
        device == "auto" and shutil.which("nvidia-smi") is not None
    )
    return 1 if on_gpu else 0


def conda_environment(wildcards):
    """The environment of environment.yml, under `--sdm conda`; otherwise rules run in the one that is active.

    Snakemake asks conda about a named environment even where it is not used, and fails without conda.
    """
    methods = {method.name for method in workflow.deployment_settings.deployment_method}
    return "infwidth" if "CONDA" in methods else None


def failures(since):
    """The one line that each job failed with, from the logs written since that time."""
    logs = [
        path
        for path in Path(RESULTS, "logs").rglob("*.log")
        if path.stat().st_mtime >= since
    ]
    last = [
        (path.read_text(encoding="utf-8").splitlines() or [""])[-1]
        for path in sorted(logs)
    ]
    return [line[line.index("error: ") :] for line in last if "error: " in line]


def numbered(paths):
    """Several files as --input options of a stage."""
    return [f"--input={i}={path}" for i, path in enumerate(paths)]


def targets():
    """What a run makes: figures, their experiments' verdicts, and, unless it is partial, the whole claim table."""
    wanted = [
        f"{RESULTS}/figures/{figure}.{kind}"
        for figure in PLAN.figures
        for kind in ("pdf", "png", "csv")
    ]
    wanted += [
        f"{RESULTS}/claims/{experiment}.json"
        for experiment in PLAN.experiments + PLAN.studies
    ]
    if PLAN.config["only"] is None:
        wanted += [f"{RESULTS}/claims.json", f"{RESULTS}/claims.md"]
    return wanted
