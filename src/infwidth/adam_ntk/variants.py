"""Ways to train the readout of an MLP block, by name."""

from __future__ import annotations

NO_MLP = "no_mlp"
"""The control without MLP blocks, whose "learning rate" is the number of nothing: it has one cell and no sweep."""
KERNEL_OPTIMISERS = ("sgd", "momentum", "adam_star", "adam_star_layer")
"""Those with a limit at infinite width (:mod:`infwidth.adam_ntk.dual_readout`)."""
