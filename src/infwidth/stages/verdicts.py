"""Stage: draw all verdicts in one figure."""

from __future__ import annotations

import json

from infwidth.analysis.claims import Verdict
from infwidth.figures.parts.style import save_figure
from infwidth.figures.verdicts import draw
from infwidth.stages.parts.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the figure as pdf and png, and what it plots as a table."""
    entries = json.loads(job.inputs["claims"].read_text(encoding="utf-8"))
    figure, plotted = draw([Verdict(**entry) for entry in entries])
    save_figure(figure, plotted, {kind: job.outputs[kind] for kind in ("pdf", "png", "csv")})


if __name__ == "__main__":
    main()
