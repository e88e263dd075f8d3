"""Infinite width: the Bayesian saddle point and the gradient-flow dynamics."""

from infwidth.numerics.lazy import lazy_names

__getattr__, __all__ = lazy_names(__name__, {"bayes": "bayes", "flow": "flow"})
