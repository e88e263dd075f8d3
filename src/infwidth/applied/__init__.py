"""The theory on a user's own data."""

from infwidth.numerics.lazy import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "InfiniteWidthTransfer": "estimator",
        "InfiniteWidthTransferClassifier": "estimator",
        "advise": "advice",
        "task_overlap": "overlap",
    },
)
