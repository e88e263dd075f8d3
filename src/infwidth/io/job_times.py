"""Seconds that jobs took, as their benchmarks and the record beside a reference hold them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pandas as pd

from infwidth.io.atomic import atomic_file, reading
from infwidth.io.reading import READ_ERRORS

CELL_RULES = ("target", "theory", "language", "study")
"""Rules whose jobs are the cells of experiments."""
EACH_DATA_SET = (*CELL_RULES, "data", "source")
"""Rules whose jobs grow with the number of data sets."""


def recorded_seconds(results: str | Path) -> dict[str, float]:
    """Seconds of each job under ``results/benchmarks``: path below that folder (without suffix) → wall time."""
    folder = Path(results) / "benchmarks"
    found = {}
    for path in sorted(folder.rglob("*.tsv")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        with suppress(*READ_ERRORS):  # one that a killed job left unfinished tells nothing
            found[name] = float(pd.read_csv(path, sep="\t", usecols=["s"], encoding="utf-8")["s"].mean())
    return found


def write_seconds(path: str | Path, seconds: Mapping[str, float]) -> None:
    """Write a record of job times, to be committed with a reference."""
    with atomic_file(path, text=True) as handle:
        pd.Series(seconds, name="seconds").rename_axis("job").round(1).to_csv(handle)


def read_seconds(path: str | Path) -> dict[str, float]:
    """Read what :func:`write_seconds` wrote; empty where there is no such file, InputError where it is damaged."""
    if not Path(path).exists():
        return {}
    with reading(path, "job times (CSV)"):
        table = pd.read_csv(path, dtype={"job": str}, keep_default_na=False, encoding="utf-8")
        return dict(zip(table["job"], table["seconds"].astype(float).tolist(), strict=True))
