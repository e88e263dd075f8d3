"""A run held against a committed reference, number by number."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infwidth.analysis.claims import Verdict, as_markdown, natural_key
from infwidth.analysis.seeds import POINT
from infwidth.io.atomic import atomic_file, write_json
from infwidth.io.tables import COLUMNS, KEYS, read_table
from infwidth.numerics.checks import InputError
from infwidth.plan.timing import CELL_RULES, read_seconds, recorded_seconds, write_seconds

THEORY_TOLERANCE = 1e-6  # relative; the theory's solvers are deterministic
SAMPLED_SIGMAS = 5.0  # standard errors; on another device the noise is another sample
NETWORK_FLOOR = 1e-3  # relative; what different arithmetic may change in a network that samples nothing


def compare(results: Path, reference: Path, skip: Collection[str] = ()) -> Iterator[str]:
    """Compare every table of a reference with that of a run.

    Theory must agree to :data:`THEORY_TOLERANCE` relative, what is sampled (networks, theory with particles) to
    :data:`SAMPLED_SIGMAS` standard errors.

    Args:
        results: the run's folder, holding ``tables``.
        reference: the reference's folder, holding ``tables``.
        skip: experiments to leave out, such as one whose images could not be had.

    Yields:
        One line for each drift: the table, the row and both numbers.

    Raises:
        InputError: the reference holds no table.
    """
    paths = sorted((reference / "tables").glob("*.csv"))
    if not paths:
        raise InputError(f"{reference}/tables: no tables; expected a reference (make one with `infwidth reference`)")
    for path in (path for path in paths if path.stem not in skip):
        found = results / "tables" / path.name
        if not found.exists():
            yield f"{path.stem}: {found} is missing; the reference has it"
            continue
        yield from compare_tables(path.stem, read_table(found), read_table(path))


def compare_tables(name: str, found: pd.DataFrame, expected: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each row in which two tables differ; see :func:`compare`."""
    both = found.merge(expected, on=KEYS, how="outer", suffixes=("_found", "_expected"), indicator=True)
    for _, row in both[both["_merge"] != "both"].iterrows():
        side = "is not in the reference" if row["_merge"] == "left_only" else "is missing from the run"
        yield f"{name}: row {_spelt(row, KEYS)} {side}"
    both = both[both["_merge"] == "both"]
    changed = both["status_found"] != both["status_expected"]
    for _, row in both[changed & (both["kind"] == "theory")].iterrows():
        yield f"{name}: {_spelt(row, KEYS)}: status {row['status_found']}, reference {row['status_expected']}"

    exact = (both["kind"] == "theory") & (both["stderr_expected"] == 0)
    theory = both[exact]
    scale = theory["value_expected"].abs().clip(lower=1e-12)
    far = (theory["value_found"] - theory["value_expected"]).abs() > THEORY_TOLERANCE * scale
    for _, row in theory[far].iterrows():
        yield f"{name}: {_spelt(row, KEYS)}: {row['value_found']:.12g}, reference {row['value_expected']:.12g}"

    yield from _compare_sampled(name, both[~exact])


def _compare_sampled(name: str, rows: pd.DataFrame) -> Iterator[str]:
    """Compare the means over data sets; errors are pooled over them, few networks each giving a poor one."""
    rows = rows.assign(variance=rows["stderr_found"].fillna(0) ** 2 + rows["stderr_expected"].fillna(0) ** 2)
    grouped = rows.groupby(POINT, dropna=False, sort=True).agg(
        found=("value_found", "mean"),
        expected=("value_expected", "mean"),
        variance=("variance", "sum"),
        seeds=("seed", "size"),
    )
    error = np.sqrt(grouped["variance"]) / grouped["seeds"]
    grouped["allowed"] = SAMPLED_SIGMAS * error + NETWORK_FLOOR * grouped["expected"].abs()
    drifted = grouped[(grouped["found"] - grouped["expected"]).abs() > grouped["allowed"]].reset_index()
    for _, row in drifted.iterrows():
        yield (
            f"{name}: mean over seeds of {_spelt(row, POINT)}: {row['found']:.6g}, "
            f"reference {row['expected']:.6g} (allowed ±{row['allowed']:.2g})"
        )


def _spelt(row: pd.Series, keys: list[str]) -> str:
    parts = [f"{key}={row[key]}" for key in keys if pd.notna(row[key]) and key in COLUMNS]
    return ", ".join(parts)


def make_reference(results: Path, reference: Path, only: str = "") -> list[Path]:
    """Replace a reference by a run's tables, small figures, claims, one manifest and its jobs' seconds.

    Args:
        results: the run's folder.
        reference: the reference's folder.
        only: renew the experiments whose name begins so, and the figures of the run; the rest of the reference stays.

    Returns:
        The files written.

    Raises:
        InputError: the run has no tables.
    """
    tables = sorted((results / "tables").glob(f"{only}*.csv"))
    if not tables:
        raise InputError(f"{results}/tables: no tables; expected a finished run; run `make reproduce` first")
    manifests = {
        str(path.relative_to(results)): json.loads(path.read_text(encoding="utf-8"))
        for rule in CELL_RULES
        for path in sorted((results / rule).glob(f"{only}*/*.manifest.json"))
    }
    verdicts = [
        entry
        for path in sorted((results / "claims").glob(f"{only}*.json"))
        if "manifest" not in path.name
        for entry in _read_json(path, [])
    ]
    seconds = {job: s for job, s in recorded_seconds(results).items() if _experiment(job).startswith(only)}
    kept = {"cells": {}}
    if only:
        kept = _read_json(reference / "manifest.json", kept)
        old = _read_json(reference / "claims.json", [])
        verdicts = [entry for entry in old if not entry["experiment"].startswith(only)] + verdicts
        seconds = read_seconds(reference / "seconds.csv") | seconds
    elif reference.exists():
        shutil.rmtree(reference)
    arrays = [path.with_suffix(".npz") for path in tables]
    written = []
    for path in [*tables, *(path for path in arrays if path.exists()), *sorted((results / "figures").glob("*.png"))]:
        written.append(reference / path.relative_to(results))
        written[-1].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, written[-1])
    first = next(iter(manifests.values()))
    cells = {name: facts for name, facts in kept["cells"].items() if not _experiment(name).startswith(only)}
    summary = {key: first[key] for key in ("commit", "python", "machine", "versions")}
    summary["cells"] = cells | {name: manifest["facts"] for name, manifest in manifests.items()}
    verdicts.sort(key=lambda entry: natural_key(entry["id"]))
    write_json(reference / "manifest.json", summary)
    write_json(reference / "claims.json", verdicts)
    with atomic_file(reference / "claims.md", text=True) as handle:
        handle.write(as_markdown([Verdict(**entry) for entry in verdicts]))
    write_seconds(reference / "seconds.csv", dict(sorted(seconds.items())))
    return [*written, *(reference / name for name in ("manifest.json", "claims.json", "claims.md", "seconds.csv"))]


def _experiment(job: str) -> str:
    """The experiment in the path of a job, rule/experiment/cell."""
    parts = job.split("/")
    return parts[1].split(".")[0] if len(parts) > 1 else parts[0]


def _read_json(path: Path, absent: Any) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else absent
