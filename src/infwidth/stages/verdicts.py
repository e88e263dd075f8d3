"""Stage: draw all verdicts in one figure."""

from __future__ import annotations

from infwidth.figures.verdicts import draw_claims
from infwidth.stages.parts.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the figure as pdf and png, and what it plots as a table."""
    draw_claims(job.inputs["claims"], {kind: job.outputs[kind] for kind in ("pdf", "png", "csv")})


if __name__ == "__main__":
    main()
