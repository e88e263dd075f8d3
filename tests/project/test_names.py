"""One name a thing, one thing a name: parameters and fields of whatever solves, trains, samples or studies."""

import ast
import re
import unicodedata
from collections import defaultdict
from typing import NamedTuple

import pytest

ROOMS = ("theory", "networks", "adam_ntk", "studies")

SYMBOLS = {
    **{"source_strength": "γ̄", "target_strength": "γ", "strength": "γ|γ̄", "elastic_coupling": "δ", "couplings": "δ"},
    **{"stiffness": "L", "pull": "δ/L", "hidden_decay": "λ_W", "hidden_precision": "λ_W", "readout_decay": "λ_w"},
    **{"readout_precision": "λ_w", "prior_precision": "λ", "weight_decay": "λ", "total_decay": "κ"},
    **{"inverse_temperature": "β", "overlap": "α", "dual": "g", "anchor_weights": "W̄", "labels": "y|ȳ"},
    **{"readout": "w|w̄|M", "sharpness": "γ²/λ_w", "compliance": "1/L", "tightness": "1/(Lλ_w)", "margin": "q"},
    # the papers' letters for one thing: hidden weights, neurons, input dimensions
    **{"hidden": "W|W̄|ω", "width": "N|H", "dimension": "D|d", "features": "φ(h)|g"},
}
"""What a name stands for, wherever its documentation begins with a symbol. Names that are not here have one symbol."""

ROLES = {"source", "target", "test"}
"""Whatever a stage has of the source, the target, the test points."""

SEVERAL = {
    "activation": {"str", "Activation"},  # φ by its name at the doors, itself inside
    "kernel_form": {"numbers", "FactoredKernel"},  # multiplied out or not
    "optimisers": {"str", "Updater"},  # by name in studies, themselves in a training
    "batches": {"Batch", "numbers"},  # rows, or all of them
    "design": {"Design", "numbers"},  # prepared or not
    "evaluations": {"count", "numbers"},  # one count, or one for each that was solved
    "iterations": {"count", "numbers"},
    "steps": {"count", "numbers"},
    "width": {"count", "numbers"},  # inf is no int
    "readout": {"str", "numbers"},  # a choice at the doors, w itself inside
    "problem": {"FlowProblem", "BayesProblem"},  # each a Problem
    "task": {"TransferTask", "TextTask"},  # the data
    "state": {"Chains", "mapping", "numbers"},  # what evolves
    "status": {"Status", "numbers"},  # one, or an array of them
    "stderr": {"mapping", "numbers"},  # of all observables, or of the one there is
}
"""Names whose values come in several forms, with the reason; they mean one thing all the same."""

NUMBERS = {"float", "ndarray", "Tensor", "ArrayLike", "Array"}
CONTAINERS = {"Sequence", "Iterable", "Collection", "tuple", "list"}


class Use(NamedTuple):
    where: str
    annotation: ast.expr | None
    words: str


def documented(node):
    return dict(re.findall(r"^ +(\w+): (.*)$", ast.get_docstring(node) or "", re.M))


def uses_in(tree, module):
    """Name and use of each parameter and field that is not private."""

    def visit(node, owner, inherited):
        for child in node.body:
            if isinstance(child, ast.FunctionDef):
                if child.name.startswith("_") and child.name not in ("__init__", "__call__"):
                    continue
                words = documented(child) | (inherited if child.name == "__init__" else {})
                arguments = child.args
                for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                    if one.arg not in ("self", "cls"):
                        yield one.arg, Use(f"{module} {owner}{child.name}", one.annotation, words.get(one.arg, ""))
            elif isinstance(child, ast.ClassDef) and not child.name.startswith("_"):
                words = documented(child)
                for one in child.body:
                    if isinstance(one, ast.AnnAssign) and not one.target.id.startswith("_"):
                        yield one.target.id, Use(f"{module} {child.name}", one.annotation, words.get(one.target.id, ""))
                yield from visit(child, f"{child.name}.", words)

    yield from visit(tree, "", {})


@pytest.fixture(scope="module")
def trees(root):
    package = root / "src/infwidth"
    return {
        path.relative_to(package).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(package.rglob("*.py"))
    }


