"""Stage: read the images once, check them for the whole experiment, keep the classes it needs."""

from __future__ import annotations

import numpy as np

from infwidth.io.atomic import write_arrays
from infwidth.stages.parts.job import Job, stage
from infwidth.tasks.image_sources import load_images
from infwidth.tasks.image_tasks import check_pool


@stage
def main(job: Job) -> None:
    """Write the images of the experiment's classes as an .npz, after checking that there are enough of them."""
    p = job.params
    look = {key: p[key] for key in ("grayscale", "size") if key in p}
    images = load_images(p["dataset"], p["path"], **look)
    sizes = {key: p[key] for key in ("source_classes", "target_classes", "n_source", "n_target", "n_test")}
    check_pool(images, **sizes)
    used = sorted({*p["source_classes"], *p["target_classes"]})
    kept = {}
    for part in ("train", "test"):
        x, y = getattr(images, f"x_{part}"), getattr(images, f"y_{part}")
        keep = np.isin(y, used)
        kept |= {f"x_{part}": x[keep], f"y_{part}": y[keep]}
    write_arrays(job.outputs["data"], kept | {"name": images.name})
    job.facts |= {
        "dataset": images.name,
        "images": {part: len(kept[f"y_{part}"]) for part in ("train", "test")},
    }


if __name__ == "__main__":
    main()
