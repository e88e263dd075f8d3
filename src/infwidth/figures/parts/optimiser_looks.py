"""How figures call and colour the ways to train a readout: the same in all of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from infwidth.adam_ntk.variants import NO_MLP
from infwidth.figures.parts.style import Shade, entry, legend_below

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
_LOOKS = {
    "unfrozen_adam": ("#222222", "o"),
    "trained_features": ("#222222", "o"),
    "frozen_adam": ("#332288", "s"),
    "adam": ("#332288", "s"),
    "adam_star": ("#CC3311", "D"),
    "adamw_star": ("#CC6677", "d"),
    "rmsprop_star": ("#AA4499", "^"),
    "adam_star_layer": ("#BBAA33", "v"),
    "adagrad_star": ("#777711", "p"),
    "momentum": ("#66AADD", "<"),
    "sgd": ("#117733", "X"),
    "no_mlp": ("#888888", "h"),
}
"""Colours that differ to all eyes; Adam on frozen features, and Adam on all, look the same wherever they stand."""


def optimiser_colours(optimisers: Iterable[str]) -> dict[str, Shade]:
    """Colour of each optimiser that occurs, in the order of :data:`OPTIMISER_NAMES`, the same in every figure."""
    used = set(optimisers)
    return {name: Shade(to_rgb(colour), marker) for name, (colour, marker) in _LOOKS.items() if name in used}


def name_optimisers(figure: Figure, palette: Mapping[str, tuple]) -> None:
    """Legend below the panels: one entry an optimiser."""
    level = {"linestyle": ":", "marker": ""}
    entries = [entry(colour, OPTIMISER_NAMES[n], **(level if n == NO_MLP else {})) for n, colour in palette.items()]
    legend_below(figure, entries)
