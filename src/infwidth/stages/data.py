"""Stage: draw the data sets of one cell, source or target, one for each seed."""

from __future__ import annotations

import importlib
from functools import partial

import numpy as np

from infwidth.io.atomic import write_arrays
from infwidth.numerics.lazy import registered
from infwidth.stages.parts.job import Job, stage

_PARTS = {"source": ("x_source", "y_source"), "target": ("x_target", "y_target", "x_test", "y_test")}


@stage
def main(job: Job) -> None:
    """Write the arrays of the source or of the target, stacked over seeds."""
    p = job.params
    family = registered("tasks.families", "FAMILIES", p["family"])
    draw = family.door()
    if family.from_images:
        load_images = importlib.import_module("infwidth.tasks.image_sources").load_images
        draw = partial(draw, load_images("auto", job.inputs["pool"]))
    settings = p["task"] if p["part"] == "target" else {**p["task"], **family.any_target}
    tasks = [draw(**settings, seed=seed) for seed in p["seeds"].values()]
    arrays = {name: np.stack([getattr(task, name) for task in tasks]) for name in _PARTS[p["part"]]}
    write_arrays(job.outputs["data"], arrays | {"seeds": np.array(list(map(int, p["seeds"]))), "label": tasks[0].label})
    job.facts |= {"shapes": {name: list(array.shape) for name, array in arrays.items()}}


if __name__ == "__main__":
    main()
