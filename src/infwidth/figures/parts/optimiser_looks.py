"""How figures call and colour the ways to train a readout: the same in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

OPTIMISER_NAMES = {
    "unfrozen_adam": "unfrozen, Adam",
    "trained_features": "trained features, Adam",
    "frozen_adam": "frozen, Adam",
    "adam": "Adam",
    "adam_star": "ADAM*",
    "adamw_star": "ADAM*, weight decay",
    "rmsprop_star": "ADAM* without momentum",
    "adam_star_layer": "ADAM*, one number a layer",
    "adagrad_star": "Adagrad*",
    "momentum": "momentum",
    "sgd": "SGD",
    "no_mlp": "no MLP",
}
"""Entry of the table's column ``optimiser`` → what figures call it, in the order of legends."""


def optimiser_colours(optimisers: Iterable[str]) -> dict[str, tuple]:
    """Colour of each optimiser that occurs, in the order of :data:`OPTIMISER_NAMES`, the same in every figure."""
    palette = dict(zip(OPTIMISER_NAMES, sns.color_palette("tab20", len(OPTIMISER_NAMES)), strict=True))
    used = set(optimisers)
    return {name: colour for name, colour in palette.items() if name in used}


def name_optimisers(figure: Figure, palette: Mapping[str, tuple]) -> None:
    """Legend beside the panels: one entry an optimiser."""
    handles = [Line2D([], [], color=colour, linewidth=2.5, label=OPTIMISER_NAMES[n]) for n, colour in palette.items()]
    figure.legend(handles=handles, frameon=False, fontsize="small", loc="outside right upper")
