"""The documentation holds: its Python runs, its names are in the code, its equations in the theory, its API is all."""

import importlib
import inspect
import re
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sybil import Sybil
from sybil.parsers.myst import PythonCodeBlockParser, SkipParser

from infwidth.cli import main
from infwidth.numerics.activations import ACTIVATIONS
from infwidth.numerics.status import Status
from infwidth.tasks import linear

ROOT = Path(__file__).parents[2]
# docs/extending.md is run by tests/workflow/test_extending.py, in a copy of the project that its examples extend.
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md") if path.name != "extending.md")]
FACES = ("tasks", "theory", "networks", "adam_ntk", "applied")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def python_blocks(page: str) -> list:
    """The page's Python blocks in order, which share their names."""
    return list(Sybil([PythonCodeBlockParser(), SkipParser()]).parse(ROOT / page).examples())


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in text(page)])
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for example in python_blocks(page):
        example.evaluate()


ADVICE = {line for page in PAGES for line in re.findall(r"^    infwidth (advise .*)$", text(page), re.MULTILINE)}


@pytest.mark.parametrize("line", sorted(ADVICE))
def test_advice_on_files_runs_as_it_is_written(line, tmp_path, monkeypatch):
    """On files of the names that the line gives them."""
    monkeypatch.chdir(tmp_path)
    task = linear(dimension=6, overlap=0.8, n_source=20, n_target=12, n_test=1, target_noise=0.3, seed=0)
    for part in ("source", "target"):
        labels = np.sign(getattr(task, f"y_{part}"))
        np.savez(f"{part}.npz", x=getattr(task, f"x_{part}"), y=labels)
    torch.save(torch.nn.Sequential(OrderedDict(fc1=torch.nn.Linear(6, 40))).state_dict(), "network.pt")
    done = CliRunner().invoke(main, line.split())
    assert done.exit_code == 0, done.output
    assert "δ" in done.output
    assert list((tmp_path / "advice").iterdir())


def test_both_ways_to_ask_for_advice_are_shown():
    assert {"--weights" in line for line in ADVICE} == {True, False}


@pytest.mark.parametrize("page", PAGES)
def test_no_block_is_passed_over(page):
    fences = re.findall(r"^```(.*)$", text(page), re.MULTILINE)[::2]
    assert {fence for fence in fences if not fence.startswith("{")} <= {"python", "yaml", "sh"}
    assert len(python_blocks(page)) == fences.count("python")


def public() -> dict[str, object]:
    """Every public name of the package's faces, functions of their modules included: full name → object."""
    found = {}
    for face in FACES:
        package = importlib.import_module(f"infwidth.{face}")
        for name in package.__all__:
            entry = getattr(package, name)
            if isinstance(entry, types.ModuleType):
                doors = [door for door in ("solve", "run") if hasattr(entry, door)] or _functions(entry)
                found |= {f"infwidth.{face}.{name}.{door}": getattr(entry, door) for door in doors}
            else:
                found[f"infwidth.{face}.{name}"] = entry
    return found


def _functions(module: types.ModuleType) -> list[str]:
    own = inspect.getmembers(module, inspect.isfunction)
    return [name for name, one in own if one.__module__ == module.__name__ and not name.startswith("_")]


def documented() -> set[str]:
    """Full names that the API's page documents."""
    names, current = set(), ""
    for kind, name in re.findall(r"^\.\. (currentmodule|auto\w+):: ([\w.]+)", text("docs/api.md"), re.MULTILINE):
        if kind == "currentmodule":
            current = name
        else:
            names.add(name if name.startswith("infwidth.") else f"{current}.{name}")
    return names


def test_api_page_holds_every_public_name():
    assert set(public()) <= documented()


def _names_in_code() -> set[str]:
    """Arguments and fields of whatever the API's page documents, and its own names."""
    names = set()
    for full in documented():
        module, _, name = full.rpartition(".")
        entry = getattr(importlib.import_module(module), name)
        names |= {name} | set(getattr(entry, "__annotations__", {}))
        names |= set(re.findall(r"^ +(\w+): ", inspect.getdoc(entry), re.MULTILINE))  # attributes set in __init__
        if inspect.isclass(entry):
            names |= set(dir(entry))
        if not (inspect.isclass(entry) and issubclass(entry, Exception)):
            names |= set(inspect.signature(entry).parameters)
    return names


def test_notation_names_what_is_in_the_code():
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \|", text("docs/notation.md"), re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 40
    assert named <= _names_in_code()


def test_notation_cites_equations_that_are_there():
    theory = "".join(text(f"docs/{page}.md") for page in ("theory", "averaged", "finite_width"))
    labels = set(re.findall(r"\(([AF]?\d+[a-z]?)\) *$", theory, re.MULTILINE))
    sections = set(re.findall(r"^## (§\d)", theory, re.MULTILINE))
    cited = "".join(re.findall(r"\| ([^|]+) \|$", text("docs/notation.md"), re.MULTILINE))
    equations = set(re.findall(r"\(([AF]?\d+[a-z]?)\)", cited))
    assert len(equations) > 10
    assert equations <= labels
    assert set(re.findall(r"§\d", cited)) <= sections


def test_every_status_and_activation_is_explained():
    page = text("docs/choose_theory.md")
    explained = set(re.findall(r"^`(\w+)`\n: ", page, re.MULTILINE))
    assert explained == {one.value for one in Status} - {Status.CONVERGED.value}
    rows = page[page.index("## Which activation") : page.index("## How strong")]
    assert set(ACTIVATIONS) <= set(re.findall(r"`(\w+)`", rows))


def test_no_name_in_angle_brackets_is_lost_as_markup():
    """Markdown takes `<preset>` outside of code for a tag of HTML, and shows nothing."""
    for page in [*PAGES, "docs/extending.md", "config/README.md"]:
        prose = re.sub(r"```.*?```|`[^`]*`|^    .*$", "", text(page), flags=re.MULTILINE | re.DOTALL)
        assert not re.findall(r"<\w+>", prose), page


def test_tables_from_the_code_are_put_in_by_name():
    substituted = {name for page in PAGES for name in re.findall(r"\{\{ (\w+) \}\}", text(page))}
    held = re.search(r"myst_substitutions = \{(.*)\}", text("docs/conf.py"))[1]
    assert substituted == set(re.findall(r'"(\w+)":', held))
