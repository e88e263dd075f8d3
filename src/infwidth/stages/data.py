"""Stage: draw the data sets of one cell, source or target, one for each seed."""

from __future__ import annotations

import importlib
from functools import partial

import numpy as np

from infwidth.io.atomic import write_arrays
from infwidth.stages.parts.job import Job, stage

# The source half of a task does not depend on its target's arguments, so any will do where it alone is wanted.
_ANY_TARGET = {
    "linear": {"overlap": 0.0, "n_target": 1, "n_test": 1},
    "hermite": {"target_degree": 1, "n_target": 1, "n_test": 1},
    "images": {"n_target": 2, "n_test": 2},
}
_PARTS = {"source": ("x_source", "y_source"), "target": ("x_target", "y_target", "x_test", "y_test")}


@stage
def main(job: Job) -> None:
    """Write the arrays of the source or of the target, stacked over seeds."""
    p = job.params
    # imported by name, so that the workflow can let a cell depend on its own family alone
    if p["family"] == "images":
        pool = importlib.import_module("infwidth.tasks.image_sources").load_images("auto", job.inputs["pool"])
        draw = partial(importlib.import_module("infwidth.tasks.image_tasks").image_task, pool)
    else:
        draw = getattr(importlib.import_module(f"infwidth.tasks.{p['family']}_tasks"), p["family"])
    settings = p["task"] if p["part"] == "target" else p["task"] | _ANY_TARGET[p["family"]]
    tasks = [draw(**settings, seed=seed) for seed in p["seeds"].values()]
    arrays = {name: np.stack([getattr(task, name) for task in tasks]) for name in _PARTS[p["part"]]}
    write_arrays(job.outputs["data"], arrays | {"seeds": np.array(list(map(int, p["seeds"]))), "label": tasks[0].label})
    job.facts |= {"shapes": {name: list(array.shape) for name, array in arrays.items()}}


if __name__ == "__main__":
    main()
