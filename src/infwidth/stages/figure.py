"""Stage: draw one figure from the tables of its experiments and the arrays beside them."""

from __future__ import annotations

from infwidth.figures.draw import draw_figure
from infwidth.stages.parts.job import Job, stage


@stage
def main(job: Job) -> None:
    """Write the figure as pdf and png, and what it plots as a table."""
    tables = [path for path in job.inputs.values() if path.suffix == ".csv"]
    paths = {kind: job.outputs[kind] for kind in ("pdf", "png", "csv")}
    draw_figure(job.params["figure"], tables, paths, job.params["titles"])


if __name__ == "__main__":
    main()
