"""Infinite width: the Bayesian saddle point, the gradient-flow dynamics, averages over data, and lazy kernels."""

from infwidth.numerics.lazy import lazy_names

__getattr__, __all__ = lazy_names(
    __name__, {name: name for name in ("averaged", "bayes", "flow", "kernels", "lazy_limits", "worth")}
)
