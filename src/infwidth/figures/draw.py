"""From the tables and arrays of experiments to the files of one figure."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from infwidth.figures.parts.style import save_figure
from infwidth.io.arrays import join_entries
from infwidth.io.atomic import read_arrays
from infwidth.io.tables import read_table
from infwidth.numerics.checks import InputError


def draw_figure(
    name: str, tables: Sequence[Path], paths: Mapping[str, Path], titles: Mapping[str, str] | None = None
) -> None:
    """Draw a figure and write it.

    Args:
        name: of a module of this package with ``draw(table)``, or, if it says READS_ARRAYS, ``draw(table, arrays)``.
        tables: the experiments' tables; arrays lie beside them under the same name.
        paths: ``pdf``, ``png`` and ``csv`` to write.
        titles: experiment → how panels call it.

    Raises:
        InputError: the figure reads arrays and a table has none beside it.
    """
    save_figure(*draw_tables(name, tables, titles), paths)


def draw_tables(
    name: str, tables: Sequence[Path], titles: Mapping[str, str] | None = None
) -> tuple[Figure, pd.DataFrame]:
    """Draw a figure; return it and the numbers it shows. See :func:`draw_figure`."""
    # imported by name, so that editing one figure redraws that figure alone
    figure = importlib.import_module(f"infwidth.figures.{name}")
    table = pd.concat([shared_data_sets(read_table(path)) for path in tables], ignore_index=True)
    table.attrs["titles"] = dict(titles or {})
    found = [table]
    if getattr(figure, "READS_ARRAYS", False):
        arrays = [path.with_suffix(".npz") for path in tables]
        for path in arrays:
            if not path.exists():
                raise InputError(f"{path}: missing; {name} needs the arrays beside the table; run the experiment again")
        found.append(join_entries([read_arrays(path) for path in arrays]))
    return figure.draw(*found)


def shared_data_sets(table: pd.DataFrame) -> pd.DataFrame:
    """Keep of an experiment's theory the data sets that its networks have too: means over others would be off them."""
    networks = table["kind"] == "network"
    return table[networks | table["seed"].isin(table.loc[networks, "seed"])] if networks.any() else table
