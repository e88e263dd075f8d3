"""Infinite width: the Bayesian saddle point, the gradient-flow dynamics, and lazy kernels."""

from infwidth.numerics.lazy import lazy_names

__getattr__, __all__ = lazy_names(__name__, {"bayes": "bayes", "flow": "flow", "kernels": "kernels"})
