"""What is learned: transfer tasks as frozen arrays, from linear and Hermite teachers and labelled images."""

from infwidth.numerics.lazy import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "TransferTask": "transfer_task",
        "linear": "linear_tasks",
        "hermite": "hermite_tasks",
        "images": "image_tasks",
        "one_hot": "labels",
    },
)
