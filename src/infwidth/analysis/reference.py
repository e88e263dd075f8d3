"""A run held against a committed reference, number by number."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from infwidth.analysis.seeds import POINT
from infwidth.io.atomic import write_json
from infwidth.io.tables import COLUMNS, KEYS, read_table
from infwidth.io.timing import recorded_seconds, write_seconds
from infwidth.numerics.checks import InputError

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


def make_reference(results: Path, reference: Path) -> list[Path]:
    """Replace a reference by a run's tables, small figures, claims, one manifest and its jobs' seconds.

    Returns:
        The files written.

    Raises:
        InputError: the run has no tables.
    """
    tables = sorted((results / "tables").glob("*.csv"))
    if not tables:
        raise InputError(f"{results}/tables: no tables; expected a finished run; run `make reproduce` first")
    if reference.exists():
        shutil.rmtree(reference)
    pictures = sorted((results / "figures").glob("*.png"))
    arrays = [path.with_suffix(".npz") for path in tables]
    for path in [
        *tables,
        *(path for path in arrays if path.exists()),
        *pictures,
        results / "claims.md",
        results / "claims.json",
    ]:
        to = reference / path.relative_to(results)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    manifests = {
        str(path.relative_to(results)): json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((results / "theory").rglob("*.manifest.json"))
        + sorted((results / "target").rglob("*.manifest.json"))
    }
    first = next(iter(manifests.values()))
    summary = {key: first[key] for key in ("commit", "python", "machine", "versions")}
    summary["cells"] = {name: manifest["facts"] for name, manifest in manifests.items()}
    write_json(reference / "manifest.json", summary)
    write_seconds(reference / "seconds.csv", recorded_seconds(results))
    return sorted(path for path in reference.rglob("*") if path.is_file())