@pytest.fixture(scope="module")
def uses(trees):
    found = defaultdict(list)
    for module, tree in trees.items():
        # what studies are configured with are their arguments, which another test holds
        if module.startswith(tuple(f"{room}/" for room in ROOMS)) and not module.endswith("kinds.py"):
            for name, use in uses_in(tree, module):
                found[name].append(use)
    return found


@pytest.fixture(scope="module")
def callables(trees):
    """Names of types that are functions."""
    assigned = (node for tree in trees.values() for node in tree.body if isinstance(node, ast.Assign))
    return {
        node.targets[0].id
        for node in assigned
        if isinstance(node.targets[0], ast.Name) and re.match(r"Callable\[", ast.unparse(node.value))
    }


def forms(annotation, callables, *, inside=False):
    """What values of an annotation are, whichever container holds several of them and whether or not there are any."""
    if annotation is None:
        return set()
    if isinstance(annotation, ast.BinOp):
        return forms(annotation.left, callables, inside=inside) | forms(annotation.right, callables, inside=inside)
    if isinstance(annotation, ast.Subscript):
        outer = ast.unparse(annotation.value)
        if outer in CONTAINERS:
            parts = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
            return set().union(*(forms(part, callables, inside=True) for part in parts))
        return {"function" if outer == "Callable" else "mapping" if outer in ("Mapping", "dict") else outer}
    if isinstance(annotation, ast.Constant):
        if isinstance(annotation.value, str):
            return forms(ast.parse(annotation.value, mode="eval").body, callables, inside=inside)
        return set()  # None and …
    name = ast.unparse(annotation).rpartition(".")[2]
    if name == "Path":
        name = "str"
    if name in NUMBERS or (name == "int" and inside):
        return {"numbers"}
    return {"count" if name == "int" else "function" if name in callables else "mapping" if name == "dict" else name}


def symbol(words):
    """The symbol that documentation begins with, if it does."""
    first = re.match(r"(?:feature-learning strength )?([^\s,;:]+)", unicodedata.normalize("NFC", words))
    word = first[1].removesuffix("'s").rstrip(".") if first else ""
    if re.search(r"[Α-ω∇]", word) or re.fullmatch(r"[^\W\d]̄?|[A-Za-z]_?\d\w?|1/.*|[A-Z]̄?[A-Z]̄?ᵀ?", word):
        return None if re.fullmatch("[EAa]", word) else word  # an expectation, an article
    return None


def test_a_name_has_one_form(uses, callables):
    found = {name: set().union(*(forms(use.annotation, callables) for use in some)) for name, some in uses.items()}
    several = {name: kinds for name, kinds in found.items() if len(kinds) > 1 and name not in ROLES}
    assert {name: (kinds, uses[name]) for name, kinds in several.items() if kinds != SEVERAL.get(name)} == {}
    assert set(several) == set(SEVERAL)


def test_a_name_has_one_symbol(uses):
    found = {name: {symbol(use.words) for use in some} - {None} for name, some in uses.items()}
    bare = {name: {re.sub("̄", "", unicodedata.normalize("NFD", one)) for one in some} for name, some in found.items()}
    assert {name: uses[name] for name, some in bare.items() if len(some) > 1 and name not in SYMBOLS} == {}
    wanted = {name: set(unicodedata.normalize("NFC", text).split("|")) for name, text in SYMBOLS.items()}
    assert {name: found[name] - wanted[name] for name in SYMBOLS if not found[name] <= wanted[name]} == {}
    assert [name for name in SYMBOLS if not found[name]] == []


def test_another_meaning_is_seen(callables):
    """A choice by name and an array, an index and a number, one field for two letters."""
    tree = ast.parse(
        '''
def solve(anchor: str, step: int):
    """Solve.

    Args:
        anchor: one of two.
        step: L, of a chain.
    """

class Path:
    """A path.

    Attributes:
        anchor: W̄, (N,).
        step: δ/L.
    """

    anchor: list[Tensor]
    step: float | None
'''
    )
    found = list(uses_in(tree, "module"))
    assert [(name, forms(use.annotation, callables)) for name, use in found] == [
        ("anchor", {"str"}), ("step", {"count"}), ("anchor", {"numbers"}), ("step", {"numbers"}),
    ]  # fmt: skip
    assert [symbol(use.words) for _, use in found] == [None, "L", "W̄", "δ/L"]
