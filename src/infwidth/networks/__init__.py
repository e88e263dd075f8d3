"""Finite width: two-layer networks trained by gradient flow or sampled by Langevin dynamics."""

from infwidth.numerics.lazy import lazy_names

__getattr__, __all__ = lazy_names(__name__, {"gradient_flow": "gradient_flow", "langevin": "langevin"})
