"""Ways to train the readout of an MLP block, by the names that configurations and tables give them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variant:
    """A way to train a readout.

    Attributes:
        optimiser: what moves the readout, a name of ``adam_ntk.adam_star.OPTIMISERS``; None without blocks.
        frozen: whether the features stay where they began.
        has_limit: whether it has a limit at infinite width (:mod:`infwidth.adam_ntk.dual_readout`).
        by_output: whether each output is moved on its own, so that many draws of the features fit into one tensor.
    """

    optimiser: str | None
    frozen: bool = True
    has_limit: bool = False
    by_output: bool = True


NO_MLP, TRAINED = "no_mlp", "trained_features"
VARIANTS = {
    "unfrozen_adam": Variant("adam", frozen=False),
    TRAINED: Variant("adam", frozen=False),
    "frozen_adam": Variant("adam"),
    "sgd": Variant("sgd", has_limit=True),
    "momentum": Variant("momentum", has_limit=True),
    "rmsprop_star": Variant("rmsprop_star", has_limit=True),
    "adagrad_star": Variant("adagrad_star", has_limit=True),
    "adam_star": Variant("adam_star", has_limit=True),
    "adamw_star": Variant("adamw_star", has_limit=True),
    "adam_star_layer": Variant("adam_star_layer", has_limit=True, by_output=False),
    "adam": Variant("adam"),
    "adamw": Variant("adamw"),
    "rmsprop": Variant("rmsprop"),
    "adagrad": Variant("adagrad"),
    NO_MLP: Variant(None),
}
"""Name → variant. ``no_mlp`` is the control without blocks, which has no learning rate and so no sweep."""
KERNEL_OPTIMISERS = tuple(name for name, variant in VARIANTS.items() if variant.has_limit)
"""Those with a limit at infinite width."""
READOUT_OPTIMISERS = tuple(name for name, variant in VARIANTS.items() if variant.optimiser == name)
"""Those of readouts on frozen features alone, under the optimiser's own name."""
NETWORK_VARIANTS = ("unfrozen_adam", "frozen_adam", *KERNEL_OPTIMISERS)
"""Those of whole networks, where Adam has to say whether the features are frozen."""
