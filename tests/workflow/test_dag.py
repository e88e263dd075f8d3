"""The DAG on a tiny study, in a copy of the project: what runs, and what each kind of edit re-runs."""

import json
import re
from pathlib import Path

import pytest
import yaml

from .conftest import SAMPLED, TRAINED, linear

CONFIG = {
    "preset": "default",
    "images": {"dataset": "digits"},
    "experiments": {
        "bayes": linear(SAMPLED),
        "flow": linear(TRAINED, controls=["scratch"]),
        "images": {
            **linear({"flow": {"weight_decay": 0.1, "source_time": 1, "target_times": [1]}}, activation="relu"),
            "task": {"images": {"source_classes": [0, 1], "target_classes": [8, 9], "n_source": 10, "n_target": 6}},
            "theory": False,
        },
    },
    "text": {"dataset": "cpython", "max_bytes": 20000},
    "studies": {
        "limit": {
            "seeds": 1,
            "study": {
                "limit": {"samples": 20, "test_samples": 10, "batch": 10, "steps": 2, "widths": [4, 8],
                          "feature_draws": 1, "optimisers": ["sgd"]},
            },
        },
        "lang": {
            "seeds": 1,
            "study": {
                "language": {"context": 8, "batch": 2, "layers": 1, "model_width": 8, "heads": 1, "width": [4],
                             "learning_rates": {"adam_star": [0.1, 1], "sgd": [1, 10]}, "steps": 4, "sweep_steps": 2},
            },
        },
    },
    "figures": {"linear_delta": "bayes", "linear_dynamics": "flow", "cifar_delta": "images", "adamstar_width": "lang",
                "adamstar_limit": "limit"},
}  # fmt: skip


# the jobs below every experiment's verdicts
CLAIMS = {"claims", "verdicts", "report"}
# --config alone would stand for the whole configuration, as a preset given by --configfile does
CONFIGURED = ("--configfile", "config/config.yaml", "--config")


@pytest.fixture(scope="module")
def project(make_project):
    made = make_project(CONFIG)
    made.run()
    return made


@pytest.fixture
def edited(project):
    """Let a test edit files of the project; what it did is undone."""
    saved: dict[Path, str] = {}

    def edit(name: str, change) -> None:
        path = project.root / name
        saved.setdefault(path, path.read_text(encoding="utf-8"))
        path.write_text(change(saved[path]), encoding="utf-8")

    yield edit
    for path, text in saved.items():
        path.write_text(text, encoding="utf-8")


def new_configuration(change):
    config = json.loads(json.dumps(CONFIG))
    change(config["experiments"])
    return lambda _: yaml.safe_dump(config)


def test_everything_is_made_and_a_second_run_does_nothing(project):
    results = project.root / "results"
    for figure in CONFIG["figures"]:
        assert all((results / f"figures/{figure}.{kind}").stat().st_size > 0 for kind in ("pdf", "png", "csv"))
    verdicts = json.loads((results / "claims.json").read_text())
    assert {verdict["experiment"] for verdict in verdicts} <= {*CONFIG["experiments"], *CONFIG["studies"]}
    assert json.loads((results / "tables/flow.manifest.json").read_text())["facts"]["rows"] > 0
    assert list((results / "logs/target/bayes").glob("*.log"))
    assert "judge flow: started" in (results / "logs/judge/flow.log").read_text(encoding="utf-8")
    assert project.planned() == set()


def test_jobs_alone_make_the_scheduler_look(make_project):
    """It looks for jobs to start when one ends; looks that call for others would grow in number with the run's time."""
    done = make_project(CONFIG).snakemake("--verbose", "--until", "theory")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    jobs, looks = said.count("Finished jobid"), said.count("Ready jobs:")
    assert jobs > 5
    assert 0 < looks <= jobs + 1


def test_touch_reruns_nothing(project):
    for path in (project.root / "src/infwidth").rglob("*.py"):
        path.touch()
    assert project.planned() == set()


def test_a_figures_module_redraws_that_figure_alone(project, edited):
    edited("src/infwidth/figures/linear_delta.py", lambda text: text + "\n# edited\n")
    assert project.planned() == {"figure/linear_delta", "report"}


def test_the_reports_words_rewrite_the_report_alone(project, edited):
    edited("src/infwidth/pages/templates/report.html", lambda text: text.replace("All verdicts", "Every verdict"))
    assert project.planned() == {"report"}


def test_a_title_redraws_its_figure_and_trains_nothing(project, edited):
    edited("config/config.yaml", new_configuration(lambda e: e["flow"].update(title="other words")))
    assert project.planned() == {"figure/linear_dynamics", "report"}


def test_the_report_shows_the_run(project):
    page = (project.root / "results/index.html").read_text(encoding="utf-8")
    assert [figure for figure in CONFIG["figures"] if f'src="figures/{figure}.png"' not in page] == []
    assert "min of one core" in page
    assert "Missing" not in page


