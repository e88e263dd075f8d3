"""Tasks that tests of several modules start from."""

import numpy as np

from infwidth.tasks.transfer_task import TransferTask


def linear_teachers(seed=0, dimension=12, n_source=30, n_target=8, n_test=25, overlap=0.8, noise=0.0):
    """Two overlapping linear teachers on Gaussian inputs; |y| of order 1."""
    rng = np.random.default_rng(seed)
    b, o = rng.standard_normal((2, dimension))
    inputs = [rng.standard_normal((n, dimension)) for n in (n_source, n_target, n_test)]
    target = overlap * b + np.sqrt(1 - overlap**2) * o
    labels = [x @ w / np.sqrt(dimension) for x, w in zip(inputs, (b, target, target), strict=True)]
    labels = [y + noise * rng.standard_normal(len(y)) if noise else y for y in labels]
    return TransferTask(*(array for pair in zip(inputs, labels, strict=True) for array in pair))


def changed(task, *, inputs=lambda x: x, source_labels=lambda y: y, target_labels=lambda y: y):
    """The task with its inputs, or its labels, mapped."""
    return TransferTask(
        inputs(task.x_source),
        source_labels(task.y_source),
        inputs(task.x_target),
        target_labels(task.y_target),
        inputs(task.x_test),
        target_labels(task.y_test),
    )


def shuffled(task, seed=6):
    """The task with its training samples in another order, and the target's order."""
    rng = np.random.default_rng(seed)
    order, source = rng.permutation(len(task.y_target)), rng.permutation(len(task.y_source))
    mixed = TransferTask(
        task.x_source[source],
        task.y_source[source],
        task.x_target[order],
        task.y_target[order],
        task.x_test,
        task.y_test,
    )
    return mixed, order
