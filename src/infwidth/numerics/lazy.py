"""Names that are looked up when they are used: public names of packages, and entries of registries."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """Return the ``__getattr__`` and ``__all__`` of a package whose public names load lazily.

    Args:
        package: the package's ``__name__``.
        modules: public name → defining module inside the package; a name equal to its module is the
            module itself.

    Returns:
        The module-level ``__getattr__`` (raises AttributeError for an unknown name) and the sorted names.
    """

    def __getattr__(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(sorted(modules))}")
        module = importlib.import_module(f"{package}.{modules[name]}")
        return module if modules[name] == name else getattr(module, name)

    return __getattr__, sorted(modules)


def registered(module: str, registry: str, name: str) -> Any:
    """Return an entry of a registry.

    Stages look up what they are told to run by this: the registry's file is none of those that the workflow takes a
    stage to depend on, so that a new entry re-runs nothing. What an entry names, the workflow adds itself.

    Args:
        module: the registry's module below the package.
        registry: its name in it.
        name: the entry's.
    """
    return getattr(importlib.import_module(f"infwidth.{module}"), registry)[name]
