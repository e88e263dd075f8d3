"""Frozen random features: ADAM* and its kin, explicit at finite width and dual at infinite width."""

from infwidth.numerics.lazy import lazy_names

__getattr__, __all__ = lazy_names(
    __name__, {"AdamStar": "adam_star", "DualReadout": "dual_readout", "FrozenReadout": "frozen_readout"}
)
