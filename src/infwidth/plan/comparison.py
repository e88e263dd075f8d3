"""A run held against a committed reference, number by number."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import f as f_distribution

from infwidth.analysis.seeds import POINT
from infwidth.analysis.source_response import RESPONSE
from infwidth.io.atomic import read_arrays
from infwidth.io.tables import COLUMNS, KEYS, read_table
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status

THEORY_TOLERANCE = 1e-5
"""Relative; the theory's solvers are deterministic, but for the rounding that steers an integrator's steps."""
SAMPLED_SIGMAS = 5.0
"""Standard errors; on another device the noise is another sample."""
NETWORK_FLOOR = 1e-3
"""Relative; what different arithmetic may change in a network that samples nothing."""
UNKNOWN_ERROR = 0.1
"""Relative; where no standard error is known, as of the share of wrong classes, which counts the few test points that
lie near 0, and of a single chain, which another processor's rounding makes another one."""
MIXING_SHARE = {"network": 0.25, "theory": 0.1}
"""Of an experiment's rows of chains, or of populations, how many may be mixed on one device and not so on another."""
TIMES = "seconds"
"""A metric that no machine has twice."""
ERROR_CHANCE = 1e-4
"""Chance that a standard error of the same distribution is called too large, at each point."""
LARGEST_RATIO = 30.0
"""Beyond which a standard error is too large however few the data sets."""
ARRAY_TOLERANCE = {"theory": 0.09, "network": 0.25}
"""Relative, in the norm of one entry: a kernel or density of few networks, or of other particles (7 % in ci), is as
noisy as this on another device."""


def compare(
    results: Path, reference: Path, skip: Collection[str] = (), planned: Collection[str] | None = None
) -> Iterator[str]:
    """Compare every table of a reference, and the arrays beside it, with those of a run.

    Theory must agree to :data:`THEORY_TOLERANCE` relative, what is sampled (networks, theory with particles) to
    :data:`SAMPLED_SIGMAS` standard errors, none of which may be many times the reference's, or to
    :data:`UNKNOWN_ERROR` relative where it has none. Statuses must be the same on both sides, but that a few chains, or
    populations, may have mixed on one of them only; and a number never agrees with NaN.

    Args:
        results: the run's folder, holding ``tables``.
        reference: the reference's folder, holding ``tables``.
        skip: experiments to leave out, such as one whose images could not be had.
        planned: experiments that the configuration names, if known: the reference holds their tables and no other.

    Yields:
        One line for each drift: the table, the row and both numbers.

    Raises:
        InputError: the reference holds no table.
    """
    names = {path.stem for path in (reference / "tables").glob("*.csv")}
    if not names:
        raise InputError(f"{reference}/tables: no tables; expected a reference (make one with `infwidth reference`)")
    planned = names if planned is None else set(planned)
    for name in sorted((names | planned) - set(skip)):
        found, expected = (folder / "tables" / f"{name}.csv" for folder in (results, reference))
        if name not in planned:
            yield f"{name}: the reference has it; the configuration no longer names it"
        elif not expected.exists():
            yield f"{name}: {expected} is missing; the configuration names it"
        elif not found.exists():
            yield f"{name}: {found} is missing; the reference has it"
        else:
            yield from compare_tables(name, read_table(found), read_table(expected))
            yield from _compare_files(name, found.with_suffix(".npz"), expected.with_suffix(".npz"))


