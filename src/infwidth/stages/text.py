"""Stage: read a language study's text once and split it into tokens."""

from __future__ import annotations

from infwidth.io.atomic import write_arrays
from infwidth.stages.parts.job import Job, stage
from infwidth.tasks.text import PARTS, text_task


@stage
def main(job: Job) -> None:
    """Write the tokens of the training, validation and test part as an .npz."""
    p = {key: value for key, value in job.params.items() if key != "experiment"}
    task = text_task(**p)
    about = {"vocabulary": task.vocabulary, "label": task.label, "unit": task.unit}
    write_arrays(job.outputs["data"], {part: getattr(task, part) for part in PARTS} | about)
    job.facts |= about | {"tokens": {part: len(getattr(task, part)) for part in PARTS}}


if __name__ == "__main__":
    main()
