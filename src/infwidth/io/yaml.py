"""YAML as every file of ours is read and written: version 1.2, each key once, errors in one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from infwidth.numerics.checks import InputError

_MOST_VALUES = 1_000_000
"""Of a file, aliases written out; the largest of ours has some thousands."""


def load_yaml(path: str | Path) -> Any:
    """Read a YAML file.

    In YAML 1.2 ``010`` is ten, ``1:30``, ``on`` and ``yes`` are text, and ``1e-3`` is a number.

    Args:
        path: the file, UTF-8 with or without a byte-order mark.

    Returns:
        What it holds: dicts, lists, text, numbers, booleans, None; an empty file holds None.

    Raises:
        InputError: the file can't be read, isn't YAML 1.2, names a key twice or holds itself; one line, numbered.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        remedy = "make it readable for you" if isinstance(error, PermissionError) else "correct the path"
        raise InputError(f"{path}: {error.strerror}; expected a YAML file; {remedy}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {error.start} is not UTF-8; expected a YAML file; save it as UTF-8, or name another"
        ) from error
    return read_yaml(text, str(path))


def read_yaml(text: str, name: str) -> Any:
    """Read YAML from text; ``name`` is what messages call it. See :func:`load_yaml`."""
    version = re.match(r"(?:\s*(?:#.*)?\n)*%YAML\s+(\S+)", text)
    if version and version[1] != "1.2":  # in 1.1 `010` is eight
        raise InputError(f"{name}: %YAML {version[1]}: expected YAML 1.2; remove that line")
    try:
        found = YAML(typ="safe", pure=True).load(text)
        _check_aliases(found, name, (), {})
    except DuplicateKeyError as error:
        raise InputError(
            f"{name}{_line(error)}: {_duplicate(error)}; expected each key once; remove or rename one"
        ) from error
    except MarkedYAMLError as error:
        problem = " ".join(str(error.problem or error.context).split())
        raise InputError(f"{name}{_line(error)}: not valid YAML ({problem}); mend the syntax") from error
    except InputError:
        raise
    except (YAMLError, ValueError) as error:  # a number of thousands of digits is a ValueError
        raise InputError(f"{name}: not valid YAML ({' '.join(str(error).split())}); mend the syntax") from error
    except RecursionError as error:
        raise InputError(f"{name}: nested too deeply; expected a few levels of keys; mend the syntax") from error
    return found


def dump_yaml(value: Any) -> str:
    """Return YAML text of dicts, lists, text, numbers, booleans and None, in their order; it reads back as it was."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None  # lists of plain values on one line
    yaml.allow_unicode, yaml.width, yaml.sort_base_mapping_type_on_output = True, 120, False
    yaml.representer.ignore_aliases = lambda _: True
    stream = StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


def _line(error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return "" if mark is None else f", line {mark.line + 1}"


def _duplicate(error: DuplicateKeyError) -> str:
    """Which key: the library's first words, without the values, which may be pages long."""
    problem = " ".join(str(error.problem).split()).removeprefix("found ")
    return problem.split(" with value ")[0]


def _check_aliases(value: Any, name: str, above: tuple[int, ...], sizes: dict[int, int]) -> int:
    """Count the values below one, those behind aliases (*) each time; no reader would come to the end of too many."""
    if not isinstance(value, Mapping | list):
        return 1
    if id(value) in above:
        raise InputError(f"{name}: an anchor (&) holds itself; expected plain values; remove the alias (*)")
    if id(value) not in sizes:
        inner = value.values() if isinstance(value, Mapping) else value
        sizes[id(value)] = 1 + sum(_check_aliases(item, name, (*above, id(value)), sizes) for item in inner)
    if sizes[id(value)] > _MOST_VALUES:
        raise InputError(
            f"{name}: holds over {_MOST_VALUES} values, aliases (*) written out; expected fewer; remove some"
        )
    return sizes[id(value)]
