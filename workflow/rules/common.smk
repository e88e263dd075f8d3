# Helpers of the rules: the resolved plan, and what a rule takes from it.
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from snakemake.exceptions import WorkflowError

try:
    from infwidth.io.closure import import_closure
    from infwidth.io.failures import machine_failure
    from infwidth.plan.claims import by_experiment, check_run_claims
    from infwidth.plan.additions import load_run, looks
    from infwidth.plan.inputs import (
        all_files,
        check_files,
        image_files,
        task_files,
        text_files,
    )
    from infwidth.plan.run_lock import hold, is_held_elsewhere
    from infwidth.plan.run_record import record_configuration
    from infwidth.plan.report import report_parameters
    from infwidth.plan.outputs import (
        cell_outputs,
        date_to_now,
        finished_outputs,
        job_files,
        set_damaged_aside,
    )
    from infwidth.plan.groups import theory_alone
    from infwidth.plan.transfer import Plan, as_argument
    from infwidth.plan.studies import StudyPlan
    from infwidth.plan.titles import experiment_titles
    from infwidth.plan.timing import Foreseen, announcement, seconds_per_data_set
    from infwidth.numerics.checks import InputError
    from infwidth.stages.__main__ import RUN
    from infwidth.stages.parts import fork_server
except ImportError as error:
    raise WorkflowError(
        f"the package infwidth cannot be imported ({error}): activate its environment "
        "(`source .venv/bin/activate` after `make install`, or `conda activate infwidth`)"
    )


@contextmanager
def in_one_line():
    """Whatever is wrong with the input, or refused by the machine, as Snakemake's own kind of error."""
    try:
        yield
    except InputError as error:
        raise WorkflowError(str(error))
    except OSError as error:
        raise WorkflowError(machine_failure(error) or str(error))


def configuration_files():
    """The files that the configuration is read from."""
    return workflow.config_settings.configfiles or ["config/config.yaml"]


@in_one_line()
def make_plan():
    """Validate the configuration before any job starts: one line an error.

    It is read here once more, as Snakemake knows neither `extends:` nor YAML 1.2.
    """
    plan = Plan(load_run(*configuration_files(), given=workflow.config_settings.config))
    check_files(plan.config)
    return plan, by_experiment(check_run_claims(plan.config))


@in_one_line()
def hold_results():
    """Refuse to run beside another run of the same results, and write down whose they are.

    Snakemake's own lock outlives a killed run and then asks for `--unlock`; the profiles switch it off.
    """
    hold(RESULTS)
    record_configuration(RESULTS, configuration_files())


@in_one_line()
def make_records():
    """The folder of Snakemake's records, which it would make too late for one line."""
    Path(".snakemake").mkdir(exist_ok=True)


PLAN, DECLARED = make_plan()
make_records()
STUDIES = StudyPlan(PLAN.config)
RESULTS = PLAN.results
FORESEEN = Foreseen(RESULTS)


@in_one_line()
def set_aside():
    """Rename outputs that are not what their jobs wrote, before jobs are planned: they are made again."""
    for line in set_damaged_aside(RESULTS):
        print(line, file=sys.stderr)


@in_one_line()
def date_files():
    """Date no file in the future, before jobs start: Snakemake would discard what they make of it."""
    inputs = [*all_files(PLAN.config), *Path("src").rglob("*.py")]
    for line in date_to_now([*inputs, *job_files(RESULTS)]):
        print(line, file=sys.stderr)


# A job on a cluster reads the Snakefile too, and what another run is writing only looks damaged.
if workflow.is_main_process and not is_held_elsewhere(RESULTS):
    set_aside()

# Source files of stages and of the modules they pick by name: an edit re-runs what it touches.
code = import_closure


def family_module(experiment):
    return PLAN.family(experiment).module


def trainer_module(experiment):
    return PLAN.engine(experiment).networks


def theory_module(experiment):
    return PLAN.engine(experiment).theory


def pool_file(experiment):
    drawn = PLAN.family(experiment).from_images
    return [f"{RESULTS}/data/{experiment}/pool.npz"] if drawn else []


def own_files(experiment, part):
    return task_files(PLAN.config["experiments"][experiment], part)


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


def study_files(study):
    """The files that a study's data come from, but those of language studies, which have a rule of their own."""
    settings = PLAN.config["studies"][study]["study"][STUDIES.kind(study)]
    named = {"images": image_files, "text": text_files}.get(settings.get("dataset"))
    return named(PLAN.config) if named else []


def swept_table(study, cell):
    """The table with the sweep of a language study's cell that was added after it."""
    swept = STUDIES.swept_cell(study, cell)
    return [f"{RESULTS}/language/{study}/{swept}.csv"] if swept else []


def table_parts(experiment):
    """The tables of an experiment's cells, and the arrays of those that have some."""
    parts = cell_outputs(PLAN, experiment).values()
    return [f"{RESULTS}/{path}" for paths in parts for path in paths]


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


def interruption_held_back():
    """What to put before a job's command so that Ctrl-C waits while its interpreter starts, which would be a traceback.

    The job ends by it from its first line on (infwidth.stages.__main__). Only GNU's `env` can do that.
    """
    command = ["env", "--block-signal=INT"]
    tried = subprocess.run([*command, "true"], stderr=subprocess.DEVNULL, check=False)
    return " ".join([*command, ""]) if tried.returncode == 0 else ""


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


def report_inputs():
    """What the report shows, of what this run makes: pictures, verdicts, and tables, which name their data."""
    names = [*PLAN.experiments, *PLAN.studies]
    shown = [f"figures/{figure}.png" for figure in PLAN.figures]
    shown += [f"claims/{name}.json" for name in names]
    shown += [f"tables/{name}.csv" for name in names]
    if PLAN.config["only"] is None:
        shown += ["claims.md", "claims.json", "figures/verdicts.png"]
    return [f"{RESULTS}/{path}" for path in shown]


def report_templates():
    """What grimp does not see: the templates beside the modules of the page."""
    return sorted(str(path) for path in Path("src/infwidth/pages/templates").iterdir())


def data_set_seconds(experiment):
    """What one more data set of an experiment costs, as far as the preset's reference was timed."""
    section = "studies" if experiment in PLAN.studies else "experiments"
    settings = PLAN.config[section][experiment]
    networks = settings.get("data_seeds") or settings["seeds"]
    theory = settings.get("theory_data_seeds") or networks
    data_sets = {"theory": theory, "networks": networks}
    alone = theory_alone(settings) if section == "studies" else ()
    return seconds_per_data_set(experiment, data_sets, RESULTS, alone)


def judge_parameters(experiment):
    """What a judge knows beside the table: the claims, what more would cost, and the looks taken, if they count.

    Claims come as parameters, so that an edit of one judges its experiment alone again, and none reads all of them.
    """
    at = looks(PLAN.config, experiment)
    told = {
        "experiment": experiment,
        "claims": DECLARED[experiment],
        "seconds": data_set_seconds(experiment),
    }
    return told | ({"looks": at} if at else {})


def targets():
    """What a run makes: tables, verdicts and figures with their manifests, and, unless it is partial, the claim table."""
    return [f"{RESULTS}/{path}" for path in finished_outputs(PLAN)]