def test_a_claim_judges_its_experiment_alone(project, edited):
    claim = {"id": "mine", "statement": "It falls.", "experiment": "flow", "statistic": "relative_change"}
    claim |= {"arguments": {"metric": "test_loss", "at": {"condition": "transfer"}, "versus": {"condition": "scratch"}}}
    (project.root / "mine.yaml").write_text(yaml.safe_dump([claim | {"expect": {"below": 0}}]), encoding="utf-8")
    edited("config/config.yaml", lambda _: yaml.safe_dump(CONFIG | {"claims": "mine.yaml"}))
    assert project.planned() == {"judge/flow"} | CLAIMS


def test_the_bayesian_solver_reruns_its_theory_and_no_network(project, edited):
    edited("src/infwidth/theory/bayes.py", lambda text: text + "\n# edited\n")
    assert project.planned() == {"theory/bayes", "collect/bayes", "figure/linear_delta", "judge/bayes"} | CLAIMS


def test_the_sampler_reruns_its_networks_and_no_theory(project, edited):
    edited("src/infwidth/networks/langevin.py", lambda text: text + "\n# edited\n")
    below = {"collect/bayes", "figure/linear_delta", "judge/bayes"} | CLAIMS
    assert project.planned() == {"source/bayes", "target/bayes"} | below


def test_a_study_reruns_alone(project, edited):
    edited("src/infwidth/studies/limit.py", lambda text: text + "\n# edited\n")
    assert project.planned() == {"study/limit", "collect/limit", "figure/adamstar_limit", "judge/limit"} | CLAIMS


def test_the_transformer_reruns_language_studies_alone(project, edited):
    edited("src/infwidth/networks/transformer/model.py", lambda text: text + "\n# edited\n")
    below = {"collect/lang", "figure/adamstar_width", "judge/lang"} | CLAIMS
    assert project.planned() == {"language/lang"} | below


def test_an_optimiser_more_trains_no_other(project, edited):
    def add(text):
        config = json.loads(json.dumps(CONFIG))
        config["studies"]["lang"]["study"]["language"]["learning_rates"]["momentum"] = [1, 3]
        return yaml.safe_dump(config)

    edited("config/config.yaml", add)
    done = project.snakemake("--dry-run", "--quiet", "host")
    assert re.findall(r"benchmarks/language/lang/(\S+)\.tsv", done.stdout) == ["momentum__width=4"]


def test_missing_text_is_found_before_any_job(project):
    done = project.snakemake(*CONFIGURED, 'text={"dataset": "auto", "path": "nowhere.txt"}')
    assert done.returncode != 0
    assert "nowhere.txt: no such file" in done.stdout + done.stderr


def test_image_code_leaves_linear_cells_alone(project, edited):
    edited("src/infwidth/tasks/image_tasks.py", lambda text: text + "\n# edited\n")
    planned = project.planned()
    assert {"pool/images", "data/images"} <= planned
    assert {job.split("/")[-1] for job in planned} == {
        "images",
        "cifar_delta",
        *CLAIMS,
    }  # no study of digits


def test_one_coupling_reruns_target_and_theory_of_its_experiment(project, edited):
    edited("config/config.yaml", new_configuration(lambda e: e["flow"].update(elastic_coupling=[0, 2])))
    below = {"collect/flow", "figure/linear_dynamics", "judge/flow"} | CLAIMS
    assert project.planned() == {"target/flow", "theory/flow"} | below


def test_a_new_overlap_reruns_no_source(project, edited):
    edited("config/config.yaml", new_configuration(lambda e: e["flow"]["task"]["linear"].update(overlap=[0.5, 0, 0.9])))
    planned = project.planned()
    assert "source/flow" not in planned
    assert {"data/flow", "target/flow", "theory/flow"} <= planned
    target_jobs = project.snakemake("--dry-run", "--quiet", "host").stdout.count(
        "benchmark: results/benchmarks/target/"
    )
    assert target_jobs == 1  # the new overlap's alone


def test_only_runs_one_experiment(project):
    planned = project.planned("--forceall", *CONFIGURED, "only=flow")
    assert {job.split("/")[-1] for job in planned} == {"flow", "linear_dynamics", "report"}


def test_configuration_errors_come_before_any_job(project, edited):
    edited("config/config.yaml", new_configuration(lambda e: e["flow"].update(widht=3)))
    done = project.snakemake()
    assert done.returncode != 0
    text = done.stdout + done.stderr
    assert "experiments.flow.widht: unknown key" in text
    assert "did you mean 'width'" in text
    assert "Traceback" not in text


def test_bad_images_stop_their_experiment_before_its_other_jobs(project, edited):
    def too_many(experiments):
        experiments["images"]["task"]["images"].update(n_source=5000, source_classes=[0, 77])

    edited("config/config.yaml", new_configuration(too_many))
    done = project.snakemake("--rerun-triggers", "params", "mtime")
    text = done.stdout + done.stderr
    assert done.returncode != 0
    assert "77" in text
    assert not re.search(r"(data|source|target) images", text)


def test_missing_image_file_is_found_before_any_job(project):
    done = project.snakemake(*CONFIGURED, 'images={"path": "nowhere.npz"}')
    assert done.returncode != 0
    assert "nowhere.npz" in done.stdout + done.stderr
