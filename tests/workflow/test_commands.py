"""What make passes on: paths as they were typed, wrong values in one line, no run started beside another's results."""

import os
import shutil

import numpy as np
import pytest

from .conftest import TRAINED, linear

CONFIG = {
    "preset": "default",
    "images": {"dataset": "digits"},
    "experiments": {
        "flow": linear(TRAINED),
        "images": {
            **linear({"flow": {"weight_decay": 0.1, "source_time": 1, "target_times": [1]}}, activation="relu"),
            "task": {"images": {"source_classes": [0, 1], "target_classes": [8, 9], "n_source": 10, "n_target": 6}},
            "theory": False,
        },
    },
}


@pytest.fixture(scope="module")
def project(make_project):
    return make_project(CONFIG)


def write_images(path, seed=0):
    rng = np.random.default_rng(seed)
    parts = {"train": 200, "test": 100}
    images = {f"x_{part}": rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8) for part, n in parts.items()}
    np.savez(path, **images, **{f"y_{part}": np.arange(n) % 10 for part, n in parts.items()})


@pytest.mark.parametrize("name", ["it's $HOME `x` \\", 'a "b";c&d τ{experiment}'])
def test_a_path_arrives_as_it_was_typed(project, tmp_path, name):
    path = tmp_path / f"{name}.npz"
    write_images(path)
    done = project.make("dry", f"IMAGES={path}", "ONLY=images")
    assert done.returncode == 0, done.stderr
    assert "pool        1" in done.stdout
    os.remove(path)
    done = project.make("dry", f"IMAGES={path}", "ONLY=images")
    assert f"Error: {path}: no such file" in done.stderr


def test_a_path_with_braces_and_quotes_goes_through_the_run(project, tmp_path):
    path = tmp_path / 'it\'s {a} "b" $c.npz'
    write_images(path)
    options = [f"IMAGES={path}", "ARGS=results/data/images/pool.npz"]
    done = project.make("reproduce", *options, "CORES=all")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[1/1] pool images" in done.stderr
    assert np.load(project.root / "results/data/images/pool.npz")["x_train"].shape[1:] == (8, 8, 3)
    write_images(path)  # the same content, another date
    os.utime(path, (1, 1))
    assert "nothing to run" in project.make("dry", *options).stdout
    write_images(path, seed=1)
    assert "pool        1" in project.make("dry", *options).stdout


def test_a_home_is_read_for_its_tilde_and_needs_not_be_writable(project, tmp_path):
    write_images(tmp_path / "mine.npz")
    done = project.make("dry", "IMAGES=~/mine.npz", "ONLY=images", HOME=str(tmp_path))
    assert "pool        1" in done.stdout, done.stderr
    done = project.infwidth("plan", "--only", "flow", HOME=os.devnull, XDG_CACHE_HOME="")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("target", "arguments", "words"),
    [
        ("reproduce", ["CORES=0"], "--cores 0: expected a whole number ≥ 1 or all"),
        ("dry", ["CORES=abc"], "--cores abc"),
        ("dry", ["PRESET=nope"], "config/nope.yaml: No such file"),
        ("reproduce", ["CONFIG=it's.yaml"], "it's.yaml: No such file"),
        ("reproduce", ["ONLY=flaw"], "flaw"),
        ("reproduce", ["ARGS=zzz"], "zzz: no rule makes it"),
        ("dry", ["RESULTS=results/other"], "config/config.yaml writes to results"),
    ],
)
def test_wrong_values_are_one_line(project, target, arguments, words):
    done = project.make(target, *arguments)
    assert done.returncode == 2
    lines = [
        line for line in done.stderr.splitlines() if not line.startswith(("make: ", "Using workflow", "infwidth: "))
    ]
    lines = [line for line in lines if not line.endswith("Exception:")]
    assert len(lines) == 1, done.stderr
    assert words in lines[0]


def test_results_follow_the_configuration(project):
    shutil.copy(project.root / "config/config.yaml", project.root / "mine.yaml")
    text = (project.root / "mine.yaml").read_text(encoding="utf-8")
    (project.root / "mine.yaml").write_text(text.replace("preset: default", "preset: mine"), encoding="utf-8")
    (project.root / "results/claims").mkdir(parents=True, exist_ok=True)
    done = project.make("claims", "CONFIG=mine.yaml")
    assert "results/mine: no claims" in done.stderr
    done = project.make("reference", "CONFIG=mine.yaml", "RESULTS=results")
    assert "mine.yaml writes to results/mine" in done.stderr
    assert not (project.root / "results/reference").exists()


def test_clean_follows_a_link_and_leaves_references(make_project, tmp_path):
    project = make_project(CONFIG)
    (tmp_path / "reference/default").mkdir(parents=True)
    (tmp_path / "tables").mkdir()
    (project.root / "results").symlink_to(tmp_path)
    done = project.make("clean")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["reference"]
    assert (project.root / "results").is_symlink()


def test_help_names_every_command(project):
    done = project.make("help")
    assert {"reproduce", "dry", "claims", "test", "clean", "install"} <= {
        line.split()[0] for line in done.stdout.splitlines()
    }