def compare_tables(name: str, found: pd.DataFrame, expected: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each row in which two tables differ; see :func:`compare`."""
    for side, table in (("the run", found), ("the reference", expected)):
        for _, row in table[table.duplicated(KEYS)].iterrows():
            yield f"{name}: {side} has row {_spelt(row, KEYS)} more than once"
    found, expected = (table.drop_duplicates(KEYS) for table in (found, expected))
    both = found.merge(expected, on=KEYS, how="outer", suffixes=("_found", "_expected"), indicator=True)
    for _, row in both[both["_merge"] != "both"].iterrows():
        side = "is not in the reference" if row["_merge"] == "left_only" else "is missing from the run"
        yield f"{name}: row {_spelt(row, KEYS)} {side}"
    both = both[(both["_merge"] == "both") & (both["metric"] != TIMES)]
    changed = (both["status_found"] != both["status_expected"]) & ~_mixing_alone(both)
    for _, row in both[changed].iterrows():
        yield f"{name}: {_spelt(row, KEYS)}: status {row['status_found']}, reference {row['status_expected']}"
    odd = pd.Series(False, index=both.index)
    for column in ("value", "stderr"):
        unlike = _unlike(both[f"{column}_found"], both[f"{column}_expected"])
        yield from _numbers(name, both[unlike & ~odd], column)
        odd |= unlike
    both = both[~odd & np.isfinite(both["value_expected"])]

    exact = (both["kind"] == "theory") & (both["stderr_expected"] == 0)
    theory = both[exact]
    scale = theory["value_expected"].abs().clip(lower=1e-12)
    far = (theory["value_found"] - theory["value_expected"]).abs() > THEORY_TOLERANCE * scale
    yield from _numbers(name, theory[far], "value")
    yield from _numbers(name, theory[~far & (theory["stderr_found"] != 0)], "stderr")

    yield from _compare_sampled(name, both[~exact])


def _mixing_alone(both: pd.DataFrame) -> pd.Series:
    """What has mixed on one side alone: which samples are near the border is for rounding to say, how many is not."""
    states = both[["status_found", "status_expected"]].isin([Status.CONVERGED.value, Status.UNMIXED.value]).all(axis=1)
    alone = both["time"].isna() & states & (both["status_found"] != both["status_expected"])
    few = pd.Series(False, index=both.index)
    for kind, share in MIXING_SHARE.items():
        sampled = (both["kind"] == kind) & both["time"].isna()
        few |= sampled & ((alone & sampled).sum() <= share * sampled.sum())
    return alone & few


def _unlike(found: pd.Series, expected: pd.Series) -> pd.Series:
    """Where one is a number and the other NaN, or infinite and the other not so."""
    return (found.isna() != expected.isna()) | ((np.isinf(found) | np.isinf(expected)) & (found != expected))


def _numbers(name: str, rows: pd.DataFrame, column: str) -> Iterator[str]:
    """Name both numbers of rows that differ."""
    label = "" if column == "value" else f"{column} "
    for _, row in rows.iterrows():
        found, expected = row[f"{column}_found"], row[f"{column}_expected"]
        yield f"{name}: {_spelt(row, KEYS)}: {label}{found:.12g}, reference {expected:.12g}"


def _compare_sampled(name: str, rows: pd.DataFrame) -> Iterator[str]:
    """Compare the means over data sets; errors are pooled over them, few networks each giving a poor one."""
    # what a chain owes to its source's draw is another draw's on another device, of mean 0: as large as it scatters
    drawn = rows["time"].isna() & rows["metric"].str.endswith(RESPONSE.format(metric=""))
    squares = {
        f"variance_{side}": rows[f"stderr_{side}"].fillna(0).where(~drawn, rows[f"value_{side}"]) ** 2
        for side in ("found", "expected")
    }
    sampled = rows["time"].isna() | (rows["metric"] == "test_error")
    unknown = rows["stderr_expected"].isna() & sampled
    relative = np.where(unknown, UNKNOWN_ERROR, NETWORK_FLOOR)
    grouped = rows.assign(**squares, relative=relative).groupby(POINT, dropna=False, sort=True)
    points = grouped.agg(
        found=("value_found", "mean"),
        expected=("value_expected", "mean"),
        variance_found=("variance_found", "sum"),
        variance_expected=("variance_expected", "sum"),
        relative=("relative", "max"),
        seeds=("seed", "size"),
    ).reset_index()
    error, allowed = (np.sqrt(points[f"variance_{side}"]) / points["seeds"] for side in ("found", "expected"))
    floor = points["relative"] * points["expected"].abs()
    # a data set's error has at least one degree of freedom, and the ratio of pooled variances is F's
    ratio = np.sqrt(f_distribution.isf(ERROR_CHANCE, points["seeds"], points["seeds"])).clip(max=LARGEST_RATIO)
    largest = ratio * np.maximum(allowed, floor)
    known = (allowed > 0) | (floor > 0)  # where the reference is 0 without error nothing says how large one may be
    for _, row in points.assign(error=error, allowed=allowed, largest=largest)[known & (error > largest)].iterrows():
        yield (
            f"{name}: mean over seeds of {_spelt(row, POINT)}: stderr {row['error']:.2g}, "
            f"reference {row['allowed']:.2g} (at most {row['largest']:.2g})"
        )
    error = np.where(known, np.minimum(error, largest), error)
    points["allowed"] = SAMPLED_SIGMAS * np.hypot(error, allowed) + floor
    drifted = points[~((points["found"] - points["expected"]).abs() <= points["allowed"])]
    for _, row in drifted.iterrows():
        yield (
            f"{name}: mean over seeds of {_spelt(row, POINT)}: {row['found']:.6g}, "
            f"reference {row['expected']:.6g} (allowed ±{row['allowed']:.2g})"
        )


def _compare_files(name: str, found: Path, expected: Path) -> Iterator[str]:
    """Compare the arrays beside two tables."""
    if found.exists() and expected.exists():
        yield from compare_arrays(name, read_arrays(found), read_arrays(expected))
    elif expected.exists():
        yield f"{name}: {found} is missing; the reference has it"
    elif found.exists():
        yield f"{name}: {expected} is missing; the run has it"


def compare_arrays(name: str, found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Yield a line for each array, or entry of one, in which those beside two tables differ."""
    for key in sorted({*found, *expected}):
        if key not in found or key not in expected:
            yield f"{name}: array {key} is {'missing from the run' if key in expected else 'not in the reference'}"
        elif found[key].shape != expected[key].shape:
            yield f"{name}: array {key} has the shape {found[key].shape}, reference {expected[key].shape}"
        elif "kind" not in expected or found[key].ndim < 2:  # what names entries, and what all share
            if not _equal(found[key], expected[key]):
                yield f"{name}: array {key} is not the reference's"
        else:
            for i, kind in enumerate(expected["kind"]):
                distance = _distance(found[key][i], expected[key][i])
                if not distance <= ARRAY_TOLERANCE[str(kind)]:
                    entry = pd.Series({column: values[i] for column, values in expected.items() if column in COLUMNS})
                    yield f"{name}: array {key} of {_spelt(entry, list(entry.index))}: {distance:.2g} relative distance"


def _equal(found: np.ndarray, expected: np.ndarray) -> bool:
    if expected.dtype.kind in "fiu" and found.dtype.kind in "fiu":
        return bool(np.allclose(found, expected, rtol=1e-12, atol=0, equal_nan=True))
    return bool(np.array_equal(found, expected))


def _distance(found: np.ndarray, expected: np.ndarray) -> float:
    """‖found − expected‖/‖expected‖ of one entry, whose NaN must be in the same places, else inf."""
    missing = np.isnan(expected)
    if (np.isnan(found) != missing).any():
        return np.inf
    difference = np.linalg.norm(np.where(missing, 0, found - expected))
    return float(difference / (np.linalg.norm(np.where(missing, 0, expected)) or 1.0))


def _spelt(row: pd.Series, keys: list[str]) -> str:
    parts = [f"{key}={row[key]}" for key in keys if pd.notna(row[key]) and key in COLUMNS]
    return ", ".join(parts)
