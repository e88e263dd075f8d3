"""The one tidy table that theory and networks both write: one row, one number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from infwidth.io.atomic import atomic_file
from infwidth.numerics.checks import InputError

COLUMNS: dict[str, tuple[type, str]] = {
    "experiment": (str, "name of the block under `experiments:`"),
    "kind": (str, "`theory` or `network`"),
    "dataset": (str, "what the task is made of; names the fall-back data set where one was used"),
    "condition": (
        str,
        "`transfer`, or a control: `scratch` (fresh weights), `random_anchor` (random weights); `source`: the source "
        "itself, on its own samples; of ADAM* studies what else is varied: `transformer`, a loss, the support of ω, an "
        "architecture, `fixed` or `trained` coefficients, `frozen` or `trained` features",
    ),
    "overlap": (float, "α, cosine between source and target teacher; empty for images"),
    "n_source": (float, "P1, source samples"),
    "n_target": (float, "P2, target samples"),
    "width": (float, "N, neurons of the source network, or H, of ADAM* studies; `inf` for theory"),
    "source_strength": (float, "γ̄, feature-learning strength on the source"),
    "target_strength": (float, "γ, feature-learning strength on the target"),
    "elastic_coupling": (float, "δ, coupling of the hidden weights to the source's; empty from scratch"),
    "optimiser": (str, "of ADAM* studies: what moves the readouts of MLP blocks, or `no_mlp`; empty elsewhere"),
    "learning_rate": (float, "its learning rate, on functional gradients; empty elsewhere"),
    "dimension": (float, "input dimension, where an ADAM* study varies it; empty elsewhere"),
    "seed": (int, "index of the data set; theory and networks of one seed see the same data"),
    "time": (
        float,
        "target training time in units of the flow; training steps of ADAM* studies; empty for a posterior",
    ),
    "metric": (
        str,
        "`train_loss`, `test_loss`, `test_error`; of a posterior also `sampled_test_loss` (one network), "
        "`leave_one_out` (its mean squared error) and `log_evidence_density` (a neuron); with `representation`, under "
        "the flow at the first and last time: `kernel_alignment`, `centred_kernel_alignment`, `preactivation_std`, "
        "`preactivation_variance`, `preactivation_fourth_moment`, `preactivation_excess_kurtosis`; of ADAM* studies "
        "`sweep_loss` (at each learning rate tried), `validation_loss`, `distance_to_dual`, `bias`, `squared_bias`, "
        "`bias_in_stderr`, `aligned_mass`, `aligned_norm`, `uniform_mass`, `readout_norm`, `least_loss`",
    ),
    "value": (float, "the number"),
    "stderr": (float, "its Monte-Carlo standard error over network seeds; 0 where nothing is sampled"),
    "status": (str, "how the solver ended: `converged`, `stalled`, `diverged`, `unmixed`, `condensed`"),
}
VOCABULARY: dict[str, tuple[str, ...]] = {
    "kind": ("theory", "network"),
    "condition": (
        *("transfer", "scratch", "random_anchor", "source", "transformer", "squared", "cross_entropy"),
        *("gaussian", "half_space", "rank_deficient", "mlp", "cnn", "fixed", "trained", "frozen"),
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
    ),
}
"""Column → the words it may hold, of the text columns whose words are known before a run."""
KEYS = [name for name in COLUMNS if name not in ("value", "stderr", "status")]


def make_table(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return rows as a table with every column of :data:`COLUMNS`, in that order; absent entries are empty.

    Raises:
        InputError: a row has a column the table does not know.
    """
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
        InputError: the file lacks one of the columns.
    """
    table = pd.read_csv(path, dtype=str)  # as text first: pandas' fast parser is not exact in every version
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(f"{path}: columns {missing} are missing; expected {list(COLUMNS)}; re-make the table")
    return table.astype({name: kind for name, (kind, _) in COLUMNS.items() if kind is not str})


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


def largest(rows: pd.DataFrame, column: str, *, kind: str | None = None) -> pd.DataFrame:
    """Keep, of every experiment, the rows at its largest value of a column, and those that have none.

    Args:
        rows: rows of one or several experiments' tables, or what names the entries of their arrays.
        column: the column.
        kind: the kind, ``theory`` or ``network``, that this is about; of the other kind all rows stay.
    """
    about = rows["kind"] == kind if kind else pd.Series(True, index=rows.index)
    value = rows[column].where(about)
    top = value.groupby(rows["experiment"], dropna=False).transform("max")
    return rows[value.isna() | (value == top)]


def at_last_time(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the rows of each experiment's last recorded time, and those that have none."""
    return largest(rows, "time")


def widest(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the theory and, of each experiment's networks, those of its largest width."""
    return largest(rows[(rows["kind"] != "network") | rows["width"].notna()], "width", kind="network")


def _matches(column: pd.Series, option: Any) -> np.ndarray:
    if option is None:
        return column.isna().to_numpy()
    if isinstance(option, str):
        return (column == option).to_numpy()
    return np.isclose(column.to_numpy(dtype=float), float(option), rtol=1e-12, atol=0.0)
