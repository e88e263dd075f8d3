"""From the tables and arrays of experiments to the files of one figure."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from infwidth.figures.parts.style import save_figure
from infwidth.io.arrays import join_entries
from infwidth.io.atomic import read_arrays
from infwidth.io.tables import read_table
from infwidth.numerics.checks import InputError


def draw_figure(name: str, tables: Sequence[Path], paths: Mapping[str, Path]) -> None:
    """Draw a figure and write it.

    Args:
        name: of a module of this package with ``draw(table)``, or, if it says READS_ARRAYS, ``draw(table, arrays)``.
        tables: the experiments' tables; arrays lie beside them under the same name.
        paths: ``pdf``, ``png`` and ``csv`` to write.

    Raises:
        InputError: the figure reads arrays and a table has none beside it.
    """
    # imported by name, so that editing one figure redraws that figure alone
    figure = importlib.import_module(f"infwidth.figures.{name}")
    found = [pd.concat([shared_data_sets(read_table(path)) for path in tables], ignore_index=True)]
    if getattr(figure, "READS_ARRAYS", False):
        arrays = [path.with_suffix(".npz") for path in tables]
        for path in arrays:
            if not path.exists():
                raise InputError(f"{path}: missing; {name} needs the arrays beside the table; run the experiment again")
        found.append(join_entries([read_arrays(path) for path in arrays]))
    drawing, plotted = figure.draw(*found)
    save_figure(drawing, plotted, paths)


def shared_data_sets(table: pd.DataFrame) -> pd.DataFrame:
    """Keep of an experiment's theory the data sets that its networks have too: means over others would be off them."""
    networks = table["kind"] == "network"
    return table[networks | table["seed"].isin(table.loc[networks, "seed"])] if networks.any() else table
