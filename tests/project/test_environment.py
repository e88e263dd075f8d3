"""environment.yml installs what pyproject.toml names, so that versions live in one place."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet


def test_environment_installs_the_project_with_pip(root, tmp_path):
    """Install a copy of the project into an environment exactly as the pip section says, and start the result.

    The environment borrows the packages of this one, so that only the project and what is missing are installed:
    `make install` installs all of them, from the same two files.
    """
    environment = yaml.safe_load((root / "environment.yml").read_text(encoding="utf-8"))
    conda, pip = (
        [name for name in environment["dependencies"] if isinstance(name, str)],
        environment["dependencies"][-1],
    )
    assert {name.split(">")[0] for name in conda} == {"python", "pip"}
    required = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert f"python{required}" in conda

    project, made = tmp_path / "project", tmp_path / "venv"
    shutil.copytree(root / "src", project / "src", ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
        shutil.copy(root / name, project)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(made)}))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    arguments = [word for line in pip["pip"] for word in shlex.split(line)]
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}  # it would come first

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=project, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(sys.executable, "-m", "pip", "--python", made / "bin/python", "install", "--quiet", *arguments)
    checked = "import infwidth, importlib.metadata as m; print(infwidth.__file__, m.version('torch').split('+')[0])"
    answer = run(made / "bin/python", "-c", checked)
    assert answer.split() == [str(project / "src/infwidth/__init__.py"), version("torch").split("+")[0]]


def test_constraints_hold_exact_versions_of_every_dependency(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["dev"] + extras["docs"]
    names = {name.split(">=")[0].strip().lower() for name in wanted}
    lines = [line for line in (root / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"]
    pinned = {line.split("==")[0].lower() for line in lines}
    assert names <= pinned
    assert all(line.count("==") == 1 for line in lines)


def test_no_dependency_has_an_upper_bound_or_none(root):
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in project["dependencies"]:
        assert ">=" in requirement
        assert "<" not in requirement


def test_what_is_slow_is_there(root):
    """A module that was renamed would join the fast ones, and be slow there."""
    spec = importlib.util.spec_from_file_location("conftest_of_all", root / "tests/conftest.py")
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    assert [one for one in conftest.SLOW if not (root / "tests" / one).exists()] == []


def test_pinned_versions_run_on_the_oldest_python_allowed(root):
    """Of those installed here; some packages drop early patch releases of a Python."""
    required = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    oldest = required.removeprefix(">=") + ".0"
    too_new = {}
    lines = (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for pin in (Requirement(line) for line in lines if line[:1] != "#"):
        try:
            found = metadata(pin.name)
        except PackageNotFoundError:
            continue
        allowed = SpecifierSet(found["Requires-Python"] or "")
        if pin.specifier.contains(found["Version"]) and not allowed.contains(oldest):
            too_new[pin.name] = found["Requires-Python"]
    assert too_new == {}
