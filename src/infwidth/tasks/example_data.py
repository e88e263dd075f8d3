"""Three files as a user's own come: labelled samples of a source, a target and a test set."""

from __future__ import annotations

import os
from pathlib import Path

from infwidth.io.atomic import write_arrays
from infwidth.io.reading import at_home
from infwidth.numerics.checks import InputError
from infwidth.tasks.hermite_tasks import hermite
from infwidth.tasks.transfer_task import TransferTask

PARTS = ("source", "target", "test")


def example_task() -> TransferTask:
    """The example: two linear functions of inputs of 16 numbers, with noise; always the same."""
    return hermite(
        dimension=16,
        source_degree=1,
        target_degree=1,
        overlap=0.9,
        n_source=240,
        n_target=120,
        n_test=300,
        noise=0.3,
        seed=0,
    )


def write_example(folder: str | Path) -> str:
    """Write ``source.npz``, ``target.npz`` and ``test.npz``, with keys x and y.

    Args:
        folder: where to; made where it is not there.

    Returns:
        What was written, in words.

    Raises:
        InputError: one of the files is there, or the folder can't be written to.
    """
    place = at_home(folder)
    paths = {part: place / f"{part}.npz" for part in PARTS}
    for path in paths.values():
        if os.path.lexists(path):
            raise InputError(
                f"{path}: is there already; expected no such file, as none is overwritten; name another folder"
            )
    task = example_task()
    try:
        for part, path in paths.items():
            write_arrays(path, {"x": getattr(task, f"x_{part}"), "y": getattr(task, f"y_{part}")})
    except (OSError, ValueError) as error:  # ValueError: of a character that no path has
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{place}: can't be written to ({why}); expected a folder's path; choose another") from error
    sizes = ", ".join(f"{path.name} ({len(getattr(task, f'y_{part}'))} samples)" for part, path in paths.items())
    return f"{place}/: {sizes}; x of {task.dimension} numbers a sample, y a number"
