"""Stage: write the page that a reader of a run opens first."""

from __future__ import annotations

from infwidth.pages.report import write_report
from infwidth.stages.parts.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the report of the results folder that it lies in."""
    write_report(job.outputs["page"], job.params)


if __name__ == "__main__":
    main()
