"""Which source files a stage depends on, so that the workflow re-runs what an edit touches and nothing else."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import grimp

PACKAGE = "infwidth"


@cache
def _graph() -> grimp.ImportGraph:
    # what only a type checker imports changes no number
    return grimp.build_graph(PACKAGE, cache_dir=None, exclude_type_checking_imports=True)


def import_closure(*modules: str) -> list[str]:
    """Return the files of ``modules``, of all they import inside the package and of every parent package.

    Args:
        modules: names below the package, e.g. ``"stages.target"``. A module that a stage picks by name with
            importlib is invisible to the import graph and has to be named beside the stage.

    Returns:
        Sorted paths relative to the current directory.
    """
    graph = _graph()
    found: set[str] = set()
    for module in (f"{PACKAGE}.{name}" for name in modules):
        found |= {module} | graph.find_upstream_modules(module)
    parents = {name.rsplit(".", depth)[0] for name in found for depth in range(1, name.count(".") + 1)}
    return sorted(_file(name) for name in found | parents)


def _file(module: str) -> str:
    root = Path(__file__).parents[1]
    path = root.joinpath(*module.split(".")[1:])
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return os.path.relpath(path)
