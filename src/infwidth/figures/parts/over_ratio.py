"""What figures of the averaged theory share: panels by richness and label noise, against target samples a dimension."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
from matplotlib.axes import Axes

from infwidth.figures.parts.style import plain_numbers
from infwidth.io.tables import select


def settings(table: pd.DataFrame) -> tuple[list[float], list[str]]:
    """The richness values and data sets (label noises) of a table, those of its rows and columns of panels."""
    return sorted(table["target_strength"].unique()), sorted(table["dataset"].unique())


def by_setting(table: pd.DataFrame) -> Iterator[tuple[int, int, str, pd.DataFrame]]:
    """The row and column, the title and the rows of each richness and label noise."""
    richness, datasets = settings(table)
    for row, strength in enumerate(richness):
        for column, dataset in enumerate(datasets):
            title = f"{dataset.replace('linear teachers, ', '')}, richness γ√D = {strength:g}"
            yield row, column, title, select(table, target_strength=strength, dataset=dataset)


def ratio_axis(axes: Axes, ratios: pd.Series) -> None:
    """Make x a logarithmic axis of P2/D."""
    axes.set_xscale("log")
    axes.set_xlim(ratios.min(), ratios.max())
    plain_numbers(axes.xaxis, (1, 2, 5))
    axes.set_xlabel("target samples per dimension, P2/D")
