"""The one tidy table that theory and networks both write: one row, one number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from infwidth.io.atomic import atomic_file, reading
from infwidth.numerics.checks import InputError
from infwidth.numerics.status import Status

if TYPE_CHECKING:  # whoever checks claims needs the names of columns alone
    import pandas as pd

# What each column means stands in docs/results.md: prose here would re-run whatever writes or reads a table.
COLUMNS: dict[str, type] = {
    "experiment": str,
    "kind": str,
    "dataset": str,
    "condition": str,
    "overlap": float,
    "n_source": float,
    "n_target": float,
    "width": float,
    "source_strength": float,
    "target_strength": float,
    "elastic_coupling": float,
    "optimiser": str,
    "learning_rate": float,
    "dimension": float,
    "seed": int,
    "time": float,
    "metric": str,
    "value": float,
    "stderr": float,
    "status": str,
}
VOCABULARY: dict[str, tuple[str, ...]] = {
    "kind": ("theory", "network"),
    "condition": (
        *("transfer", "scratch", "random_anchor", "source", "transformer", "squared", "cross_entropy"),
        *("gaussian", "half_space", "rank_deficient", "mlp", "cnn", "fixed", "trained", "frozen"),
        *("advise", "advise_definite", "cross_validation", "evidence", "laplace_torch", "log_me", "h_score", "leep"),
    ),
    "optimiser": (
        *("sgd", "momentum", "adam", "frozen_adam", "unfrozen_adam", "adam_star", "adamw_star", "adam_star_layer"),
        *("rmsprop_star", "adagrad_star", "trained_features", "no_mlp"),
    ),
    "metric": (
        *("train_loss", "test_loss", "test_error", "sampled_test_loss", "leave_one_out", "log_evidence_density"),
        *("kernel_alignment", "centred_kernel_alignment", "preactivation_std", "preactivation_variance"),
        *("preactivation_fourth_moment", "preactivation_excess_kurtosis", "sweep_loss", "validation_loss"),
        *("distance_to_dual", "bias", "squared_bias", "bias_in_stderr", "aligned_mass", "aligned_norm"),
        *("uniform_mass", "readout_norm", "least_loss"),
        *(
            "test_loss_deviation",
            "train_loss_deviation",
            "sampled_test_loss_deviation",
            "mean_deviation",
            "thermal_deviation",
            "test_loss_spread",
        ),
        *("test_loss_source_response", "train_loss_source_response", "sampled_test_loss_source_response"),
        *("source_deviation", "averaged_test_loss", "scatter", "best_test_loss", "critical_overlap"),
        *("sample_savings", "best_source_richness", "source_alignment"),
        *("domain_margin", "diagnosed"),
        *("source_test_loss", "source_loss_old_readout", "source_loss_refitted"),
        *("predicted_loss", "held_out_luck", "gain_deviation", "regret", "definite", "wrong", "seconds"),
        *("kendall_tau", "source_regret"),
    ),
}
"""Column → the words it may hold, of the text columns whose words are known before a run."""
KEYS = [name for name in COLUMNS if name not in ("value", "stderr", "status")]


def make_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a table with every column of :data:`COLUMNS`, in that order; absent entries are empty.

    Raises:
        InputError: a row has a column the table does not know.
    """
    import pandas as pd

    table = pd.DataFrame(list(rows))
    unknown = sorted(set(table.columns) - set(COLUMNS))
    if unknown:
        raise InputError(f"table columns {unknown}: expected only {list(COLUMNS)}; add them to COLUMNS")
    return table.reindex(columns=list(COLUMNS))


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table in a fixed row order, floats to round-trip precision."""
    keys = [key for key in KEYS if key in table]
    ordered = table.sort_values(keys, kind="stable", na_position="first")
    with atomic_file(path, text=True) as handle:
        ordered.to_csv(handle, index=False)


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table written by :func:`write_table`.

    Raises:
        InputError: the file isn't there, lacks one of the columns, is cut or damaged, or isn't what its job wrote.
    """
    import pandas as pd

    with reading(path, "a table (CSV)"):
        # as text first: pandas' fast parser is not exact in every version, and a data set may be called NA or null
        table = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""], encoding="utf-8")
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise InputError(f"{path}: columns {missing} are missing; expected {list(COLUMNS)}; re-make the table")
        table = table.astype({name: kind for name, kind in COLUMNS.items() if kind is not str})
        unknown = sorted(set(table["status"].dropna()) - {status.value for status in Status})
        if unknown or table[["kind", "metric", "status"]].isna().any(axis=None):
            raise ValueError(f"unknown or empty status, kind or metric: {unknown}")
    return table


def select(table: pd.DataFrame, **where: Any) -> pd.DataFrame:
    """Return the rows in which each named column equals the value, or one of a list of values.

    Numbers match to 1e-12 relative; None matches an empty entry.

    Raises:
        InputError: no such column.
    """
    keep = np.ones(len(table), dtype=bool)
    for name, wanted in where.items():
        if name not in table:
            raise InputError(f"{name}: no such column; expected one of {list(COLUMNS)}")
        options = wanted if isinstance(wanted, list | tuple) else [wanted]
        keep &= np.any([_matches(table[name], option) for option in options], axis=0)
    return table[keep]


def _matches(column: pd.Series, option: Any) -> np.ndarray:
    if option is None:
        return column.isna().to_numpy()
    if isinstance(option, str):
        return (column == option).to_numpy()
    return np.isclose(column.to_numpy(dtype=float), float(option), rtol=1e-12, atol=0.0)
