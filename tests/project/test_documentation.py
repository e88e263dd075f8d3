"""What the code cites of the documentation is there, and the documentation leads to every solver."""

import re

import pytest

from infwidth.figures.catalogue import FIGURES

PAGES = ("theory", "averaged", "finite_width")
EQUATION = re.compile(r"\(((?:[AF])?\d{1,2}[a-z]?)\)")
CITED = re.compile(r"\beqs?\.\s((?:\([^()]+\)(?:,\s|\sand\s|\sto\s)?)+)")


@pytest.fixture(scope="module")
def pages(root):
    return {page: (root / f"docs/{page}.md").read_text(encoding="utf-8") for page in PAGES}


@pytest.fixture(scope="module")
def equations(pages):
    """Numbers at the end of an indented line, or of a formula in a list."""
    return {
        number
        for text in pages.values()
        for line in text.splitlines()
        for number in re.findall(r"\s{3,}" + EQUATION.pattern + r"$", line)
    }


def sources(root):
    for folder in ("src", "benchmarks", "tests"):
        for path in sorted((root / folder).rglob("*.py")):
            yield path.relative_to(root), path.read_text(encoding="utf-8")


def cited_equations(text):
    """Numbers after ``eq.``; of a range its ends."""
    return {number for group in CITED.findall(text) for number in EQUATION.findall(group)}


def test_equations_are_numbered_once(equations, pages):
    assert {*map(str, range(1, 10)), "5a"} <= equations
    assert {f"A{n}" for n in range(1, 18)} <= equations
    assert {f"F{n}" for n in range(1, 6)} <= equations
    found = [n for text in pages.values() for n in re.findall(r"\s{3,}" + EQUATION.pattern + r"$", text, re.M)]
    assert sorted(found) == sorted(set(found))


def test_every_equation_that_is_cited_is_there(root, equations):
    cited = {(str(path), number) for path, text in sources(root) for number in cited_equations(text)}
    assert len(cited) > 20
    assert [(path, number) for path, number in sorted(cited) if number not in equations] == []


def test_citations_are_found():
    assert cited_equations("see eqs. (1) to (6), and eq. (A17); eqs. (8) and (9)") == {"1", "6", "A17", "8", "9"}
    assert cited_equations('"(docs/theory.md §1, eqs. (1), (5), (5a))"') == {"1", "5", "5a"}


def test_every_page_and_section_that_is_cited_is_there(root, pages):
    missing = []
    for path, text in sources(root):
        missing += [(path, page) for page in re.findall(r"docs/\w+\.md", text) if not (root / page).exists()]
        for sections, name in re.findall(r'docs/theory\.md ((?:§\d(?: and )?)+)(?: "([^"]+)")?', text):
            wanted = [f"\n## {section} " for section in re.findall(r"§\d", sections)]
            wanted += [f"**{name}.**"] if name else []
            missing += [(path, one) for one in wanted if one not in pages["theory"]]
    assert missing == []


def solvers(text):
    """Paths of the table "Where each is solved"; a name without a folder lies beside the one before it."""
    table = text[text.index("### Where each is solved") : text.index("\n## §1 ")]
    for row in re.findall(r"^\|.*\|(.*)\|$", table, re.M):
        folder = ""
        for name in re.findall(r"`([^`]+)`", row):
            folder = name.rpartition("/")[0] if "/" in name else folder
            yield name if "/" in name else f"{folder}/{name}"


def test_the_table_of_solvers_leads_to_every_module(root, pages):
    package, named = root / "src/infwidth", list(solvers(pages["theory"]))
    assert [name for name in named if not (package / name).exists()] == []
    modules = [
        path.relative_to(package).as_posix()
        for room in ("theory", "networks", "adam_ntk")
        for path in sorted((package / room).rglob("*.py"))
        if path.name != "__init__.py"
    ]
    beyond = [
        module
        for module in modules
        if not any(module == name or (name.endswith("/") and module.startswith(name)) for name in named)
    ]
    assert beyond == []


def test_readme_leads_there(root, pages):
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert "docs/theory.md" in readme
    assert all(f"]({page}.md)" in pages["theory"] for page in PAGES[1:])
    named = re.findall(r"(?<![\w/])docs/\w+\.md", readme)
    assert [page for page in named if not (root / page).exists()] == []


def test_the_page_of_figures_names_each(root):
    text = (root / "docs/figures.md").read_text(encoding="utf-8")
    assert [name for name in [*FIGURES, "verdicts"] if f"`{name}`" not in text] == []
