"""What is learned: transfer tasks as frozen arrays, from teachers, labelled images or users' own arrays."""

from infwidth.numerics.lazy import lazy_names

__getattr__, __all__ = lazy_names(
    __name__,
    {
        "TransferTask": "transfer_task",
        "linear": "linear_tasks",
        "hermite": "hermite_tasks",
        "images": "image_tasks",
        "arrays": "array_tasks",
        "one_hot": "labels",
    },
)
