"""Stage: put the verdicts of all experiments into one table."""

from __future__ import annotations

from infwidth.analysis.claim_table import as_markdown
from infwidth.analysis.claims import Verdict, together
from infwidth.io.atomic import atomic_file, read_json, write_json
from infwidth.stages.parts.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the claim table as JSON and Markdown."""
    verdicts = together([Verdict(**entry) for path in job.inputs.values() for entry in read_json(path)])
    write_json(job.outputs["json"], [verdict.as_dict() for verdict in verdicts])
    with atomic_file(job.outputs["markdown"], text=True) as handle:
        handle.write(as_markdown(verdicts))


if __name__ == "__main__":
    main()
