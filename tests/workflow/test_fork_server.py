"""Jobs that are forks of one server write, bit for bit, what jobs write that are processes of their own."""

import sys

import pytest

from .conftest import SAMPLED, TRAINED, linear

NONLINEAR = {"flow": {**TRAINED["flow"], "particles": 64, "replicas": 2}}
CONFIG = {
    "preset": "default",
    "experiments": {
        "flow": linear(TRAINED),
        "bayes": linear(SAMPLED),
        "nonlinear": linear(NONLINEAR, activation="relu", data_seeds=1, elastic_coupling=[1]),
    },
    "studies": {
        "adamstar_ablation": {
            "seeds": 2,
            "seeds_per_job": 2,
            "study": {"architecture": {"samples": 60, "validation_samples": 30, "width": 16, "steps": 3}},
        }
    },
    "figures": {"linear_dynamics": "flow"},
}


def written(project):
    """All that jobs wrote but manifests, logs and times; pictures say when they were drawn."""
    folder = project.root / "results"
    kinds = [path for kind in ("csv", "npz", "json") for path in folder.rglob(f"*.{kind}")]
    return {path.relative_to(folder): path.read_bytes() for path in kinds if "manifest" not in path.name}


@pytest.mark.skipif(sys.platform != "linux", reason="there is a server on Linux alone")
def test_forks_write_what_processes_write(make_project):
    forked, alone = make_project(CONFIG), make_project(CONFIG)
    started = forked.root / "src/infwidth/stages/__main__.py"
    text = started.read_text(encoding="utf-8")
    own = "    stage.main()\n"
    assert own in text
    started.write_text(text.replace(own, '    sys.exit("in no fork")\n'), encoding="utf-8")
    done = forked.infwidth("run")
    assert done.returncode == 0, done.stdout + done.stderr
    done = alone.infwidth("run", INFWIDTH_FORK_SERVER="off")
    assert done.returncode == 0, done.stdout + done.stderr
    found = written(forked)
    assert len(found) > 20
    assert found == written(alone)
